"""An output that would replace an input is refused, however the two paths are written."""

import os

import pytest

from sentispark.errors import InputError
from sentispark.files import Folder
from sentispark.overlap import require_apart


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current folder, which contains `all/raw/a.jsonl`."""
    (tmp_path / "all" / "raw").mkdir(parents=True)
    (tmp_path / "all" / "raw" / "a.jsonl").touch()
    (tmp_path / "link").symlink_to("all/raw")
    (tmp_path / "all" / "away.jsonl").symlink_to("/dev/null")
    (tmp_path / "in.jsonl").symlink_to("all/raw/a.jsonl")
    monkeypatch.chdir(tmp_path)
    return str(tmp_path)


@pytest.mark.parametrize("output", ["all", "all/", "./all", "all/raw", "link", "link/..", "{}/all", "file:{}/all", "."])
@pytest.mark.parametrize("file", ["all/raw/a.jsonl", "link/a.jsonl", "in.jsonl", "file://{}/all/raw/../raw/a.jsonl"])
def test_an_output_that_contains_an_input_file_is_refused(here, output, file):
    output, file = output.format(here), file.format(here)
    with pytest.raises(InputError) as caught:
        require_apart(Folder(output), files=[file])
    assert str(caught.value) == f"The output '{output}' contains the input '{file}'. Name another output."


def test_an_input_link_inside_the_output_is_refused(here):
    with pytest.raises(InputError, match="contains the input"):
        require_apart(Folder("all"), files=["all/away.jsonl"])


@pytest.mark.parametrize("output", ["all", "link", "all/../all/raw/.", "file:{}/all/raw"])
def test_an_output_that_is_an_input_folder_is_refused(here, output):
    source = Folder("all/raw") if output != "all" else Folder(f"file:{here}/link/..")
    with pytest.raises(InputError, match="is the same as the input"):
        require_apart(Folder(output.format(here)), folders=[source])


@pytest.mark.parametrize("output", ["all/raw/new", "link/new/deep", "all/new"])
def test_an_output_inside_an_input_folder_is_refused(here, output):
    with pytest.raises(InputError, match="is inside the input 'all'"):
        require_apart(Folder(output), folders=[Folder("all")])


@pytest.mark.parametrize("output", ["al", "all2", "all/raw2", "all/raw/a", "out", "all/raw/out"])
def test_other_outputs_are_allowed(here, output):
    require_apart(Folder(output), files=["all/raw/a.jsonl", "link/a.jsonl"], folders=[Folder("all/raw/b")])


def test_a_second_path_of_a_folder_is_recognized_by_its_inode(here, monkeypatch):
    # As with a bind mount, or on a file system that ignores case.
    os.mkdir("ALL")
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **more: stat(str(path).replace("ALL", "all"), **more))
    with pytest.raises(InputError, match="contains the input"):
        require_apart(Folder("ALL"), files=["all/raw/a.jsonl"])


@pytest.mark.parametrize(
    ("output", "file"),
    [
        ("s3://b/all", "s3a://b/all/raw/a.jsonl"),
        ("s3n://b/all/", "s3://b/all"),
        ("s3://b/x/../all", "s3a://b/all/a"),
        ("memory://all", "memory://all/a"),
        ("dbfs:/all", "/dbfs/all/a"),
    ],
)
def test_different_schemes_of_one_file_system_are_the_same(output, file):
    with pytest.raises(InputError, match="the input"):
        require_apart(Folder(output), files=[file])


@pytest.mark.parametrize(
    ("output", "file"),
    [("s3://b/all", "s3://c/all/a"), ("s3://b/all", "/b/all/a"), ("s3://b/all", "s3://b/all2"), ("memory://a", "/a/b")],
)
def test_different_file_systems_and_buckets_are_different(output, file):
    require_apart(Folder(output), files=[file])
