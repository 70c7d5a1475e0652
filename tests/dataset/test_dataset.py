"""A folder is a dataset only if it was written to its end and nothing in it has changed since."""

import functools
import json

import pytest

from sentispark.dataset.dataset import open_dataset
from sentispark.dataset.manifest import Manifest
from sentispark.errors import DatasetError, OptionError
from sentispark.text.wordlist import WordList
from tests.helpers.by_hand import error_of, write_by_hand


@pytest.fixture
def folder(tmp_path):
    return write_by_hand(tmp_path / "dataset")


def damage(content):
    return error_of(DatasetError, functools.partial(Manifest.from_json, source="here"), json.dumps(content))


class TestOpenDataset:
    """A folder is a dataset only if it was written to its end and nothing in it has changed since."""

    def test_it_knows_its_rows_and_labels(self, folder):
        manifest = open_dataset(str(folder)).manifest
        assert [manifest.rows(split) for split in ("train", "validation", "test")] == [10, 0, 0]
        assert manifest.label_counts("train") == (7, 3)  # rows 2, 5 and 8
        assert manifest.mean_weight("train") == 1

    def test_weights_have_a_mean(self, tmp_path):
        manifest = open_dataset(str(write_by_hand(tmp_path, weighted=True))).manifest
        assert manifest.mean_weight("train") == (0 + 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9) / 4 / 10
        assert manifest.mean_weight("test") == 1

    def test_datasets_of_the_first_version_know_the_weights_of_classes_if_all_rows_have_equal_weights(
        self, folder, tmp_path
    ):
        assert open_dataset(str(folder)).manifest.label_weights("train") == (7, 3)
        weighted = open_dataset(str(write_by_hand(tmp_path / "weighted", weighted=True))).manifest
        assert error_of(DatasetError, weighted.label_weights, "train") == (
            "The dataset must hold the weight of each label. It is of format version 1. Write it again."
        )

    def test_a_class_without_weight_has_none_whatever_the_last_digits_of_sums_are(self, tmp_path):
        folder = write_by_hand(tmp_path, weighted=True)
        content = json.loads((folder / "_manifest.json").read_text())
        for last_digits in (-1e-15, 0.0, 1e-15):
            for chunk in content["chunks"]:
                chunk["positives_weight"] = chunk["weight"] * (1 + last_digits)
            text = json.dumps({**content, "format_version": 2})
            assert Manifest.from_json(text, source="here").label_weights("train")[0] == 0

    def test_a_manifest_is_unchanged_by_being_written_and_read(self, folder):
        manifest = open_dataset(str(folder)).manifest
        assert type(manifest).from_json(manifest.to_json(), source="here") == manifest

    def test_nothing_there(self, tmp_path):
        assert error_of(DatasetError, open_dataset, f"{tmp_path}/none") == (
            f"'{tmp_path}/none' must be a dataset. Nothing is there. Run 'sentispark prepare' first."
        )

    def test_a_dataset_that_is_half_written(self, folder):
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
            f"'{folder}/train/chunk-000002.parquet' must be as it was written. It is missing. "
            "Prepare the dataset again."
        )

    def test_a_missing_split(self, folder):
        (folder / "train").rename(folder / "elsewhere")
        assert "chunk-000000.parquet' must be as it was written. It is missing." in error_of(
            DatasetError, open_dataset, str(folder)
        )

    def test_another_format_version(self, folder):
        manifest = json.loads((folder / "_manifest.json").read_text())
        (folder / "_manifest.json").write_text(json.dumps(manifest | {"format_version": 4}))
        assert error_of(DatasetError, open_dataset, str(folder)) == (
            f"'{folder}/_manifest.json' must be of format version 3 or earlier. It is of 4. Prepare the dataset again."
        )

    @pytest.mark.parametrize(
        "chunk",
        [
            {"file": "../other/chunk-000000.parquet"},
            {"file": "train/../../chunk-000000.parquet"},
            {"file": "/chunk-000000.parquet"},
            {"file": "train/"},
            {"file": "train/.."},
            {"file": "test/chunk-000000.parquet"},
            {"file": "s3://bucket/chunk-000000.parquet"},
            {"split": "..", "file": "../chunk-000000.parquet"},
            {"split": "other", "file": "other/chunk-000000.parquet"},
        ],
    )
    def test_a_chunk_outside_the_dataset_is_refused(self, folder, chunk):
        manifest = json.loads((folder / "_manifest.json").read_text())
        manifest["chunks"][0] |= chunk
        (folder / "_manifest.json").write_text(json.dumps(manifest))
        assert f"'{folder}/_manifest.json' must be a manifest. It is damaged: ValueError" in error_of(
            DatasetError, open_dataset, str(folder)
        )

    @pytest.mark.parametrize(
        "chunk",
        [
            {"label_counts": [3]},
            {"label_counts": []},
            {"label_counts": [0, 0, 3]},
            {"label_counts": [-1, 4]},
            {"label_counts": [1, 1]},
            {"label_counts": ["2", "1"]},
            {"label_counts": None},
            {"label_weights": [-1.0, 4.0]},
            {"label_weights": [1000.0, 1.0]},
            {"label_weights": [float("nan"), 1.0]},
            {"label_weights": [3.0]},
            {"label_weights": ["2", "1"]},
        ],
    )
    def test_numbers_of_labels_that_do_not_sum_to_the_rows_are_damage(self, folder, chunk):
        content = json.loads(open_dataset(str(folder)).manifest.to_json())
        content["chunks"][0] |= chunk
        assert damage(content).startswith("'here' must be a manifest. It is damaged: ")

    @pytest.mark.parametrize("chunks", [[5], [None], "ab", [[]]])
    def test_chunks_that_are_none_are_damage(self, folder, chunks):
        content = json.loads(open_dataset(str(folder)).manifest.to_json()) | {"chunks": chunks}
        assert damage(content).startswith("'here' must be a manifest. It is damaged: ")

    @pytest.mark.parametrize("names", [[], ["one"], ["a", "b", "c"], ["negative", "positive", "neutral"]])
    def test_other_labels_than_negative_and_positive_are_refused(self, folder, names):
        content = json.loads(open_dataset(str(folder)).manifest.to_json()) | {"label_names": names}
        assert damage(content).startswith("'here' must be a manifest. It is damaged: ")

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

    def test_the_vocabulary_is_opened_too(self, tmp_path):
        assert open_dataset(str(write_by_hand(tmp_path, words=("good", "not")))).word_list.words == ("good", "not")

    def test_a_dataset_of_sequences_has_no_vocabulary(self, folder):
        assert open_dataset(str(folder)).word_list is None

    def test_another_vocabulary(self, tmp_path):
        write_by_hand(tmp_path, words=("good", "not"))
        (tmp_path / "vocabulary.json").write_text(WordList(("not", "good")).to_json())
        assert error_of(DatasetError, lambda: open_dataset(str(tmp_path)).word_list) == (
            f"'{tmp_path}/vocabulary.json' is not the vocabulary of the dataset. Prepare the dataset again."
        )

    def test_a_missing_vocabulary(self, tmp_path):
        write_by_hand(tmp_path, words=("good", "not"))
        (tmp_path / "vocabulary.json").unlink()
        assert error_of(DatasetError, lambda: open_dataset(str(tmp_path)).word_list) == (
            f"'{tmp_path}/vocabulary.json' is missing. Prepare the dataset again."
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
