"""Outputs are moved into place when they are complete, and replace only folders that sentispark wrote."""

import json
import os
import re
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from sentispark import drafts, leftovers, outputs
from sentispark.errors import DatasetError, SetupError
from sentispark.files import Folder
from sentispark.outputs import remove_drafts, replaced_folder
from sentispark.ownership import MARKER, leave_marker
from sentispark.processes import process_note
from tests.helpers.renaming import renaming_folder


@pytest.fixture(params=["local", "s3", "renaming"])
def root(request, tmp_path):
    """The path or URL of an empty folder."""
    if request.param == "renaming":
        return renaming_folder(tmp_path)
    return request.getfixturevalue("s3") if request.param == "s3" else str(tmp_path)


def contents(folder):
    """The text of each file below a folder, by its path, without sentispark's list of them."""
    return {file: folder.read(file).decode() for file in folder.files() if file != MARKER}


def write(folder, text, *, overwrite=True):
    """Write a folder as a command would."""
    with replaced_folder(folder, overwrite=overwrite) as draft:
        draft.write(f"deep/{text}.txt", text)
    return folder


def refused(kind, folder, **options):
    """The message with which a folder is refused before the work."""
    with pytest.raises(kind) as caught, replaced_folder(folder, **{"overwrite": True, **options}):
        pytest.fail("the work started")
    return str(caught.value)


def test_a_finished_folder_replaces_the_old_one_completely(root):
    target = Folder(f"{root}/out")
    for before, text in [({}, "one"), ({"deep/one.txt": "one"}, "two"), ({"deep/two.txt": "two"}, "three")]:
        with replaced_folder(target, overwrite=True) as draft:
            draft.write(f"deep/{text}.txt", text)
            assert contents(target) == before
        assert contents(target) == {f"deep/{text}.txt": text}
        assert Folder(root).names() == ["out"]


def test_the_work_starts_with_an_empty_draft_whose_name_readers_skip(tmp_path):
    with replaced_folder(Folder(f"{tmp_path}/out"), overwrite=False) as draft:
        assert re.fullmatch(r"_out\.draft-[0-9a-f]{8}", Path(draft.url).name)
        assert draft.files() == ["_draft/owner.json"]


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt("by hand")])
def test_failed_work_leaves_the_old_folder_and_nothing_else(root, failure):
    def work(target):
        with replaced_folder(target, overwrite=True) as draft:
            draft.write("new.txt", "half")
            raise failure

    for target in (Folder(f"{root}/none"), write(Folder(f"{root}/out"), "old")):
        before = contents(target)
        with pytest.raises(type(failure), match=str(failure)):
            work(target)
        assert contents(target) == before
    assert Folder(root).names() == ["out"]


def test_files_of_task_attempts_are_not_in_the_result(root, monkeypatch):
    """Spark's writers may create `_temporary` again at any time after their job."""
    target = Folder(f"{root}/out")
    name = "move_to" if target.renames else "copy_to"
    move = getattr(Folder, name)

    def moved(draft, to):
        Folder(draft.url).write("_temporary/0/late", "")
        move(draft, to)
        Folder(draft.url).write("_temporary/0/later", "")

    monkeypatch.setattr(Folder, name, lambda draft, to: (moved if to == target else move)(draft, to))
    with replaced_folder(target, overwrite=True) as draft:
        draft.write("part", "1")
        Folder(draft.url).write("_temporary/0/early", "")
    assert contents(target) == {"part": "1"}
    assert Folder(root).names() == ["out"]
    Folder(draft.url).write("_temporary/0/last", "")
    assert contents(write(target, "new")) == {"deep/new.txt": "new"}
    assert Folder(root).names() == ["out"]


def test_parent_folders_are_created_and_removed_if_the_work_fails(tmp_path):
    def work():
        with replaced_folder(Folder(f"{tmp_path}/a/b/out"), overwrite=False):
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        work()
    assert list(tmp_path.iterdir()) == []
    write(Folder(f"{tmp_path}/a/b/out"), "one")
    assert contents(Folder(f"{tmp_path}/a")) == {
        f"b/out/{MARKER}": Path(f"{tmp_path}/a/b/out/{MARKER}").read_text()
    } | {"b/out/deep/one.txt": "one"}


def test_an_existing_output_is_refused_before_the_work(root):
    target = write(Folder(f"{root}/out"), "old")
    message = refused(DatasetError, target, overwrite=False)
    assert message == f"'{root}/out' already exists. Use --overwrite or name another output."
    message = refused(DatasetError, target, overwrite=False, option="write().overwrite()")
    assert message.endswith("Use write().overwrite() or name another output.")


