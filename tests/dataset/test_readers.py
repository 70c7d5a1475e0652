"""Datasets written by hand, with pyarrow and JSON alone, opened, read and held in a store."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.dataset.dataset import open_dataset
from sentispark.dataset.readers import ArrowReader, PetastormReader, choose_reader
from sentispark.dataset.store import RowStore
from sentispark.errors import DatasetError, OptionError, SentisparkError, SetupError
from sentispark.text.wordlist import WordList

L = 4
CHUNK_ROWS = (3, 5, 2)


def columns_of(first, stop, *, sequence_length=L, weighted=False):
    """Rows first to stop of an endless split: row i holds i as each of its i % (L + 1) ids."""
    rows = range(first, stop)
    sequences = [[i] * (i % (L + 1)) + [0] * (sequence_length - i % (L + 1)) for i in rows]
    columns = {
        "sequence": pa.array(sequences, pa.list_(pa.int16())),
        "length": pa.array([i % (L + 1) for i in rows], pa.int32()),
        "label": pa.array([i % 3 // 2 for i in rows], pa.int32()),
    }
    return columns | ({"weight": pa.array([i / 4 for i in rows], pa.float64())} if weighted else {})


def write_chunk(folder, file, columns):
    """Write a chunk and have the manifest know its size, as if it had been written so from the beginning."""
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / file)
    if (folder / "_manifest.json").exists():
        manifest = json.loads((folder / "_manifest.json").read_text())
        for chunk in manifest["chunks"]:
            if chunk["file"] == file:
                chunk["size"] = (folder / file).stat().st_size
        (folder / "_manifest.json").write_text(json.dumps(manifest))


def write_by_hand(folder, *, chunk_rows=CHUNK_ROWS, weighted=False, words=None):
    """A dataset with rows 0, 1, 2, … in its split "train"."""
    chunks, first = [], 0
    for number, rows in enumerate(chunk_rows):
        file = f"train/chunk-{number:06d}.parquet"
        columns = columns_of(first, first + rows, weighted=weighted)
        write_chunk(folder, file, columns)
        labels, size = columns["label"].to_pylist(), (folder / file).stat().st_size
        weight = sum(columns["weight"].to_pylist()) if weighted else float(rows)
        chunks.append(
            {"split": "train", "file": file, "rows": rows, "positives": sum(labels), "weight": weight, "size": size}
        )
        first += rows
    manifest = {
        "format_version": 1,
        "sequence_length": L,
        "vocabulary_size": 100,
        "vocabulary_fingerprint": WordList(words).fingerprint if words else None,
        "weighted": weighted,
        "chunks": chunks,
        "text_options": {},
        "counts": {},
    }
    (folder / "_manifest.json").write_text(json.dumps(manifest))
    if words:
        (folder / "vocabulary.json").write_text(WordList(words).to_json())
    return folder


def error_of(kind, function, *arguments):
    with pytest.raises(kind) as caught:
        function(*arguments)
    assert isinstance(caught.value, SentisparkError)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path):
    return write_by_hand(tmp_path / "dataset")


class TestOpenDataset:
    """A folder is a dataset only if it was written to its end and nothing in it has changed since."""

    def test_it_knows_its_rows_and_labels(self, folder):
        manifest = open_dataset(str(folder)).manifest
        assert [manifest.rows(split) for split in ("train", "validation", "test")] == [10, 0, 0]
        assert manifest.positives("train") == 3  # rows 2, 5 and 8
        assert manifest.mean_weight("train") == 1

    def test_weights_have_a_mean(self, tmp_path):
        manifest = open_dataset(str(write_by_hand(tmp_path, weighted=True))).manifest
        assert manifest.mean_weight("train") == (0 + 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9) / 4 / 10
        assert manifest.mean_weight("test") == 1

    def test_a_manifest_says_the_same_after_being_written_and_read(self, folder):
        manifest = open_dataset(str(folder)).manifest
        assert type(manifest).from_json(manifest.to_json(), source="here") == manifest

    def test_nothing_there(self, tmp_path):
        assert error_of(DatasetError, open_dataset, f"{tmp_path}/none") == (
            f"'{tmp_path}/none' must be a dataset. There is nothing. Run 'sentispark prepare' first."
        )

    def test_half_written(self, folder):
        (folder / "_manifest.json").unlink()
        assert error_of(DatasetError, open_dataset, str(folder)) == (
            f"'{folder}' must be a finished dataset. It has no _manifest.json: "
            "it is half-written or something else. Prepare it again."
        )

    def test_a_truncated_chunk(self, folder):
        chunk = folder / "train/chunk-000001.parquet"
        size = chunk.stat().st_size
        chunk.write_bytes(chunk.read_bytes()[:-1])
        assert error_of(DatasetError, open_dataset, str(folder)) == (
            f"'{chunk}' must be as it was written. It is {size - 1} bytes long instead of {size}. "
            "Prepare the dataset again."
        )

    def test_a_missing_chunk(self, folder):
        (folder / "train/chunk-000002.parquet").unlink()
        assert error_of(DatasetError, open_dataset, str(folder)) == (
            f"'{folder}/train/chunk-000002.parquet' must be as it was written. It is gone. Prepare the dataset again."
        )

    def test_a_missing_split(self, folder):
        (folder / "train").rename(folder / "elsewhere")
        assert "chunk-000000.parquet' must be as it was written. It is gone." in error_of(
            DatasetError, open_dataset, str(folder)
        )

    def test_another_format_version(self, folder):
        manifest = json.loads((folder / "_manifest.json").read_text())
        (folder / "_manifest.json").write_text(json.dumps(manifest | {"format_version": 2}))
        assert error_of(DatasetError, open_dataset, str(folder)) == (
            f"'{folder}/_manifest.json' must be of format version 1. It is of 2. Prepare the dataset again."
        )

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b'{"format_version": 1, "chunks": [',
            b"\xff\xfe\x00",
            b"[]",
            b'"manifest"',
            b"null",
            b"{}",
            b'{"format_version": 1}',
            b'{"format_version": 1, "chunks": [7]}',
            b'{"format_version": 1, "chunks": [{"split": "train"}]}',
            b'{"format_version": 1, "chunks": [], "sequence_length": 4, "unheard_of": 1}',
        ],
    )
    def test_a_damaged_manifest(self, folder, content):
        (folder / "_manifest.json").write_bytes(content)
        assert error_of(DatasetError, open_dataset, str(folder)).startswith(
            f"'{folder}/_manifest.json' must be a manifest. It is damaged: "
        )

    def test_the_vocabulary_comes_along(self, tmp_path):
        assert open_dataset(str(write_by_hand(tmp_path, words=("good", "not")))).word_list.words == ("good", "not")

    def test_sequences_alone_have_no_vocabulary(self, folder):
        assert open_dataset(str(folder)).word_list is None

    def test_another_vocabulary(self, tmp_path):
        write_by_hand(tmp_path, words=("good", "not"))
        (tmp_path / "vocabulary.json").write_text(WordList(("not", "good")).to_json())
        assert error_of(DatasetError, lambda: open_dataset(str(tmp_path)).word_list) == (
            f"'{tmp_path}/vocabulary.json' must be the vocabulary of the dataset. It is another one."
        )

    def test_a_missing_vocabulary(self, tmp_path):
        write_by_hand(tmp_path, words=("good", "not"))
        (tmp_path / "vocabulary.json").unlink()
        assert error_of(DatasetError, lambda: open_dataset(str(tmp_path)).word_list) == (
            f"'{tmp_path}/vocabulary.json' must be there. It is gone. Prepare the dataset again."
        )

    @pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"pad": 0, "unknown": 1, "first_word": 2}'])
    def test_a_damaged_vocabulary(self, tmp_path, content):
        write_by_hand(tmp_path, words=("good", "not"))
        (tmp_path / "vocabulary.json").write_bytes(content)
        assert error_of(DatasetError, lambda: open_dataset(str(tmp_path)).word_list).startswith(
            f"'{tmp_path}/vocabulary.json' must be a vocabulary that sentispark wrote. It is damaged: "
        )

    @pytest.mark.parametrize("split", ["test", "traim"])
    def test_a_split_without_rows(self, folder, split):
        dataset = open_dataset(str(folder))
        dataset.require_split("train")
        assert error_of(OptionError, dataset.require_split, split) == (
            f"'split' must name a split with rows (train 10, validation 0, test 0). Got '{split}'."
        )


@pytest.fixture(params=["petastorm", "arrow"])
def reader(request):
    try:
        return choose_reader(request.param)
    except SetupError as obstacle:
        pytest.skip(str(obstacle))


def read_all(dataset, reader):
    return [reader.read(dataset, chunk) for chunk in dataset.manifest.chunks_of("train")]


class TestReaders:
    """What every reader gives: all rows of a chunk in their order, or an error."""

    @pytest.mark.parametrize("weighted", [False, True])
    def test_the_arrays_are_the_rows_as_written(self, tmp_path, reader, weighted):
        dataset = open_dataset(str(write_by_hand(tmp_path, weighted=weighted)))
        first = 0
        for rows, arrays in zip(CHUNK_ROWS, read_all(dataset, reader), strict=True):
            numbers = list(range(first, first + rows))
            assert arrays.sequence.tolist() == [[i] * (i % 5) + [0] * (4 - i % 5) for i in numbers]
            assert arrays.length.tolist() == [i % 5 for i in numbers]
            assert arrays.label.tolist() == [i % 3 // 2 for i in numbers]
            assert arrays.weight.tolist() == [i / 4 if weighted else 1 for i in numbers]
            assert [column.dtype for column in arrays] == [np.int16, np.int32, np.int32, np.float64]
            first += rows

    @pytest.mark.parametrize("name", ["with blank", "50%20", "[a]", "{b}", "ré", "a#1", "why?", "c+d", "e*"])
    def test_a_folder_with_odd_characters_in_its_name(self, tmp_path, reader, name):
        dataset = open_dataset(str(write_by_hand(tmp_path / name)))
        if reader.name == "petastorm" and name in ("a#1", "why?"):  # it takes them for parts of a URL
            with pytest.raises(DatasetError, match="Use reader 'arrow' or another folder"):
                reader.read(dataset, dataset.manifest.chunks[0])
            return
        assert [len(arrays.length) for arrays in read_all(dataset, reader)] == list(CHUNK_ROWS)

    @pytest.mark.parametrize("rows", [1, 2, 4])
    def test_a_chunk_with_more_or_fewer_rows_than_the_manifest_says(self, folder, reader, rows):
        file = "train/chunk-000000.parquet"
        write_chunk(folder, file, columns_of(0, rows))
        dataset = open_dataset(str(folder))
        assert error_of(DatasetError, reader.read, dataset, dataset.manifest.chunks[0]) == (
            f"'{folder}/{file}' must hold 3 rows, as the manifest says. It holds {rows}."
        )

    def test_a_chunk_with_sequences_of_another_length(self, folder, reader):
        file = "train/chunk-000000.parquet"
        write_chunk(folder, file, columns_of(0, 3, sequence_length=6))
        dataset = open_dataset(str(folder))
        assert error_of(DatasetError, reader.read, dataset, dataset.manifest.chunks[0]) == (
            f"'{folder}/{file}' must hold sequences of 4 ids. It holds an array of shape (3, 6)."
        )

    def test_a_chunk_with_sequences_of_several_lengths(self, folder, reader):
        file = "train/chunk-000000.parquet"
        ragged = pa.array([[1], [2, 2], [3] * 9], pa.list_(pa.int16()))  # twelve ids, as three rows of four have
        write_chunk(folder, file, columns_of(0, 3) | {"sequence": ragged})
        dataset = open_dataset(str(folder))
        assert f"'{folder}/{file}' must" in error_of(DatasetError, reader.read, dataset, dataset.manifest.chunks[0])

    def test_a_chunk_without_the_weights_that_the_manifest_promises(self, tmp_path, reader):
        write_by_hand(tmp_path, weighted=True)
        file = "train/chunk-000000.parquet"
        write_chunk(tmp_path, file, columns_of(0, 3))
        dataset = open_dataset(str(tmp_path))
        assert f"'{tmp_path}/{file}' must" in error_of(DatasetError, reader.read, dataset, dataset.manifest.chunks[0])

    def test_bytes_that_are_no_parquet(self, folder, reader):
        chunk = folder / "train/chunk-000000.parquet"
        chunk.write_bytes(b"x" * chunk.stat().st_size)
        dataset = open_dataset(str(folder))
        assert error_of(DatasetError, reader.read, dataset, dataset.manifest.chunks[0]).startswith(
            f"'{chunk}' must be a Parquet file. It cannot be read: "
        )

    def test_overwritten_pages_under_a_whole_footer(self, folder, reader):
        chunk = folder / "train/chunk-000000.parquet"
        content = bytearray(chunk.read_bytes())
        content[4:100] = b"\xff" * 96
        chunk.write_bytes(content)
        dataset = open_dataset(str(folder))
        assert f"'{chunk}' must" in error_of(DatasetError, reader.read, dataset, dataset.manifest.chunks[0])

    def test_a_chunk_that_has_gone_since_the_dataset_was_opened(self, folder, reader):
        dataset = open_dataset(str(folder))
        (folder / "train/chunk-000000.parquet").unlink()
        assert error_of(DatasetError, reader.read, dataset, dataset.manifest.chunks[0]).startswith(
            f"'{folder}/train/chunk-000000.parquet' must be a Parquet file. It cannot be read: "
        )


class TestChooseReader:
    """The reader by its name, and Petastorm first where it can run."""

    def test_the_named_one(self, reader):
        assert isinstance(reader, {"petastorm": PetastormReader, "arrow": ArrowReader}[reader.name])

    def test_auto_is_petastorm_where_it_can_run(self):
        try:
            best = choose_reader("petastorm")
        except SetupError:
            best = choose_reader("arrow")
        assert choose_reader("auto").name == best.name

    def test_auto_is_arrow_where_petastorm_cannot_run(self, monkeypatch):
        monkeypatch.setattr(pa, "__version__", "15.0.0")
        assert choose_reader("auto").name == "arrow"
        assert choose_reader("arrow").name == "arrow"

    @pytest.mark.parametrize(
        ("module", "version", "obstacle"),
        [
            (pa, "15.0.0", "petastorm works with pyarrow below 15, and 15.0.0 is installed"),
            (np, "2.1.0", "petastorm works with NumPy below 2, and 2.1.0 is installed"),
        ],
    )
    def test_petastorm_where_it_cannot_run(self, monkeypatch, module, version, obstacle):
        pytest.importorskip("petastorm", exc_type=ImportError)
        monkeypatch.setattr(np, "__version__", "1.26.0")
        monkeypatch.setattr(pa, "__version__", "14.0.0")
        monkeypatch.setattr(module, "__version__", version)
        assert error_of(SetupError, choose_reader, "petastorm") == (
            f"The Petastorm reader cannot run here: {obstacle}. Use reader 'arrow'."
        )

    @pytest.mark.parametrize("name", ["pandas", "", "Arrow"])
    def test_an_unknown_one(self, name):
        assert error_of(OptionError, choose_reader, name) == (
            f"'reader' must be one of auto, petastorm, arrow. Got '{name}'."
        )


class CountingReader:
    """pyarrow's reader, and the files it has read."""

    name = "counting"

    def __init__(self):
        self.files = []

    def read(self, dataset, chunk):
        self.files.append(chunk.file)
        return ArrowReader().read(dataset, chunk)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store") / "dataset"
    return open_dataset(str(write_by_hand(folder, chunk_rows=(3, 5, 1, 7), weighted=True)))


