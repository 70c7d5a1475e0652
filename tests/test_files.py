"""Folders, and how a finished one takes its place."""

import os

import pytest

from sentispark.errors import DatasetError, SetupError
from sentispark.files import Folder, replaced_folder


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
