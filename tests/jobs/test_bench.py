"""Where a bench writes, and where it does not."""

import pytest

from sentispark.errors import DatasetError, SetupError
from sentispark.files import Folder
from sentispark.jobs.bench import _begin


def test_a_bench_writes_into_an_empty_folder_or_one_of_its_own(tmp_path):
    for _ in range(2):
        _begin(Folder(f"{tmp_path}/bench/prepare"))
    (tmp_path / "earlier").mkdir()
    (tmp_path / "earlier" / "results.json").touch()
    _begin(Folder(f"{tmp_path}/earlier"))


def test_what_is_somebody_else_s_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "data").touch()
    with pytest.raises(DatasetError, match=r"must be a folder of an earlier bench, or empty\. It is something else"):
        _begin(Folder(f"{tmp_path}/mine"))
    with pytest.raises(DatasetError, match="It is a file"):
        _begin(Folder(f"{tmp_path}/mine/data"))
    with pytest.raises(SetupError, match="must be a place that can be written to"):
        _begin(Folder("/proc/none"))
    assert [path.name for path in tmp_path.rglob("*")] == ["mine", "data"]