def test_folders_that_sentispark_did_not_write_are_never_replaced(root):
    target = Folder(f"{root}/out")
    target.write("notes/mine.txt", "mine")
    assert refused(DatasetError, target) == (
        f"'{root}/out' cannot be replaced: it holds 'notes/mine.txt', which sentispark did not write. "
        "Name another output or move that file away."
    )
    assert contents(target) == {"notes/mine.txt": "mine"}


@pytest.mark.parametrize("name", ["mine.txt", "deep/mine.txt", "new/folder/mine.txt", ".hidden"])
def test_a_folder_to_which_others_added_a_file_is_not_replaced(root, name):
    target = write(Folder(f"{root}/out"), "one")
    target.write(name, "mine")
    assert f"it holds '{name}'" in refused(DatasetError, target)
    assert target.exists(name)


def test_a_file_is_not_replaced_by_a_folder(root):
    Folder(root).write("out", "mine")
    message = refused(DatasetError, Folder(f"{root}/out"))
    assert message == f"'{root}/out' is a file, not a folder. Name another output."
    assert Folder(root).read("out") == b"mine"


def test_an_empty_folder_is_replaced_and_files_that_file_systems_add_do_not_count(tmp_path):
    (tmp_path / "out" / "empty").mkdir(parents=True)
    (tmp_path / "out" / ".DS_Store").touch()
    (tmp_path / "out" / ".part-0.crc").touch()
    assert contents(write(Folder(f"{tmp_path}/out"), "one")) == {"deep/one.txt": "one"}


def test_files_that_only_look_like_those_of_the_output_are_not_replaced(root):
    """Spark's writer names all files alike, also those that a user appends."""
    target = Folder(f"{root}/out")
    for number in (1, 2):
        name = f"part-00000-2f1e0c3d-0000-4000-8000-00000000000{number}-c000.snappy.parquet"
        if number == 1:
            with replaced_folder(target, overwrite=False) as draft:
                draft.write(name, "ours")
        else:
            target.write(name, "appended")
    assert f"it holds '{name}', which sentispark did not write" in refused(DatasetError, target)


def test_the_list_of_an_earlier_version_holds_patterns(root):
    target = Folder(f"{root}/out")
    target.write("train/chunk-00001.parquet", "")
    target.write(MARKER, json.dumps({"written_by": "sentispark", "files": ["train/chunk-*.parquet"]}))
    assert contents(write(target, "new")) == {"deep/new.txt": "new"}


def test_files_that_others_add_during_the_work_are_kept(tmp_path):
    def work(overwrite):
        with replaced_folder(Folder(f"{tmp_path}/out"), overwrite=overwrite) as draft:
            draft.write("ours.txt", "ours")
            Folder(f"{tmp_path}/out").write("theirs.txt", "theirs")

    with pytest.raises(DatasetError, match="already exists"):
        work(overwrite=False)
    kept, out = sorted(path for path in tmp_path.iterdir())
    assert (contents(Folder(str(out))), contents(Folder(str(kept)))) == ({"theirs.txt": "theirs"}, {"ours.txt": "ours"})
    Folder(str(kept)).remove()
    (tmp_path / "out" / "theirs.txt").unlink()
    work(overwrite=True)
    former, out = sorted(tmp_path.iterdir())
    assert (former.name[:12], os.listdir(former), contents(Folder(str(out)))) == (
        "_out.former-",
        ["theirs.txt"],
        {"ours.txt": "ours"},
    )


@pytest.mark.parametrize("path", [".", "..", "../.."])
def test_the_current_folder_and_its_parents_are_refused_before_the_work(tmp_path, monkeypatch, path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert "contains the current folder" in refused(DatasetError, Folder(path))


def test_a_bucket_and_a_mount_point_are_refused_before_the_work(s3, monkeypatch, tmp_path):
    assert refused(DatasetError, Folder(s3)) == f"'{s3}' is a bucket. Name a folder in it, like '{s3}/result'."
    monkeypatch.setattr(os.path, "ismount", lambda path: path == str(tmp_path))
    assert "is a mount point" in refused(DatasetError, Folder(str(tmp_path)))


@pytest.mark.parametrize("path", ["/proc/out", "/dev/null/out", "s3://no-such-bucket/out", "{}/file/out"])
def test_an_output_that_cannot_be_written_to_is_refused_before_the_work(s3, tmp_path, path):
    (tmp_path / "file").touch()
    path = path.format(tmp_path)
    message = refused(SetupError, Folder(path))
    assert message.startswith(f"'{path}' cannot be written to: ")
    assert message.endswith(" Name another output or check its permissions.")


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    write(Folder(f"{tmp_path}/disk"), "old")
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    write(Folder(f"{tmp_path}/out"), "new")
    assert (tmp_path / "out").is_symlink()
    assert contents(Folder(f"{tmp_path}/disk")) == {"deep/new.txt": "new"}


def test_a_relative_path_is_resolved_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with replaced_folder(Folder("out"), overwrite=False) as draft:
        draft.write("new.txt", "new")
        os.chdir(tmp_path / "elsewhere")
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "out"]


