"""An output is tried by those who will write it, before they have worked for it."""

import pytest

from sentispark.errors import SetupError
from sentispark.files import Folder
from sentispark.outputs import replaced_folder
from sentispark.spark import writable
from sentispark.spark.writable import require_spark_writes, require_tasks_write

ALONE = (
    "must be a folder that the driver and all executors share. Of 2 files that Spark has written there the driver finds"
)


@pytest.mark.modern
@pytest.mark.parametrize("far", [False, True])
@pytest.mark.parametrize("require", [require_spark_writes, require_tasks_write])
def test_a_place_that_all_write_to_is_left_as_it_was(spark, tmp_path, monkeypatch, far, require):
    monkeypatch.setattr(writable, "shares_this_machine", lambda _: not far)
    with replaced_folder(Folder(f"{tmp_path}/out:1"), overwrite=False) as draft:
        require(spark, draft, output="out")
        assert draft.files() == ["_draft"]


def test_a_place_that_tasks_have_for_themselves_is_refused(spark, monkeypatch):
    monkeypatch.setattr(writable, "shares_this_machine", lambda _: False)
    # Each process has a memory of its own, as each host may have a disk.
    with pytest.raises(SetupError, match=f"^'out' {ALONE}"):
        require_tasks_write(spark, Folder("memory://out"), output="out")


@pytest.mark.parametrize("far", [False, True])
def test_a_place_that_spark_finds_elsewhere_is_refused(spark, tmp_path, monkeypatch, far):
    monkeypatch.setattr(writable, "shares_this_machine", lambda _: not far)
    monkeypatch.setattr(writable, "spark_path", lambda _: f"file:{tmp_path}/elsewhere")
    expected = ALONE if far else "Of 1 files that Spark has written there the driver finds 0"
    with pytest.raises(SetupError, match=expected):
        require_spark_writes(spark, Folder(f"{tmp_path}/here"), output="out")


def test_why_spark_cannot_write_is_told(spark, tmp_path, monkeypatch):
    for far in (False, True):
        monkeypatch.setattr(writable, "shares_this_machine", lambda _, far=far: not far)
        with pytest.raises(SetupError, match=r"^'out' must be a place that Spark can write to\..*/proc/none"):
            require_spark_writes(spark, Folder("/proc/none"), output="out")
