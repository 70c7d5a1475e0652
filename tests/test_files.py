"""Folders, local and in an object store."""

import os
import signal
import subprocess
import sys
import time
from typing import ClassVar

import fsspec
import pytest
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.memory import MemoryFileSystem

from sentispark.errors import InputError, SetupError
from sentispark.files import Folder, is_url
from tests.helpers.renaming import globbing_folder, renaming_folder


@pytest.fixture(params=["local", "s3", "renaming"])
def root(request, tmp_path):
    """The path or URL of an empty folder."""
    if request.param == "renaming":
        return renaming_folder(tmp_path)
    return request.getfixturevalue("s3") if request.param == "s3" else str(tmp_path)


def contents(folder, *subfolders):
    """The text of each file in a folder, by its name; the subfolders must be named and are skipped."""
    return {name: folder.read(name).decode() for name in folder.names() if name not in subfolders}


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


def test_a_second_write_replaces_a_file(root):
    folder = Folder(f"{root}/out")
    folder.write("a.txt", "a long text")
    folder.write("a.txt", "short")
    assert contents(folder) == {"a.txt": "short"}
    assert folder.sizes() == {"a.txt": 5}


def test_files_of_other_processes_are_seen(root):
    folder, same = Folder(f"{root}/out"), Folder(f"{root}/out")
    assert folder.names() == []
    same.write("a.txt", "a")
    assert folder.names() == ["a.txt"]


def test_reading_a_missing_file_is_an_error(root):
    with pytest.raises(FileNotFoundError):
        Folder(f"{root}/out").read("none.txt")
    with pytest.raises(FileNotFoundError):
        Folder(f"{root}/out").open("none.txt").read()


def test_a_folder_is_moved_or_copied_with_everything_in_it(root):
    folder, sibling = Folder(f"{root}/out"), Folder(f"{root}/out.former")
    sibling.write("kept.txt", "kept")
    folder.write("a.txt", "a")
    folder.write("deep/er/b.txt", "b")
    if folder.renames:
        folder.move_to(Folder(f"{root}/new"))
        assert not folder.exists()
    else:
        folder.copy_to(Folder(f"{root}/new"))
        assert contents(folder, "deep") == {"a.txt": "a"}
    assert contents(Folder(f"{root}/new"), "deep") == {"a.txt": "a"}
    assert contents(Folder(f"{root}/new/deep/er")) == {"b.txt": "b"}
    assert contents(sibling) == {"kept.txt": "kept"}


def test_a_folder_is_removed_completely_and_may_be_removed_twice(root):
    folder, sibling = Folder(f"{root}/out"), Folder(f"{root}/out.former")
    folder.write("deep/a.txt", "a")
    sibling.write("kept.txt", "kept")
    folder.remove()
    folder.remove()
    assert not folder.exists()
    assert contents(sibling) == {"kept.txt": "kept"}


@pytest.mark.parametrize("scheme", ["s3a", "s3n"])
def test_hadoop_s_schemes_for_s3_are_understood(s3, scheme):
    Folder(f"{s3}/out").write("a.txt", "a")
    assert contents(Folder(f"{s3}/out".replace("s3://", f"{scheme}://"))) == {"a.txt": "a"}


def test_a_file_system_that_is_not_installed_is_named():
    with pytest.raises(SetupError, match="'nosuch://bucket/x' is on a file system that cannot be reached from here"):
        Folder("nosuch://bucket/x").exists()


@pytest.mark.parametrize("path", ["", " ", "file:", "file://", "\n"])
def test_an_empty_path_is_refused(path):
    with pytest.raises(InputError, match=r"^A path must name a file or a folder\. Got an empty path\.$"):
        Folder(path).path()