@pytest.mark.parametrize("name", ["with blank", "50%", "[a]", "äö", "10:30", "a::b", "_x", "x/"])
def test_names_with_special_characters(tmp_path, name):
    folder = Folder(f"{tmp_path}/{name}")
    write(write(folder, "one"), "two")
    assert os.listdir(tmp_path) == [name.rstrip("/")]
    assert contents(folder) == {"deep/two.txt": "two"}


def test_a_draft_that_cannot_be_moved_into_place_is_kept_and_so_is_the_old_folder(tmp_path, monkeypatch):
    target = write(Folder(f"{tmp_path}/out"), "old")
    rename = os.rename

    def fails(one, other):
        if ".draft-" in one and ".removed-" not in other:
            raise PermissionError(13, "Permission denied")
        rename(one, other)

    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(
        SetupError, match=r"could not be moved to '.*': .*Permission denied\. It is complete in '.*'\."
    ) as caught:
        write(target, "new")
    draft = caught.value.args[0].rsplit("'", 2)[1]
    assert contents(Folder(draft)) == {"deep/new.txt": "new"}
    assert contents(target) == {"deep/old.txt": "old"}


def test_on_an_object_store_files_of_two_outputs_are_never_mixed(s3, monkeypatch):
    copy = Folder.copy_to

    def fails(folder, to):
        if folder.exists("_draft") or ".draft-" in folder.url:
            to.write("deep/new.txt", "new")  # the first file was copied
            raise OSError(5, "Slow down")
        copy(folder, to)

    monkeypatch.setattr(Folder, "copy_to", fails)
    for target in (Folder(f"{s3}/none"), Folder(f"{s3}/out")):
        if target.url.endswith("out"):
            target.write("deep/old.txt", "old")
            leave_marker(target)
        with pytest.raises(SetupError, match=r"could not be moved to '.*': .*Slow down\. It is complete in") as caught:
            write(target, "new")
        assert contents(target) == ({"deep/old.txt": "old"} if target.url.endswith("out") else {})
        draft = Folder(str(caught.value).rsplit("'", 2)[1])
        assert contents(draft) == {"deep/new.txt": "new"}
        draft.remove()
    assert Folder(s3).names() == ["out"]


def test_an_old_output_that_cannot_be_saved_is_left_as_it_is(s3, monkeypatch):
    target = write(Folder(f"{s3}/out"), "old")

    def fails(folder, to):
        to.write("half", "")
        raise OSError(5, "Slow down")

    monkeypatch.setattr(Folder, "copy_to", fails)
    with pytest.raises(SetupError, match="could not be moved"):
        write(target, "new")
    assert contents(target) == {"deep/old.txt": "old"}
    assert not [name for name in Folder(s3).names() if ".former-" in name]


@pytest.mark.parametrize("failure", [OSError(5, "Slow down"), KeyboardInterrupt()])
def test_a_result_that_is_in_its_place_stays_there_whatever_happens_then(root, failure, monkeypatch, caplog):
    target, remove = write(Folder(f"{root}/out"), "old"), Folder.remove

    def fails(folder):
        if re.search(r"_out\.(former|draft|removed)-[0-9a-f]{8}$", folder.url) and target.exists("deep/new.txt"):
            raise failure
        remove(folder)

    with monkeypatch.context() as patched:
        patched.setattr(Folder, "remove", fails)
        write(target, "new")
    assert contents(target) == {"deep/new.txt": "new"}
    assert "could not be removed" in caplog.text
    outputs._drafts.clear()


