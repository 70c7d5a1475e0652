"""Folders, and how a finished one takes its place."""

import os

import pytest

from sentispark.errors import DatasetError, SetupError
from sentispark.files import Folder, replaced_folder


@pytest.fixture(params=["here", "s3"])
def root(request, tmp_path):
    """A path or URL below which there is nothing."""
    return request.getfixturevalue("s3") if request.param == "s3" else str(tmp_path)


def contents(folder, *below):
    """The text of each file of a folder, by its name; folders below are named and not entered."""
    return {name: folder.read(name).decode() for name in folder.names() if name not in below}


def test_what_is_written_is_read_listed_and_measured(root):
    folder = Folder(f"{root}/out")
    assert (folder.exists(), folder.names(), folder.sizes()) == (False, [], {})
    folder.write("b.txt", "zwölf")
    folder.write("deep/a.bin", b"\x00\xff")
    assert folder.exists()
    assert (folder.exists("b.txt"), folder.exists("deep"), folder.exists("c.txt")) == (True, True, False)
    assert folder.names() == ["b.txt", "deep"]
    assert folder.sizes()["b.txt"] == 6
    assert folder.child("deep").sizes() == {"a.bin": 2}
    assert (folder.read("b.txt").decode(), folder.read("deep/a.bin")) == ("zwölf", b"\x00\xff")
    with folder.open("b.txt") as file:
        file.seek(2)
        assert file.read() == "ölf".encode()


def test_written_again_a_file_is_the_new_one_alone(root):
    folder = Folder(f"{root}/out")
    folder.write("a.txt", "a long text")
    folder.write("a.txt", "short")
    assert contents(folder) == {"a.txt": "short"}
    assert folder.sizes() == {"a.txt": 5}


def test_what_another_process_wrote_is_seen(root):
    folder, same = Folder(f"{root}/out"), Folder(f"{root}/out")
    assert folder.names() == []
    same.write("a.txt", "a")
    assert folder.names() == ["a.txt"]


def test_a_file_that_is_not_there_is_an_error(root):
    with pytest.raises(FileNotFoundError):
        Folder(f"{root}/out").read("none.txt")
    with pytest.raises(FileNotFoundError):
        Folder(f"{root}/out").open("none.txt").read()


def test_a_moved_folder_is_in_its_new_place_alone_with_all_below_it(root):
    folder, beside = Folder(f"{root}/out"), Folder(f"{root}/out.former")
    beside.write("kept.txt", "kept")
    folder.write("a.txt", "a")
    folder.write("deep/er/b.txt", "b")
    folder.move_to(Folder(f"{root}/new"))
    assert not folder.exists()
    assert contents(Folder(f"{root}/new"), "deep") == {"a.txt": "a"}
    assert contents(Folder(f"{root}/new/deep/er")) == {"b.txt": "b"}
    assert contents(beside) == {"kept.txt": "kept"}


def test_a_removed_folder_is_gone_and_can_be_removed_again(root):
    folder, beside = Folder(f"{root}/out"), Folder(f"{root}/out.former")
    folder.write("deep/a.txt", "a")
    beside.write("kept.txt", "kept")
    folder.remove()
    folder.remove()
    assert not folder.exists()
    assert contents(beside) == {"kept.txt": "kept"}


@pytest.mark.parametrize("times", [1, 2])
def test_a_finished_folder_takes_the_place_of_the_old_one_whole(root, times):
    target = Folder(f"{root}/out")
    target.write("old.txt", "old")
    for number in range(times):
        with replaced_folder(target, overwrite=True) as draft:
            draft.write(f"deep/{number}.txt", "new")
            assert target.names() == (["old.txt"] if number == 0 else ["deep"])
    assert target.names() == ["deep"]
    assert contents(target.child("deep")) == {f"{times - 1}.txt": "new"}
    assert Folder(root).names() == ["out"]


def test_an_unfinished_folder_leaves_the_old_one_and_nothing_else(root):
    target = Folder(f"{root}/out")
    target.write("old.txt", "old")

    def work():
        with replaced_folder(target, overwrite=True) as draft:
            draft.write("new.txt", "new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert contents(target) == {"old.txt": "old"}
    assert Folder(root).names() == ["out"]


def test_an_output_that_is_there_is_refused_before_the_work(root):
    target = Folder(f"{root}/out")
    target.write("old.txt", "old")
    with (
        pytest.raises(
            DatasetError, match=r"out' must not exist yet\. It does\. Name another output or use --overwrite"
        ),
        replaced_folder(target, overwrite=False),
    ):
        raise AssertionError("the work began")


@pytest.mark.parametrize("scheme", ["s3a", "s3n"])
def test_hadoop_s_names_for_s3_lead_there_too(s3, scheme):
    Folder(f"{s3}/out").write("a.txt", "a")
    assert contents(Folder(f"{s3}/out".replace("s3://", f"{scheme}://"))) == {"a.txt": "a"}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_an_output_that_came_while_the_work_went_on_is_not_replaced(tmp_path):
    def work():
        with replaced_folder(Folder(f"{tmp_path}/out"), overwrite=False) as draft:
            draft.write("ours.txt", "ours")
            Folder(f"{tmp_path}/out").write("theirs.txt", "theirs")

    with pytest.raises(DatasetError, match="must not exist yet"):
        work()
    assert names(tmp_path) == ["out"]
    assert names(tmp_path / "out") == ["theirs.txt"]


@pytest.mark.parametrize("place", [".", "..", "../.."])
def test_the_current_folder_and_those_above_it_are_refused_before_the_work(tmp_path, monkeypatch, place):
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    with (
        pytest.raises(DatasetError, match="must not hold the current folder"),
        replaced_folder(Folder(place), overwrite=True),
    ):
        raise AssertionError("the work began")


def test_a_link_is_followed_and_stays_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "old.txt").write_text("old")
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    with replaced_folder(Folder(f"{tmp_path}/out"), overwrite=True) as draft:
        draft.write("new.txt", "new")
    assert (tmp_path / "out").is_symlink()
    assert names(tmp_path / "disk") == ["new.txt"]


def test_a_relative_folder_is_the_one_it_was_when_the_work_began(tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with replaced_folder(Folder("out"), overwrite=False) as draft:
        draft.write("new.txt", "new")
        os.chdir(tmp_path / "elsewhere")
    assert names(tmp_path) == ["elsewhere", "out"]


def test_a_file_system_that_is_not_installed_is_named():
    with pytest.raises(SetupError, match="'nosuch://bucket/x' is on a file system that cannot be reached from here"):
        Folder("nosuch://bucket/x").exists()
