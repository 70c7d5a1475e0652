"""Whether an output can be written is tested, by the processes that will write it, before the work."""

import pytest

from sentispark.errors import SetupError
from sentispark.files import Folder
from sentispark.outputs import replaced_folder
from sentispark.spark import writable
from sentispark.spark.writable import require_spark_writes, require_tasks_write

NOT_SHARED = (
    "must be a folder that the driver and all executors share. Of 2 files that Spark wrote there the driver finds"
)


@pytest.mark.modern
@pytest.mark.parametrize("remote", [False, True])
@pytest.mark.parametrize("require", [require_spark_writes, require_tasks_write])
def test_a_folder_that_all_can_write_is_unchanged_after_the_test(spark, tmp_path, monkeypatch, remote, require):
    monkeypatch.setattr(writable, "shares_this_machine", lambda _: not remote)
    with replaced_folder(Folder(f"{tmp_path}/out:1"), overwrite=False) as draft:
        require(spark, draft, output="out")
        assert draft.files() == ["_draft/owner.json"]


def test_a_folder_that_tasks_do_not_share_is_refused(spark, monkeypatch):
    monkeypatch.setattr(writable, "shares_this_machine", lambda _: False)
    # Each process has its own memory, as each host may have its own disk.
    with pytest.raises(SetupError, match=f"^'out' {NOT_SHARED}"):
        require_tasks_write(spark, Folder("memory://out"), output="out")


@pytest.mark.parametrize("remote", [False, True])
def test_a_path_that_spark_resolves_to_another_folder_is_refused(spark, tmp_path, monkeypatch, remote):
    monkeypatch.setattr(writable, "shares_this_machine", lambda _: not remote)
    monkeypatch.setattr(writable, "spark_path", lambda _: f"file:{tmp_path}/elsewhere")
    expected = NOT_SHARED if remote else "Of 1 files that Spark wrote there the driver finds 0"
    with pytest.raises(SetupError, match=expected):
        require_spark_writes(spark, Folder(f"{tmp_path}/here"), output="out")


def test_the_reason_why_spark_cannot_write_is_reported(spark, tmp_path, monkeypatch):
    for remote in (False, True):
        monkeypatch.setattr(writable, "shares_this_machine", lambda _, remote=remote: not remote)
        with pytest.raises(SetupError, match=r"^'out' must be a folder that Spark can write to\..*/proc/none"):
            require_spark_writes(spark, Folder("/proc/none"), output="out")