def test_without_overwrite_the_output_of_another_run_that_finished_meanwhile_stays(root, monkeypatch):
    target, move = Folder(f"{root}/out"), outputs.move_into_place

    def slowly(draft, to, *, overwrite):
        monkeypatch.setattr(outputs, "move_into_place", move)
        write(target, "other")
        move(draft, to, overwrite=overwrite)

    monkeypatch.setattr(outputs, "move_into_place", slowly)
    with pytest.raises(DatasetError, match="was created by another run meanwhile"):
        write(target, "mine", overwrite=False)
    assert contents(target) == {"deep/other.txt": "other"}
    (draft,) = (name for name in Folder(root).names() if name != "out")
    assert contents(Folder(f"{root}/{draft}")) == {"deep/mine.txt": "mine"}


@pytest.mark.parametrize("step", ["close_draft", "is_ours", "leave_marker"])
@pytest.mark.parametrize("failure", [OSError(5, "Slow down"), SetupError("The token has expired.")])
def test_an_error_of_the_file_system_at_the_end_loses_no_work_and_is_named(tmp_path, step, failure, monkeypatch):
    def fails(folder):
        raise failure

    with monkeypatch.context() as patched:
        patched.setattr(outputs, step, fails)
        with pytest.raises(SetupError, match=r"(Slow down|has expired).* It is complete in") as caught:
            write(Folder(f"{tmp_path}/out"), "new")
    draft = Folder(str(caught.value).rsplit("'", 2)[1])
    # As if the process had ended: the next run removes what a dead one left.
    if draft.exists("_draft/owner.json"):
        draft.write("_draft/owner.json", json.dumps({"process": "other", **process_note(), "pid": 2**22 + 1}))
    write(Folder(f"{tmp_path}/out"), "another")
    assert draft.read("deep/new.txt") == b"new"


def test_an_old_output_that_cannot_be_restored_is_named(s3, monkeypatch):
    target, copy = write(Folder(f"{s3}/out"), "old"), Folder.copy_to

    def fails(folder, to):
        if to == target:
            raise OSError(5, "Slow down")
        copy(folder, to)

    monkeypatch.setattr(Folder, "copy_to", fails)
    with pytest.raises(SetupError, match=r"Slow down\. The previous output is complete in '.*former-.*', as") as caught:
        write(target, "new")
    former = Folder(re.search(r"complete in '(\S+former-\w+)'", str(caught.value))[1])
    assert contents(former) == {"deep/old.txt": "old"}


@pytest.mark.parametrize("kept", [False, True])
def test_a_complete_result_survives_sigterm_and_not_an_interrupt_by_the_user(s3, monkeypatch, kept):
    def interrupted(folder, to):
        raise KeyboardInterrupt

    monkeypatch.setattr(Folder, "copy_to", interrupted)
    outputs.keep_continuable(kept)
    with pytest.raises(KeyboardInterrupt):
        write(Folder(f"{s3}/out"), "new")
    outputs.keep_continuable(False)
    remove_drafts()
    assert [contents(Folder(f"{s3}/{name}")) for name in Folder(s3).names()] == [{"deep/new.txt": "new"}] * kept


def test_scratch_files_are_removed_if_the_result_cannot_be_moved(tmp_path, monkeypatch):
    def work():
        with replaced_folder(Folder(f"{tmp_path}/out"), overwrite=False) as draft:
            drafts.scratch(draft, "spill").write("part", "1")

    monkeypatch.setattr(outputs, "move_into_place", lambda *_, **options: Folder(str(tmp_path)).read("none"))
    with pytest.raises(SetupError, match="is complete in"):
        work()
    (draft,) = os.listdir(tmp_path)
    assert os.listdir(tmp_path / draft) == [MARKER]


def test_scratch_files_that_cannot_be_removed_do_not_matter_and_the_next_run_removes_them(tmp_path, monkeypatch):
    target, remove = Folder(f"{tmp_path}/out"), Folder.remove

    def fails(folder):
        if ".removed-" in folder.url:
            raise OSError(39, "Directory not empty")  # a task has a file open there
        remove(folder)

    with monkeypatch.context() as patched:
        patched.setattr(Folder, "remove", fails)
        with replaced_folder(target, overwrite=False) as draft:
            drafts.scratch(draft, "spill").write("part", "1")
            draft.write("part", "2")
    assert contents(target) == {"part": "2"}
    assert len(os.listdir(tmp_path)) == 2
    write(target, "new")
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize(("move", "has_old"), [(1, True), (2, True), (1, False)])
def test_a_signal_as_a_rename_returns_leaves_the_old_or_the_new_output(tmp_path, monkeypatch, move, has_old):
    """Python calls the handler of a signal once the call that it interrupted has returned."""
    target, rename, moves = Folder(f"{tmp_path}/out"), Folder.move_to, []
    if has_old:
        write(target, "old")

    def interrupted(folder, to):
        rename(folder, to)
        if target in (folder, to):
            moves.append(to)
            if len(moves) == move:
                raise KeyboardInterrupt

    monkeypatch.setattr(Folder, "move_to", interrupted)
    if has_old and move == 1:
        with pytest.raises(KeyboardInterrupt):
            write(target, "new")
        assert contents(target) == {"deep/old.txt": "old"}
    else:
        write(target, "new")  # it was in its place
        assert contents(target) == {"deep/new.txt": "new"}
    assert os.listdir(tmp_path) == ["out"]