@pytest.mark.parametrize(
    "name", ["reviews_10:30.jsonl", "a::b", "c:d/e", "100%", "modèle", "a b", "[x]", "~x", "a://b"]
)
def test_local_names_may_contain_characters_that_are_special_in_urls(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for folder in (
        Folder(f"{tmp_path}/{name}"),
        Folder(f"file:{tmp_path}/{name}"),
        Folder(f"file://{tmp_path}/{name}"),
    ):
        folder.write("a.txt", "a")
        assert contents(folder) == {"a.txt": "a"}
        assert folder.files() == ["a.txt"]
        assert (tmp_path / name / "a.txt").read_text() == "a"


def test_a_url_starts_with_a_scheme_and_a_slash():
    urls = ["s3://b/x", "file:/x", "hdfs:///x", "dbfs:/x", "foo://"]
    paths = ["/x", "x", "reviews_10:30.jsonl", "10:30/x", "a_b:/c", "./s3://b", ""]
    assert [is_url(path) for path in urls + paths] == [True] * len(urls) + [False] * len(paths)


class Renaming(MemoryFileSystem):
    """A file system that renames folders, like HDFS, and records its renames."""

    protocol = "renaming"
    moved: ClassVar[list] = []

    def mv(self, path1, path2, **kwargs):
        self.moved.append((path1, path2))


def test_folders_are_renamed_and_not_copied_where_the_file_system_can(monkeypatch):
    fsspec.register_implementation("renaming", Renaming, clobber=True)
    Renaming.moved.clear()
    monkeypatch.setattr(Renaming, "copy", None)
    Folder("renaming://a/out").move_to(Folder("renaming://a/new"))
    assert Renaming.moved == [("renaming://a/out", "renaming://a/new")]


def test_object_stores_do_not_rename_folders(s3, tmp_path):
    assert [Folder(url).renames for url in (str(tmp_path), s3, "memory://x")] == [True, False, False]


def test_a_missing_bucket_is_not_created(s3):
    with pytest.raises(FileNotFoundError):
        Folder("s3://no-such-bucket/out").write("a.txt", "a")
    with pytest.raises(FileNotFoundError):
        Folder(s3).location[0].ls("no-such-bucket")


@pytest.mark.parametrize("name", ["run[1]", "run*"])
def test_only_the_folder_of_that_name_is_removed(root, name):
    for each in (name, "run1"):
        Folder(f"{root}/{each}").write("deep/a.txt", "a")
    Folder(f"{root}/{name}").remove()
    assert Folder(root).names() == ["run1"]


def test_content_may_come_in_pieces(root):
    Folder(f"{root}/out").write("a.txt", [b"one ", memoryview(b"two")])
    assert Folder(f"{root}/out").read("a.txt") == b"one two"


def test_missing_credentials_are_reported(s3, monkeypatch):
    Folder(s3).location[0].clear_instance_cache()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    try:
        with pytest.raises((SetupError, OSError)) as caught:
            Folder(f"{s3}/out").write("a.txt", "a")
    finally:
        Folder(s3).location[0].clear_instance_cache()
    assert "redentials" in str(caught.value)


def test_an_abandoned_folder_is_not_created_again(root):
    folder = Folder(f"{root}/out", Folder(f"{root}/out").path("_draft"))
    with pytest.raises(FileNotFoundError, match="is no longer written to"):
        folder.child("deep").write("a.txt", "a")
    assert not folder.exists()
    Folder(f"{root}/out/_draft").write("note", "")
    folder.child("deep/er").write("a.txt", "a")
    assert folder.files() == ["_draft/note", "deep/er/a.txt"]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_task_that_writes_while_its_folder_is_moved_leaves_nothing(tmp_path, monkeypatch, moment):
    plain = Folder(f"{tmp_path}/out")
    plain.write("_draft/note", "")
    folder = Folder(plain.url, plain.path("_draft"))
    exists, replace = LocalFileSystem.exists, os.replace

    def move():
        (tmp_path / "out" / "_draft").rename(tmp_path / "removed")
        (tmp_path / "out").rename(tmp_path / "done")

    if moment == "before":
        monkeypatch.setattr(LocalFileSystem, "exists", lambda fs, path: exists(fs, path) and (move() or True))
    else:
        monkeypatch.setattr(os, "replace", lambda draft, target: move() or replace(draft, target))
    with pytest.raises(FileNotFoundError):
        folder.child("train").write("a.txt", "a")
    assert sorted(os.listdir(tmp_path)) == ["done", "removed"]
    assert os.listdir(tmp_path / "done") == ([] if moment == "before" else ["train"])


def test_what_a_killed_writer_leaves_is_not_in_the_folder(tmp_path):
    plain = Folder(f"{tmp_path}/out")
    plain.write("_draft/note", "")
    script = (
        "import os, sys; from sentispark.files import Folder\n"
        "os.replace = lambda *given: os.kill(os.getpid(), 9)\n"
        "Folder(sys.argv[1], sys.argv[1] + '/_draft').child('train').write('a.txt', 'a')"
    )
    subprocess.run([sys.executable, "-c", script, plain.url], check=False)
    assert len(plain.files()) == 2
    assert all(file.startswith("_draft/") for file in plain.files())


@pytest.mark.parametrize("name", ["run[1]", "run*", "run"])
def test_a_file_system_that_takes_names_for_patterns_removes_the_folder_of_that_name(tmp_path, name):
    root = globbing_folder(tmp_path)
    for folder in (name, "run1"):
        Folder(f"{root}/{folder}").write("deep/er/a.txt", "a")
    Folder(f"{root}/{name}").remove()
    assert os.listdir(tmp_path) == ["run1"]


def test_an_interrupt_ends_a_copy_only_when_nothing_is_copied_any_more(s3, monkeypatch):
    folder, ended = Folder(f"{s3}/one"), []
    folder.write("a.txt", "a")

    def slowly(files, targets):
        time.sleep(0.2)  # the main thread waits
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)
        ended.append(True)

    monkeypatch.setattr(folder.location[0], "copy", slowly)
    with pytest.raises(KeyboardInterrupt):
        folder.copy_to(Folder(f"{s3}/two"))
    assert ended