ROWS = 16
ascending_rows = st.lists(st.integers(0, ROWS - 1), max_size=ROWS, unique=True).map(sorted)


class TestRowStore:
    """Rows by their number, whichever chunk they are in and wherever it is kept."""

    @given(takes=st.lists(ascending_rows, max_size=4), memory_bytes=st.sampled_from([0, 100, 1 << 20]))
    def test_what_is_taken_is_what_indexing_into_the_whole_split_gives(self, dataset, takes, memory_bytes):
        whole = columns_of(0, ROWS, weighted=True)
        with RowStore(dataset, "train", ArrowReader(), memory_bytes=memory_bytes) as store:
            assert len(store) == ROWS
            for rows in takes:
                taken = store.take(np.array(rows, np.int64))
                for name, column in taken._asdict().items():
                    assert column.tolist() == [whole[name].to_pylist()[row] for row in rows], name

    @given(takes=st.lists(ascending_rows, max_size=4))
    def test_a_chunk_is_read_once_and_only_when_a_row_of_it_is_asked_for(self, dataset, takes):
        counting = CountingReader()
        with RowStore(dataset, "train", counting) as store:
            for rows in takes:
                store.take(np.array(rows, np.int64))
        chunk_of_row = [0] * 3 + [1] * 5 + [2] * 1 + [3] * 7
        needed = {chunk_of_row[row] for rows in takes for row in rows}
        assert sorted(counting.files) == [f"train/chunk-{number:06d}.parquet" for number in sorted(needed)]

    @pytest.mark.parametrize("rows", [[], [0, 8, 15]])
    def test_the_types_are_those_of_the_chunks_even_without_a_row(self, dataset, rows):
        with RowStore(dataset, "train", ArrowReader()) as store:
            taken = store.take(np.array(rows, np.int64))
        assert [column.dtype for column in taken] == [np.int16, np.int32, np.int32, np.float64]
        assert taken.sequence.shape == (len(rows), L)

    def test_a_split_without_rows_has_nothing_to_take(self, dataset):
        with RowStore(dataset, "validation", ArrowReader()) as store:
            assert len(store) == 0
            assert store.take(np.zeros(0, np.int64)).sequence.shape == (0, L)

    def test_what_memory_does_not_hold_is_in_a_local_folder_that_goes_with_the_store(
        self, dataset, tmp_path, monkeypatch
    ):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with RowStore(dataset, "train", ArrowReader(), memory_bytes=0) as store:
            store.take(np.array([0, 4]))
            (folder,) = tmp_path.iterdir()
            assert len(list(folder.iterdir())) == 2 * 4  # two chunks of four columns
        assert list(tmp_path.iterdir()) == []

    def test_what_memory_holds_is_in_no_file(self, dataset, tmp_path, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        with RowStore(dataset, "train", ArrowReader()) as store:
            store.take(np.arange(ROWS))
            assert list(tmp_path.iterdir()) == []

    def test_memory_is_filled_before_files_are(self, dataset, tmp_path, monkeypatch):
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        row_bytes = L * 2 + 4 + 4 + 8
        with RowStore(dataset, "train", ArrowReader(), memory_bytes=8 * row_bytes) as store:
            store.take(np.arange(8))  # the chunks of three and five rows
            assert list(tmp_path.iterdir()) == []
            store.take(np.array([8]))
            assert [len(list(Path(folder).iterdir())) for folder in tmp_path.iterdir()] == [4]

    def test_a_row_beyond_the_end_is_an_error_and_not_fewer_rows(self, dataset):
        with RowStore(dataset, "train", ArrowReader()) as store, pytest.raises((IndexError, DatasetError)):
            store.take(np.array([ROWS - 1, ROWS]))