def test_work_is_kept_if_the_output_was_created_meanwhile_and_the_next_run_says_what_it_is(root, caplog):
    target = Folder(f"{root}/out")

    def work():
        with replaced_folder(target, overwrite=False) as draft:
            draft.write("part", "1")
            target.write("theirs", "")

    with pytest.raises(DatasetError, match=r"already exists.* It is complete in '.*'\.$") as caught:
        work()
    draft = Folder(str(caught.value).rsplit("'", 2)[1])
    assert contents(draft) == {"part": "1"}
    target.remove()
    write(target, "new")
    assert f"'{draft.url}' is a complete output that was not moved into place." in caplog.text
    write(draft, "again")  # it can be used, and replaced, as any output


def test_tasks_that_outlive_a_failure_do_not_recreate_the_draft(root):
    def work():
        with replaced_folder(Folder(f"{root}/out"), overwrite=True) as draft:
            drafts.append(draft.child("deep"))
            raise ValueError

    drafts = []
    with pytest.raises(ValueError):  # noqa: PT011 - it has no message
        work()
    with pytest.raises(FileNotFoundError):
        drafts[0].write("late.txt", "late")
    assert Folder(root).names() == []


def test_a_draft_that_other_writers_recreate_is_removed_at_the_end_of_a_command(tmp_path):
    def work():
        with replaced_folder(Folder(f"{tmp_path}/out"), overwrite=True) as draft:
            drafts.append(draft)
            raise ValueError

    drafts = []
    with pytest.raises(ValueError):  # noqa: PT011 - it has no message
        work()
    Folder(drafts[0].url).write("_temporary/late.txt", "late")
    remove_drafts()
    assert os.listdir(tmp_path) == []
    assert drafts[0] not in outputs._drafts


def test_an_old_folder_that_cannot_be_removed_is_a_warning_and_not_an_error(tmp_path, monkeypatch, caplog):
    target, removed = Folder(f"{tmp_path}/out"), Folder.remove

    def busy(folder):
        if ".removed-" in folder.url and folder.exists("part"):
            raise OSError(16, "Device or resource busy", ".nfs1")  # a file that is open on another NFS client
        removed(folder)

    monkeypatch.setattr(outputs, "_drafts", {})
    monkeypatch.setattr(Folder, "remove", busy)
    for content in (b"old", b"new"):
        with replaced_folder(target, overwrite=True) as draft:
            draft.write("part", content)
    assert target.read("part") == b"new"
    assert "_out.former-" in caplog.text
    assert "could not be removed" in caplog.text
    assert not outputs.drafts_abandoned()


def test_a_draft_that_cannot_be_removed_at_the_end_of_a_command_is_a_warning(tmp_path, monkeypatch, caplog):
    draft = Folder(f"{tmp_path}/_out.draft-1")
    draft.write("part", b"")

    def gone(folder):
        raise SetupError("The store does not answer.")

    monkeypatch.setattr(outputs, "_drafts", {draft: True})
    monkeypatch.setattr(Folder, "remove", gone)
    remove_drafts()
    assert "could not be removed: The store does not answer." in caplog.text
    assert not outputs.drafts_abandoned()


KILLED = (
    "import os, sys; from sentispark.files import Folder; from sentispark.outputs import replaced_folder\n"
    "with replaced_folder(Folder(sys.argv[1]), overwrite=True) as draft:\n"
    "    draft.write('part', b'')\n"
    "    os.kill(os.getpid(), 9)"
)


def killed_draft(tmp_path):
    """The draft of a run that was killed."""
    subprocess.run([sys.executable, "-c", KILLED, f"{tmp_path}/out"], check=False)
    (draft,) = tmp_path.iterdir()
    return draft


