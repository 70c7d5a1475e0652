"""Datasets written by Spark, compared with plain Python, and folders that replace others."""

import hashlib
import itertools
import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.dataset.dataset import open_dataset
from sentispark.dataset.manifest import SPLITS
from sentispark.dataset.write import ChunkPlan, pack_tokens, packed_rows, write_dataset
from sentispark.errors import DatasetError
from sentispark.files import Folder
from sentispark.spark.arrow import map_batches
from sentispark.spark.exchange import PACKED, Groups
from sentispark.text.wordlist import WordList

TRAIN, VALIDATION, TEST = range(3)
L = 5
SCHEMA = "split int, order long, tokens binary, label int"
SPLIT_ROWS = {"train": 300, "validation": 50}
WORDS = WordList(tuple(f"word{number}" for number in range(400)))


def packed(ids):
    return np.array(ids, "<i4").tobytes()


def order_of(split, number):
    """A hash of the row, spread over all 64 bits, negative ones too."""
    return int.from_bytes(hashlib.sha256(f"{split} {number}".encode()).digest()[:8], "big", signed=True)


def ids_of(number):
    """The token ids of a row by its index: zero to eight; each row with a word has its index among them."""
    return [number + 2] * (number % 9)


def rows_of(split_rows):
    return [
        (SPLITS.index(split), order_of(split, number), bytearray(packed(ids_of(number))), number % 4 // 3)
        for split, rows in split_rows.items()
        for number in range(rows)
    ]


def expected(number):
    """Sequence, length and label of a row by its index."""
    ids = ids_of(number)[:L]
    return ids + [0] * (L - len(ids)), len(ids), number % 4 // 3


def write(frame, path, **changes):
    plan = ChunkPlan(changes.pop("split_rows", SPLIT_ROWS), changes.pop("rows_per_chunk", 100))
    packets = map_batches(frame, lambda batches: packed_rows(batches, plan), PACKED)
    options = {"sequence_length": L, "vocabulary_size": WORDS.size, "weighted": "weight" in frame.columns}
    return write_dataset(packets, Folder(str(path)), plan, **{**options, **changes})


def tables(path, split):
    return [pq.read_table(file) for file in sorted((path / split).glob("*.parquet"))]


def written(path, split):
    """All rows of a split, chunk after chunk."""
    columns = ("sequence", "length", "label")
    return [tuple(row[name] for name in columns) for table in tables(path, split) for row in table.to_pylist()]


def content(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def frame(spark):
    return spark.createDataFrame(rows_of(SPLIT_ROWS), SCHEMA).coalesce(2).cache()


@pytest.fixture(scope="module")
def dataset(frame, tmp_path_factory):
    """A dataset of 300 training rows, 50 validation rows and no test rows, and what `write_dataset` returned."""
    path = tmp_path_factory.mktemp("written") / "dataset"
    return path, write(
        frame, path, word_list=WORDS, text_options={"stop_words": "none"}, counts={"read": 360, "kept": 350}
    )


def test_chunks_that_share_a_partition_are_the_same_bytes(frame, dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(ChunkPlan, "groups", property(lambda plan: Groups(len(plan.files), 2)))
    write(
        frame,
        tmp_path / "shared",
        word_list=WORDS,
        text_options={"stop_words": "none"},
        counts={"read": 360, "kept": 350},
    )
    assert content(tmp_path / "shared") == content(dataset[0])


class TestWriteDataset:
    """The rows that are written are the input rows."""

    @pytest.mark.parametrize("split", SPLIT_ROWS)
    def test_each_row_is_written_once_with_its_own_sequence_length_and_label(self, dataset, split):
        path, _ = dataset
        assert sorted(written(path, split)) == sorted(expected(number) for number in range(SPLIT_ROWS[split]))

    def test_a_split_without_rows_has_no_file(self, dataset):
        path, manifest = dataset
        assert sorted(file.name for file in path.iterdir()) == [
            "_manifest.json",
            "train",
            "validation",
            "vocabulary.json",
        ]
        assert manifest.rows("test") == 0

    def test_rows_are_in_the_order_of_their_hashes(self, dataset):
        path, _ = dataset
        chunks = [[row["sequence"][0] - 2 for row in table.to_pylist()] for table in tables(path, "train")]
        orders = [[order_of("train", number) for number in chunk if number >= 0] for chunk in chunks]
        assert all(chunk == sorted(chunk) for chunk in orders)
        in_turn = list(itertools.chain.from_iterable(orders))  # a chunk is a range of the hashes
        assert in_turn == sorted(in_turn)

    def test_a_split_has_as_many_chunks_as_its_rows_fill_and_about_as_large_ones(self, dataset):
        path, _ = dataset
        assert [table.num_rows for table in tables(path, "validation")] == [50]
        sizes = [table.num_rows for table in tables(path, "train")]
        assert len(sizes) == 3
        assert all(70 <= size <= 130 for size in sizes)  # 100 on average; 130 is 3.7 standard deviations above

    def test_each_file_is_one_row_group(self, dataset):
        path, manifest = dataset
        assert [pq.ParquetFile(path / chunk.file).num_row_groups for chunk in manifest.chunks] == [1] * 4

    def test_the_manifest_counts_what_is_in_the_files(self, dataset):
        path, manifest = dataset
        for chunk in manifest.chunks:
            table = pq.read_table(path / chunk.file)
            assert chunk.rows == table.num_rows == chunk.weight
            labels = table["label"].to_pylist()
            assert chunk.label_counts == chunk.label_weights == (labels.count(0), labels.count(1))
            assert chunk.size == (path / chunk.file).stat().st_size
            assert chunk.file.startswith(f"{chunk.split}/")
        assert [chunk.file for chunk in manifest.chunks] == [
            "train/chunk-000000.parquet",
            "train/chunk-000001.parquet",
            "train/chunk-000002.parquet",
            "validation/chunk-000000.parquet",
        ]
        assert manifest.label_counts("train")[1] == 75  # every fourth row

    def test_the_returned_manifest_is_the_one_that_is_opened(self, dataset):
        path, manifest = dataset
        opened = open_dataset(str(path))
        assert opened.manifest == manifest
        assert opened.word_list == WORDS
        assert opened.manifest.counts == {"read": 360, "kept": 350}
        assert opened.manifest.text_options == {"stop_words": "none"}

    def test_the_same_rows_give_the_same_bytes_however_they_were_partitioned_and_sorted(self, spark, dataset, tmp_path):
        path, manifest = dataset
        shuffled = rows_of(SPLIT_ROWS)
        random.Random(0).shuffle(shuffled)
        frame = spark.createDataFrame(shuffled, SCHEMA).repartition(7)
        write(frame, tmp_path, word_list=WORDS, text_options=manifest.text_options, counts=manifest.counts)
        assert content(tmp_path) == content(path)

    def test_rows_of_the_same_hash_give_the_same_bytes_too(self, spark, tmp_path):
        rows = [(TRAIN, 7, bytearray(packed([number] * number)), number % 2) for number in range(1, 9)]
        for name, given_rows in {"one": rows, "other": rows[::-1]}.items():
            write(spark.createDataFrame(given_rows, SCHEMA).repartition(3), tmp_path / name, split_rows={"train": 8})
        assert content(tmp_path / "one") == content(tmp_path / "other")

    def test_evenly_spread_hashes_fill_chunks_exactly(self, spark, tmp_path):
        orders = [number * 2**64 // 40 - 2**63 for number in range(40)]
        rows = [(TEST, order, bytearray(), 0) for order in orders]
        manifest = write(spark.createDataFrame(rows, SCHEMA), tmp_path, split_rows={"test": 40}, rows_per_chunk=10)
        assert [chunk.rows for chunk in manifest.chunks] == [10, 10, 10, 10]

    def test_the_extreme_hashes_are_in_the_outer_chunks_and_no_row_is_lost(self, spark, tmp_path):
        orders = [0, 2**63 - 1, -(2**63), -(2**62)]
        rows = [(split, order, bytearray(), 0) for split in (TRAIN, VALIDATION) for order in orders]
        manifest = write(
            spark.createDataFrame(rows, SCHEMA), tmp_path, split_rows={"train": 4, "validation": 4}, rows_per_chunk=1
        )
        assert [(chunk.file, chunk.rows) for chunk in manifest.chunks] == [
            (f"{split}/chunk-{number:06d}.parquet", 1) for split in ("train", "validation") for number in range(4)
        ]

    @pytest.mark.parametrize(("vocabulary_size", "width"), [(32_768, "int16"), (32_769, "int32")])
    def test_ids_take_two_bytes_if_they_fit_and_four_otherwise(self, spark, tmp_path, vocabulary_size, width):
        largest = vocabulary_size - 1
        rows = [(TRAIN, 0, bytearray(packed([largest, 2])), 1)]
        manifest = write(
            spark.createDataFrame(rows, SCHEMA),
            tmp_path,
            split_rows={"train": 1},
            vocabulary_size=vocabulary_size,
        )
        (table,) = tables(tmp_path, "train")
        assert str(table.schema.field("sequence").type.value_type) == width == manifest.id_type
        assert table["sequence"].to_pylist() == [[largest, 2, 0, 0, 0]]

    def test_weights_are_written_and_summed(self, spark, tmp_path):
        rows = [(TRAIN, number, bytearray(packed([number + 2])), number % 2, number / 4) for number in range(6)]
        manifest = write(
            spark.createDataFrame(rows, SCHEMA + ", weight double"), tmp_path, split_rows={"train": 6}, rows_per_chunk=6
        )
        (table,) = tables(tmp_path, "train")
        assert {row["sequence"][0] - 2: row["weight"] for row in table.to_pylist()} == {
            number: number / 4 for number in range(6)
        }
        assert manifest.weighted
        assert manifest.chunks[0].weight == (0 + 1 + 2 + 3 + 4 + 5) / 4
        assert manifest.mean_weight("train") == 0.625
        assert manifest.label_weights("train") == ((0 + 2 + 4) / 4, (1 + 3 + 5) / 4)

    def test_rows_without_a_word_are_sequences_of_padding(self, spark, tmp_path):
        rows = [(TRAIN, number, bytearray(), 1) for number in range(3)]
        write(spark.createDataFrame(rows, SCHEMA), tmp_path, split_rows={"train": 3})
        assert written(tmp_path, "train") == [([0] * L, 0, 1)] * 3

    def test_a_dataset_without_any_row_is_a_dataset(self, spark, tmp_path):
        manifest = write(spark.createDataFrame([], SCHEMA), tmp_path, split_rows={})
        assert manifest.chunks == ()
        assert open_dataset(str(tmp_path)).manifest == manifest

    @pytest.mark.parametrize(
        "announced", [{"train": 0, "validation": 2}, {"train": 3, "validation": 2}, {"train": 2}, {"test": 9}]
    )
    def test_rows_other_than_announced_are_an_error_and_write_no_manifest(self, spark, tmp_path, announced):
        rows = [(split, number, bytearray(), 0) for split in (TRAIN, VALIDATION) for number in range(2)]
        with pytest.raises(DatasetError, match="rows"):
            write(spark.createDataFrame(rows, SCHEMA), tmp_path, split_rows=announced)
        assert not (tmp_path / "_manifest.json").exists()

    def test_the_manifest_is_readable_text(self, dataset):
        path, _ = dataset
        manifest = json.loads((path / "_manifest.json").read_text())
        assert manifest["format_version"] == 3
        assert manifest["sequence_length"] == 5
        assert manifest["vocabulary_size"] == 402  # 400 words, padding and unknown


class TestPackTokens:
    """Token ids as bytes, four little-endian bytes per id."""

    @given(st.lists(st.none() | st.lists(st.integers(0, 2**31 - 1), max_size=5), max_size=6))
    def test_the_bytes_are_those_of_numpy(self, rows):
        assert pack_tokens(pa.array(rows, pa.list_(pa.int32())), "int32").to_pylist() == [
            packed(row or []) for row in rows
        ]

    @given(st.lists(st.lists(st.integers(0, 9), max_size=5), max_size=6), st.integers(0, 6), st.integers(0, 6))
    def test_a_slice_is_packed_as_that_slice(self, rows, start, stop):
        array = pa.array(rows, pa.list_(pa.int32()))
        assert pack_tokens(array.slice(start, stop), "int32").to_pylist() == [
            packed(row) for row in rows[start : start + stop]
        ]

    def test_an_id_is_two_or_four_little_endian_bytes(self):
        assert pack_tokens(pa.array([[1, 258]]), "int32").to_pylist() == [b"\x01\0\0\0\x02\x01\0\0"]
        assert pack_tokens(pa.array([[1, 258], []]), "int16").to_pylist() == [b"\x01\0\x02\x01", b""]
