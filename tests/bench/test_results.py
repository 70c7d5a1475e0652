"""A bench writes only to its own folders, and rounds its results."""

import json

import pytest

from sentispark.bench.results import begin_folder, write_results
from sentispark.errors import DatasetError, InputError, SetupError
from sentispark.files import Folder


def test_a_bench_writes_into_an_empty_folder_or_one_of_its_own(tmp_path):
    for _ in range(2):
        begin_folder(Folder(f"{tmp_path}/bench"), "prepare")
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "results.json").touch()
    begin_folder(Folder(str(tmp_path)), "earlier")


def test_a_folder_that_no_bench_wrote_is_unchanged(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "data").touch()
    with pytest.raises(DatasetError, match="is neither empty nor the folder of a bench"):
        begin_folder(Folder(str(tmp_path)), "mine")
    with pytest.raises(DatasetError, match="is a file, not a folder"):
        begin_folder(Folder(f"{tmp_path}/mine"), "data")
    with pytest.raises(SetupError, match="cannot be written to"):
        begin_folder(Folder("/proc"), "none")
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "data"]


def test_the_output_must_be_local_and_must_not_contain_an_input(tmp_path):
    with pytest.raises(InputError, match=r"'--output' must be a local folder\. Got 's3://bucket/bench'"):
        begin_folder(Folder("s3://bucket/bench"), "prepare")
    with pytest.raises(InputError, match="contains the input"):
        begin_folder(Folder(str(tmp_path)), "quality", files=[f"{tmp_path}/quality/reviews.jsonl"])
    assert list(tmp_path.iterdir()) == []


def test_results_have_four_significant_digits(tmp_path):
    found = {"rows": 123456, "ratios": {"a": 1.23456}, "all": [{"seconds": 12345.6}], "system": "x"}
    rounded = write_results(Folder(str(tmp_path)), found)
    assert rounded == {"rows": 123456, "ratios": {"a": 1.235}, "all": [{"seconds": 12350.0}], "system": "x"}
    assert json.loads((tmp_path / "results.json").read_text()) == rounded