def test_concurrent_runs_do_not_disturb_each_other(tmp_path, caplog):
    target = Folder(f"{tmp_path}/out")
    with replaced_folder(target, overwrite=True) as draft:
        draft.write("one.txt", "one")
        with replaced_folder(target, overwrite=True) as other:
            assert draft.exists("one.txt")
            other.write("two.txt", "two")
        assert draft.exists("one.txt")
    assert os.listdir(tmp_path) == ["out"]
    assert contents(target) == {"one.txt": "one"}
    assert f"'{draft.url}' is the draft of a killed or a running run. Delete it if no run is using it." in caplog.text


class TestDraftsOfKilledRuns:
    """The next run with the same output removes them, and nothing else."""

    def write(self, tmp_path):
        with replaced_folder(Folder(f"{tmp_path}/out"), overwrite=True) as draft:
            draft.write("new", b"")
        return sorted(os.listdir(tmp_path))

    def test_the_draft_of_a_dead_process_is_removed(self, tmp_path):
        killed_draft(tmp_path)
        assert self.write(tmp_path) == ["out"]

    def owned(self, draft, **changed):
        """Change the note of the draft's owner."""
        note = draft / "_draft" / "owner.json"
        note.write_text(json.dumps({**json.loads(note.read_text()), **changed}))
        return note

    def test_one_of_another_host_is_kept_for_a_day(self, tmp_path):
        draft = killed_draft(tmp_path)
        note = self.owned(draft, machine=["another", "one"])
        assert self.write(tmp_path) == [draft.name, "out"]
        yesterday = time.time() - 86_500
        os.utime(note, (yesterday, yesterday))
        assert self.write(tmp_path) == ["out"]

    def test_one_on_an_object_store_is_removed_too(self, s3):
        target = Folder(f"{s3}/out")
        with replaced_folder(target, overwrite=True) as draft:
            Folder(draft.url).write("part", b"")
            note = Folder(draft.url).child("_draft")
            owner = json.loads(note.read("owner.json"))
            for name, changed in [("0", {"pid": 2**22 + 1}), ("1", {"machine": ["another", "one"]})]:
                left = Folder(f"{s3}/_out.draft-0000000{name}")
                left.write("part", b"")
                left.write("_draft/owner.json", json.dumps({**owner, **changed}))
            write(Folder(f"{s3}/out"), "two")
            assert [name for name in Folder(s3).names() if ".draft-0000000" in name] == ["_out.draft-00000001"]

    def test_a_process_that_got_the_number_of_a_dead_one_is_another_one(self, tmp_path):
        self.owned(killed_draft(tmp_path), pid=os.getpid())
        assert self.write(tmp_path) == ["out"]

    def test_that_of_a_living_run_is_kept_however_old_it_is(self, tmp_path):
        with replaced_folder(Folder(f"{tmp_path}/out"), overwrite=True) as draft:
            os.utime(draft.path("_draft/owner.json"), (0, 0))
            with replaced_folder(Folder(f"{tmp_path}/out"), overwrite=True) as other:
                other.write("other", b"")
            draft.write("late", b"")
        assert "late" in os.listdir(tmp_path / "out")

    def test_a_long_run_shows_other_machines_that_it_is_alive(self, tmp_path, monkeypatch):
        monkeypatch.setattr(drafts, "_SECONDS_BETWEEN_NOTES", 0.01)
        with replaced_folder(Folder(f"{tmp_path}/out"), overwrite=True) as draft:
            os.utime(draft.path("_draft/owner.json"), (0, 0))
            ends = time.monotonic() + 10
            while Path(draft.path("_draft/owner.json")).stat().st_mtime == 0:
                assert time.monotonic() < ends
                time.sleep(0.01)

    @pytest.mark.parametrize("note", [None, b"", b"{", b"[]", b'{"pid": "1"}'])
    def test_a_complete_one_and_one_of_an_unknown_owner_are_kept(self, tmp_path, note):
        draft = killed_draft(tmp_path)
        (draft / "_draft" / "owner.json").unlink()
        if note is not None:
            (draft / "_draft" / "owner.json").write_bytes(note)
        assert self.write(tmp_path) == [draft.name, "out"]

    def test_folders_of_similar_names_and_links_are_kept(self, tmp_path):
        (tmp_path / "mine").mkdir()
        names = ["_out.removed-mine", "_out.draft-012345678", "_outs.removed-01234567", "out.removed-01234567"]
        for name in names:
            (tmp_path / name).mkdir()
        (tmp_path / "_out.removed-0123abcd").symlink_to(tmp_path / "mine")
        (tmp_path / "_out.removed-01234567").mkdir()
        assert self.write(tmp_path) == sorted([*names, "_out.removed-0123abcd", "mine", "out"])


