"""The files that a cluster gets."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from emr.checkout import ARCHIVE, BOOTSTRAP, Code, read_code

CHECKOUT = Path(__file__).parents[2]


def test_equal_files_give_equal_bytes() -> None:
    assert read_code(CHECKOUT) == read_code(CHECKOUT)


def test_a_change_of_either_file_is_another_version() -> None:
    versions = {Code({ARCHIVE: one, BOOTSTRAP: other}).version for one in (b"a", b"b") for other in (b"c", b"d")}
    assert len(versions) == 4


def test_the_archive_has_the_library_and_no_times_owners_or_compiled_files() -> None:
    files = read_code(CHECKOUT).files
    assert files[BOOTSTRAP] == (CHECKOUT / "emr" / "bootstrap.sh").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(files[ARCHIVE])) as archive:
        entries = archive.getmembers()
    names = {entry.name for entry in entries}
    sources = {path.relative_to(CHECKOUT).as_posix() for path in (CHECKOUT / "sentispark").rglob("*.py")}
    assert sources <= names
    assert {"setup.py", "setup.cfg", "requirements/default.txt", "requirements/test.txt"} <= names
    assert not [name for name in names if name.endswith(".pyc") or name.startswith("tests")]
    assert {(entry.mtime, entry.uid, entry.uname) for entry in entries} == {(0, 0, "")}
