"""How a finished folder takes its place, and what it may not take the place of."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import pytest

from sentispark import outputs
from sentispark.errors import DatasetError, SetupError
from sentispark.files import Folder
from sentispark.outputs import remove_drafts, replaced_folder
from sentispark.ownership import MARKER


@pytest.fixture(params=["here", "s3"])
def root(request, tmp_path):
    """A path or URL below which there is nothing."""
    return request.getfixturevalue("s3") if request.param == "s3" else str(tmp_path)


def contents(folder):
    """The text of each file below a folder, by its path; our list of them left out."""
    return {file: folder.read(file).decode() for file in folder.files() if file != MARKER}


def write(folder, text, *, overwrite=True):
    """Write a folder as a command would."""
    with replaced_folder(folder, overwrite=overwrite) as draft:
        draft.write(f"deep/{text}.txt", text)
    return folder


def refused(kind, folder, **options):
    """The sentence by which a folder is refused before there is any work."""
    with pytest.raises(kind) as caught, replaced_folder(folder, **{"overwrite": True, **options}):
        pytest.fail("the work began")
    return str(caught.value)


def test_a_finished_folder_takes_the_place_of_the_old_one_whole(root):
    target = Folder(f"{root}/out")
    for before, text in [({}, "one"), ({"deep/one.txt": "one"}, "two"), ({"deep/two.txt": "two"}, "three")]:
        with replaced_folder(target, overwrite=True) as draft:
            draft.write(f"deep/{text}.txt", text)
            assert contents(target) == before
        assert contents(target) == {f"deep/{text}.txt": text}
        assert Folder(root).names() == ["out"]


def test_what_begins_the_work_is_an_empty_draft_whose_name_tells_and_is_passed_over_by_readers(tmp_path):
    with replaced_folder(Folder(f"{tmp_path}/out"), overwrite=False) as draft:
        assert re.fullmatch(r"_out\.draft-[0-9a-f]{8}", Path(draft.url).name)
        assert draft.files() == ["_draft"]


@pytest.mark.parametrize("failure", [OSError("disk full"), KeyboardInterrupt("by hand")])
def test_an_unfinished_folder_leaves_the_old_one_and_nothing_else(root, failure):
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


def test_folders_above_are_made_and_vanish_with_work_that_fails(tmp_path):
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


def test_an_output_that_is_there_is_refused_before_the_work(root):
    target = write(Folder(f"{root}/out"), "old")
    told = refused(DatasetError, target, overwrite=False)
    assert told == f"'{root}/out' must not exist yet. It does. Name another output or use --overwrite."
    told = refused(DatasetError, target, overwrite=False, option="write().overwrite()")
    assert told.endswith("Name another output or use write().overwrite().")


def test_what_sentispark_did_not_write_is_never_replaced(root):
    target = Folder(f"{root}/out")
    target.write("notes/mine.txt", "mine")
    assert refused(DatasetError, target) == (
        f"'{root}/out' must be a folder that sentispark wrote, or empty, to be replaced. It holds 'notes/mine.txt', "
        "which is something else. Name another output, or move that away first."
    )
    assert contents(target) == {"notes/mine.txt": "mine"}


@pytest.mark.parametrize("name", ["mine.txt", "deep/mine.txt", "new/folder/mine.txt", ".hidden"])
def test_nor_is_a_folder_of_ours_that_something_was_put_into(root, name):
    target = write(Folder(f"{root}/out"), "one")
    target.write(name, "mine")
    assert f"It holds '{name}'" in refused(DatasetError, target)
    assert target.exists(name)


def test_a_file_is_no_place_for_a_folder(root):
    Folder(root).write("out", "mine")
    told = refused(DatasetError, Folder(f"{root}/out"))
    assert told == f"'{root}/out' must be a folder. It is a file. Name another output."
    assert "cannot" not in told
    assert Folder(root).read("out") == b"mine"


def test_an_empty_folder_is_taken_and_what_file_systems_leave_counts_as_nothing(tmp_path):
    (tmp_path / "out" / "empty").mkdir(parents=True)
    (tmp_path / "out" / ".DS_Store").touch()
    (tmp_path / "out" / ".part-0.crc").touch()
    assert contents(write(Folder(f"{tmp_path}/out"), "one")) == {"deep/one.txt": "one"}


def test_what_comes_while_the_work_goes_on_is_not_replaced_and_not_removed(tmp_path):
    def work(overwrite):
        with replaced_folder(Folder(f"{tmp_path}/out"), overwrite=overwrite) as draft:
            draft.write("ours.txt", "ours")
            Folder(f"{tmp_path}/out").write("theirs.txt", "theirs")

    with pytest.raises(DatasetError, match="must not exist yet"):
        work(overwrite=False)
    assert [path.name for path in tmp_path.rglob("*")] == ["out", "theirs.txt"]
    (tmp_path / "out" / "theirs.txt").unlink()
    work(overwrite=True)
    former, out = sorted(tmp_path.iterdir())
    assert (former.name[:12], os.listdir(former), contents(Folder(str(out)))) == (
        "_out.former-",
        ["theirs.txt"],
        {"ours.txt": "ours"},
    )


@pytest.mark.parametrize("place", [".", "..", "../.."])
def test_the_current_folder_and_those_above_it_are_refused_before_the_work(tmp_path, monkeypatch, place):
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert "must not hold the current folder" in refused(DatasetError, Folder(place))


def test_a_bucket_and_a_mounted_disk_are_refused_before_the_work(s3, monkeypatch, tmp_path):
    assert refused(DatasetError, Folder(s3)) == f"'{s3}' is a bucket. Name a folder in it, like '{s3}/result'."
    monkeypatch.setattr(os.path, "ismount", lambda path: path == str(tmp_path))
    assert "is a mounted disk" in refused(DatasetError, Folder(str(tmp_path)))


@pytest.mark.parametrize("place", ["/proc/out", "/dev/null/out", "s3://no-such-bucket/out", "{}/file/out"])
def test_where_nothing_can_be_written_it_is_said_before_the_work(s3, tmp_path, place):
    (tmp_path / "file").touch()
    place = place.format(tmp_path)
    told = refused(SetupError, Folder(place))
    assert told.startswith(f"'{place}' must be a place that can be written to. It is not: ")
    assert told.endswith(" Name another output, or check its permissions.")


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    write(Folder(f"{tmp_path}/disk"), "old")
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    write(Folder(f"{tmp_path}/out"), "new")
    assert (tmp_path / "out").is_symlink()
    assert contents(Folder(f"{tmp_path}/disk")) == {"deep/new.txt": "new"}


def test_a_relative_folder_is_the_one_it_was_when_the_work_began(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with replaced_folder(Folder("out"), overwrite=False) as draft:
        draft.write("new.txt", "new")
        os.chdir(tmp_path / "elsewhere")
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "out"]


@pytest.mark.parametrize("name", ["with blank", "50%", "[a]", "äö", "10:30", "a::b", "_x", "x/"])
def test_names_with_odd_characters(tmp_path, name):
    folder = Folder(f"{tmp_path}/{name}")
    write(write(folder, "one"), "two")
    assert os.listdir(tmp_path) == [name.rstrip("/")]
    assert contents(folder) == {"deep/two.txt": "two"}


def test_a_draft_that_cannot_take_its_place_is_kept_and_the_old_folder_too(tmp_path, monkeypatch):
    target = write(Folder(f"{tmp_path}/out"), "old")
    rename = os.rename

    def fails(one, other):
        if ".draft-" in one and ".removed-" not in other:
            raise PermissionError(13, "Permission denied")
        rename(one, other)

    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(
        SetupError, match=r"could not take its place: .*Permission denied\. All of it is in '(.*)'\."
    ) as told:
        write(target, "new")
    kept = told.value.args[0].rsplit("'", 2)[1]
    assert contents(Folder(kept)) == {"deep/new.txt": "new"}
    assert contents(target) == {"deep/old.txt": "old"}


def test_tasks_that_go_on_after_a_failure_do_not_bring_the_draft_back(root):
    def work():
        with replaced_folder(Folder(f"{root}/out"), overwrite=True) as draft:
            left.append(draft.child("deep"))
            raise ValueError

    left = []
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        work()
    with pytest.raises(FileNotFoundError):
        left[0].write("late.txt", "late")
    assert Folder(root).names() == []


def test_what_other_writers_bring_back_is_swept_at_the_end_of_a_command(tmp_path):
    def work():
        with replaced_folder(Folder(f"{tmp_path}/out"), overwrite=True) as draft:
            left.append(draft)
            raise ValueError

    left = []
    with pytest.raises(ValueError):  # noqa: PT011 - whatever it says
        work()
    Folder(left[0].url).write("_temporary/late.txt", "late")
    remove_drafts()
    assert os.listdir(tmp_path) == []
    assert left[0] not in outputs._drafts


def test_an_old_folder_that_cannot_be_removed_does_not_say_that_the_new_one_is_not_there(tmp_path, monkeypatch, caplog):
    target, removed = Folder(f"{tmp_path}/out"), Folder.remove

    def busy(folder):
        if ".former-" in folder.url:
            raise OSError(16, "Device or resource busy", ".nfs1")  # a file that somebody on NFS has open
        removed(folder)

    monkeypatch.setattr(outputs, "_drafts", set())
    monkeypatch.setattr(Folder, "remove", busy)
    for content in (b"old", b"new"):
        with replaced_folder(target, overwrite=True) as draft:
            draft.write("part", content)
    assert target.read("part") == b"new"
    assert "the old folder, could not be removed" in caplog.text
    assert not outputs.drafts_given_up()


def test_what_cannot_be_removed_at_the_end_of_a_command_is_told_and_hides_nothing(tmp_path, monkeypatch, caplog):
    draft = Folder(f"{tmp_path}/_out.draft-1")
    draft.write("part", b"")

    def gone(folder):
        raise SetupError("The store does not answer.")

    monkeypatch.setattr(outputs, "_drafts", {draft})
    monkeypatch.setattr(Folder, "remove", gone)
    remove_drafts()
    assert "could not be removed: The store does not answer." in caplog.text
    assert not outputs.drafts_given_up()


def test_two_at_once_leave_each_other_alone_and_the_drafts_of_the_killed_are_told(tmp_path, caplog):
    target = Folder(f"{tmp_path}/out")
    code = (
        "import os, sys; from sentispark.files import Folder; from sentispark.outputs import replaced_folder\n"
        "with replaced_folder(Folder(sys.argv[1]), overwrite=True): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, target.url], check=False)
    (killed,) = tmp_path.iterdir()
    with replaced_folder(target, overwrite=True) as draft:
        draft.write("one.txt", "one")
        with replaced_folder(target, overwrite=True) as other:
            assert draft.exists("one.txt")
            other.write("two.txt", "two")
        assert draft.exists("one.txt")
    assert sorted(tmp_path.iterdir()) == [killed, tmp_path / "out"]
    assert contents(target) == {"one.txt": "one"}
    assert f"'{killed}' belongs to a run that was killed or is still running. It is left alone." in caplog.text


class TestOfEarlierVersions:
    """Datasets and models that have no list of their files are known by what they are."""

    DATASET: ClassVar = {"_manifest.json": '{"chunks": []}', "vocabulary.json": "", "train/chunk-000000.parquet": ""}
    NET: ClassVar = {
        "net.json": '{"format_version": 1}',
        "history.json": "",
        "weights.safetensors": "",
        "vocabulary.json": "",
    }

    @staticmethod
    def pipeline(*classes):
        stages = {f"stages/{place}_x{place}f/metadata/part-00000": name for place, name in enumerate(classes)}
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
    def test_what_only_looks_like_them_is_not(self, root, files, found):
        target = self.written(Folder(f"{root}/out"), files)
        assert f"It holds '{found}'" in refused(DatasetError, target)