class TestContinuing:
    """A run with the same key goes on with the draft of one that was killed."""

    def left(self, root, key="key", **owner):
        """A draft that a dead run has left."""
        left = Folder(f"{root}/_out.draft-00000000")
        left.write("done", b"1")
        note = {"process": "other", **process_note(), "pid": 2**22 + 1, **owner}
        left.write("_draft/owner.json", json.dumps(note))
        drafts.continuable(left, key, "content")
        return left

    def continues(self, root, key="key"):
        """Whether a run with a key is given the draft, and finishes its output."""
        with replaced_folder(Folder(f"{root}/out"), overwrite=True, key=key) as draft:
            found = draft.exists("done")
            assert drafts.continued(draft) == ("content" if found else None)
            draft.write("new", b"2")
        assert contents(Folder(f"{root}/out")) == ({"done": "1", "new": "2"} if found else {"new": "2"})
        return found

    def test_the_draft_of_a_dead_run_with_the_same_key_is_continued(self, root):
        self.left(root)
        assert self.continues(root)
        assert Folder(root).names() == ["out"]
        assert not self.continues(root)  # nothing is left of it

    def test_the_draft_of_a_run_with_another_key_is_removed(self, root):
        self.left(root, key="another")
        assert not self.continues(root)
        assert Folder(root).names() == ["out"]

    def test_one_that_cannot_be_continued_yet_is_removed(self, root):
        self.left(root).child("_draft").remove_file("continuable.json")
        assert not self.continues(root)
        assert Folder(root).names() == ["out"]

    def test_the_draft_of_another_host_is_continued_once_it_has_been_silent(self, root, monkeypatch):
        left = self.left(root, machine=["another", "one"])
        assert not self.continues(root)
        assert left.exists("done")
        monkeypatch.setattr(leftovers, "_SILENT", timedelta(0))
        time.sleep(1.1)  # S3 keeps seconds
        assert self.continues(root)

    def test_a_living_run_is_not_continued(self, root):
        left = self.left(root, **process_note())
        assert not self.continues(root)
        assert left.exists("done")

    def test_only_one_of_two_runs_continues_it(self, root):
        self.left(root)
        with replaced_folder(Folder(f"{root}/out"), overwrite=True, key="key") as one:
            assert one.exists("done")
            with replaced_folder(Folder(f"{root}/out"), overwrite=True, key="key") as other:
                assert not other.exists("done")

    def test_a_run_whose_draft_was_continued_by_another_one_leaves_it_alone(self, root):
        folder, written = Folder(f"{root}/out"), []

        def work():
            with replaced_folder(folder, overwrite=True, key="key") as draft:
                draft.write("done", b"1")
                note = json.loads(draft.child("_draft").read("owner.json"))
                draft.child("_draft").write("owner.json", json.dumps({**note, "process": "another", "pid": 2**22 + 1}))
                written.append(draft)

        with pytest.raises(SetupError) as caught:
            work()
        (draft,) = written
        assert "was not written: this run was silent, and another run continued or removed its draft" in str(
            caught.value
        )
        assert not folder.exists()
        assert Folder(draft.url).files() == ["_draft/owner.json", "done"]
        outputs._drafts.clear()

    def test_a_run_that_was_silent_loses_its_draft_and_touches_nothing(self, root):
        """It wakes up when another run has continued, and perhaps finished, its work."""
        target = write(Folder(f"{root}/out"), "old")

        def work():
            with replaced_folder(target, overwrite=True, key="key") as draft:
                draft.write("done", b"1")
                plain = Folder(draft.url)
                if plain.renames:
                    plain.move_to(Folder(f"{root}/_out.draft-0000000a"))
                else:
                    plain.child("_draft").remove()

        with pytest.raises(
            SetupError, match="was not written: this run was silent, and another run continued or removed its draft"
        ):
            work()
        remove_drafts()
        assert contents(target) == {"deep/old.txt": "old"}
        (draft,) = [name for name in Folder(root).names() if name != "out"]
        assert Folder(f"{root}/{draft}").exists("done")

    @pytest.mark.parametrize("removals", range(4))
    def test_a_removal_that_was_interrupted_is_finished_by_the_next_run(self, s3, monkeypatch, removals):
        left, remove, done = self.left(s3), Folder.remove, []
        left.write("train/part", b"1")
        left.write("_draft/spill/part", b"1")

        def interrupted(folder):
            if len(done) == removals:
                raise KeyboardInterrupt
            done.append(folder)
            remove(folder)

        with monkeypatch.context() as patched:
            patched.setattr(Folder, "remove", interrupted)
            with pytest.raises(KeyboardInterrupt):
                drafts.remove_draft(left)
        assert not self.continues(s3), "part of it is missing"
        assert Folder(s3).names() == ["out"]

    def test_what_a_killed_run_finished_survives_a_failure_to_tidy_up(self, root, monkeypatch):
        self.left(root)

        def fails(draft):
            raise OSError(5, "Slow down")

        with monkeypatch.context() as patched:
            patched.setattr(outputs, "remove_draft", fails)
            assert self.continues(root)
        outputs._drafts.clear()

    def test_a_draft_that_cannot_be_read_is_skipped(self, tmp_path, monkeypatch):
        self.left(tmp_path)
        names = Folder.names

        def listed(folder):
            if folder.url.endswith("_out.draft-00000000"):
                raise PermissionError(13, "Permission denied")
            return names(folder)

        monkeypatch.setattr(Folder, "names", listed)
        monkeypatch.setattr(Folder, "modified", lambda folder, name: folder.read("none"))
        assert not self.continues(tmp_path, key="another")


