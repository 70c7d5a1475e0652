"""Paths to files: hidden, linked, or part of a table, in folders made by hand."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.errors import InputError
from sentispark.reviews.find import find_files, unique_files


def write(path, content="{}\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


def found(root, named=""):
    """The paths, relative to `root`, of the files that a path matches."""
    files = find_files(str(root / named) if named else str(root))
    return [os.path.relpath(file.path, root) for file in files]


def test_names_are_hidden_as_in_spark_unless_typed(tmp_path):
    shown = ["a.jsonl", "b/c.jsonl", "_d=1/e.jsonl", "b/f_g.jsonl"]
    hidden = ["_SUCCESS", ".a.jsonl.crc", "_temporary/0/a.jsonl", ".h/i.jsonl", "b/_j.jsonl", "k.jsonl._COPYING_"]
    for name in shown + hidden:
        write(tmp_path / name)
    assert found(tmp_path) == sorted(shown)
    assert found(tmp_path, "**") == sorted(shown)
    assert found(tmp_path, "*") == sorted(shown)
    assert found(tmp_path, "*/*.jsonl") == sorted(name for name in shown if "/" in name)
    # A hidden name that is typed is read.
    assert found(tmp_path, "_temporary") == found(tmp_path, "_temporary/*") == ["_temporary/0/a.jsonl"]
    assert found(tmp_path, "**/[!x].jsonl") == ["_d=1/e.jsonl", "a.jsonl", "b/c.jsonl"]
    assert found(tmp_path, "b/_*.jsonl") == found(tmp_path, "b/_j.jsonl") == ["b/_j.jsonl"]


def test_a_folder_of_hidden_files_is_an_error_that_says_so(tmp_path):
    write(tmp_path / "_SUCCESS")
    for named in ("", "*"):
        with pytest.raises(InputError, match="All its files are hidden"):
            found(tmp_path, named)


def test_links_are_followed_once_and_loops_end(tmp_path):
    write(tmp_path / "in/a.jsonl")
    write(tmp_path / "out/b.jsonl")
    for link, target in [("in/up", ".."), ("in/self", "."), ("in/again.jsonl", "a.jsonl"), ("in/out", "../out")]:
        (tmp_path / link).symlink_to(target)
    assert found(tmp_path / "in") == ["a.jsonl", "out/b.jsonl"]
    assert found(tmp_path) == ["in/a.jsonl", "out/b.jsonl"]
    assert found(tmp_path, "in/*.jsonl") == ["in/a.jsonl"]
    assert found(tmp_path, "in/o*/*.jsonl") == ["in/out/b.jsonl"]
    assert found(tmp_path, "i*/**/*.jsonl") == found(tmp_path, "in/**") == ["in/a.jsonl", "in/out/b.jsonl"]
    assert found(tmp_path, "**/ou[^x]") == found(tmp_path, "**/out/*") == ["out/b.jsonl"]
    both = [*find_files(str(tmp_path / "out")), *find_files(str(tmp_path / "in/out")), *find_files(f"{tmp_path}/in")]
    assert [os.path.relpath(file.path, tmp_path) for file in unique_files(both)] == ["out/b.jsonl", "in/a.jsonl"]


def test_a_link_has_its_own_name_and_the_size_of_its_target(tmp_path):
    blob = write(tmp_path / "store/4f3a", "some text")
    (tmp_path / "a.jsonl").symlink_to(blob)
    assert [(file.path, file.size) for file in find_files(f"{tmp_path}/a.jsonl")] == [(f"{tmp_path}/a.jsonl", 9)]
    write(tmp_path / "a.csv").unlink()
    (tmp_path / "links").mkdir()
    (tmp_path / "links/a.csv").symlink_to(blob)
    assert [(file.path, file.size) for file in find_files(f"{tmp_path}/links")] == [(f"{tmp_path}/links/a.csv", 9)]


@pytest.mark.parametrize("kind", ["broken link", "pipe"])
def test_special_files_and_broken_links_are_an_error(tmp_path, kind):
    write(tmp_path / "b.jsonl")
    if kind == "pipe":
        os.mkfifo(tmp_path / "a.jsonl")
    else:
        (tmp_path / "a.jsonl").symlink_to("nowhere")
    for named in ("", "*.jsonl") if kind == "broken link" else ("", "*.jsonl", "a.jsonl"):
        with pytest.raises(
            InputError, match=r"a\.jsonl' must be a file or a folder\. It is a special file such as a pipe, or a"
        ):
            found(tmp_path, named)


@given(st.text("ab%#?&=+ '\"é日[]{}*!~;:,@", min_size=1, max_size=8))
def test_an_existing_path_is_taken_literally(tmp_path_factory, name):
    root = tmp_path_factory.mktemp("odd")
    write(root / name / f"{name}.jsonl")
    write(root / "other/x.jsonl")
    for named in (name, f"{name}/{name}.jsonl"):
        assert found(root, named) == [f"{name}/{name}.jsonl"]


def test_values_in_folder_names_are_partition_values(tmp_path):
    names = ["a=5/b.csv", "a=5/c=x%20%2F%3D/b.csv", "a=__HIVE_DEFAULT_PARTITION__/b.csv", "a=1=2/b.csv", "=3/d=/b.csv"]
    for name in names:
        write(tmp_path / name)
    assert {os.path.relpath(file.path, tmp_path): dict(file.partition) for file in find_files(str(tmp_path))} == {
        names[0]: {"a": "5"},
        names[1]: {"a": "5", "c": "x /="},
        names[2]: {"a": None},
        names[3]: {"a": "1=2"},
        names[4]: {"": "3", "d": ""},
    }


@pytest.mark.parametrize(
    ("kind", "marks"),
    [
        ("an Iceberg", "metadata/v3.metadata.json"),
        ("an Iceberg", "metadata/00002-ab12.gz.metadata.json"),
        ("a Hudi", ".hoodie/hoodie.properties"),
    ],
)
@pytest.mark.parametrize(
    "named", ["", "table", "table/data", "table/data/*/*.parquet", "table/data/p=1/a.parquet", "t*"]
)
def test_unsupported_table_formats_are_an_error(tmp_path, kind, marks, named):
    write(tmp_path / "table/data/p=1/a.parquet")
    write(tmp_path / "table" / marks)
    with pytest.raises(InputError) as caught:
        found(tmp_path, named)
    assert str(caught.value) == (
        f"'{tmp_path}/table' is {kind} table, which is not supported: only its log says which rows of its files are "
        "live. Read it with Spark and write it as Parquet first."
    )


def test_a_folder_named_metadata_is_not_a_table(tmp_path):
    write(tmp_path / "metadata/a.jsonl")
    assert found(tmp_path) == found(tmp_path, "metadata/*") == ["metadata/a.jsonl"]


def test_special_and_hidden_names_and_partition_values_on_s3(s3):
    import s3fs

    fs = s3fs.S3FileSystem()
    names = ["a b.jsonl", "c%20d.jsonl", "e#1.jsonl", "f?g.jsonl", "h[1]/i.jsonl", "overall=5/j=%25/k.jsonl"]
    for name in [*names, "_SUCCESS", "h[1]/_temporary/x.jsonl"]:
        fs.pipe_file(f"{s3}/in/{name}", json.dumps({"a": 1}).encode())
    files = find_files(f"{s3}/in")
    assert sorted(file.path.removeprefix(f"{s3}/in/") for file in files) == sorted(names)
    assert [dict(file.partition) for file in files if "overall" in file.path] == [{"overall": "5", "j": "%"}]
    assert [file.path for file in find_files(f"{s3}/in/h[1]/i.jsonl")] == [f"{s3}/in/h[1]/i.jsonl"]
    assert [file.path for file in find_files(f"{s3}/in/overall=*")] == [f"{s3}/in/{names[-1]}"]