@pytest.mark.parametrize("name", ["out[1]", "out*", "o?t", "[!a]"])
def test_wildcards_in_the_name_of_an_output_are_characters(root, name):
    """fsspec takes the names that it removes for patterns."""
    other = write(Folder(f"{root}/out1"), "other")
    for text in ("one", "two"):
        assert contents(write(Folder(f"{root}/{name}"), text)) == {f"deep/{text}.txt": text}
    assert contents(other) == {"deep/other.txt": "other"}
    assert Folder(root).names() == sorted([name, "out1"])


class TestOfEarlierVersions:
    """Datasets and models without a list of their files are recognized by their content."""

    DATASET: ClassVar = {"_manifest.json": '{"chunks": []}', "vocabulary.json": "", "train/chunk-000000.parquet": ""}
    NET: ClassVar = {
        "net.json": '{"format_version": 1}',
        "history.json": "",
        "weights.safetensors": "",
        "vocabulary.json": "",
    }

    @staticmethod
    def pipeline(*classes):
        stages = {f"stages/{index}_x{index}f/metadata/part-00000": name for index, name in enumerate(classes)}
        return {"metadata/part-00000": "pyspark.ml.pipeline.PipelineModel", "metadata/_SUCCESS": "", **stages}

    def written(self, folder, files):
        for name, content in files.items():
            folder.write(name, json.dumps({"class": content}) if "." in content and "{" not in content else content)
        return folder

    @pytest.mark.parametrize(
        "files",
        [
            DATASET | {"quarantine/part-000000-000000.parquet": "", "test/chunk-000001.parquet": ""},
            NET,
            pipeline("sentispark.text.encoder.ReviewEncoderModel", "sentispark.ml.model.LSTMClassificationModel")
            | {"stages/1_x1f/net.json": "", "stages/0_x0f/vocabulary.json": "", "metadata/._SUCCESS.crc": ""},
            {"metadata/part-00000-abcd-c000.txt": "sentispark.text.vocabulary.X", "vocabulary.json": ""},
            NET | {"metadata/part-00000": "sentispark.ml.model.LSTMClassificationModel", "metadata/_SUCCESS": ""},
        ],
    )
    def test_they_are_replaced(self, root, files):
        target = self.written(Folder(f"{root}/out"), files)
        assert contents(write(target, "new")) == {"deep/new.txt": "new"}

    @pytest.mark.parametrize(
        ("files", "found"),
        [
            (DATASET | {"raw/a.jsonl": ""}, "raw/a.jsonl"),
            (DATASET | {"train/mine.parquet": ""}, "train/mine.parquet"),
            (DATASET | {"_manifest.json": "[]"}, "_manifest.json"),
            (NET | {"net.json": "not JSON"}, "history.json"),
            (pipeline("sentispark.text.X", "pyspark.ml.feature.IDF"), "metadata/_SUCCESS"),
            (pipeline("sentispark.text.X") | {"stages/0_x0f/data/part-0": ""}, "stages/0_x0f/data/part-0"),
            ({"metadata/part-00000": "pyspark.ml.feature.IDF"}, "metadata/part-00000"),
            ({"_SUCCESS": "", "part-00000.parquet": ""}, "_SUCCESS"),
        ],
    )
    def test_folders_that_only_resemble_them_are_not(self, root, files, found):
        target = self.written(Folder(f"{root}/out"), files)
        assert f"it holds '{found}'" in refused(DatasetError, target)
