"""Paths to the files they mean. Knows file systems, and nothing of Spark."""

from __future__ import annotations

import fnmatch
import functools
import glob
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from sentispark.errors import InputError
from sentispark.files import Folder
from sentispark.reviews.delta import live_files
from sentispark.reviews.pieces import File
from sentispark.reviews.tables import delta_tables_above, delta_tables_below

__all__ = ["each_once", "find_files"]

# What fsspec's file systems call what changes with a file's content.
_STAMPS = ("ETag", "etag", "mtime", "LastModified", "last_modified")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def find_files(path: str, folder: Folder | None = None) -> list[File]:
    """The files that a path means: a file, a folder with all below it, or a glob (`*`, `?`, `[a-z]`, `**`, `{a,b}`).

    Errors name it as it was typed; `folder` says where that is, if not where Python would look for it. A path that is
    there is taken as it is, whatever characters are in it. Below a folder, and among what a glob matches, names that
    begin with `_` or `.` are left out, as Spark leaves them out. A file to which several links lead is one file. Of a
    Delta table, or of what is named in its folder, the files are those that are part of it now.

    Raises
    ------
    InputError
        If it means no file, cannot be read, or is part of a table that cannot be read as files.
    SetupError
        If it is part of a Delta table, and what reads those is not installed.
    """
    fs, location = (folder or Folder(path)).location
    try:
        fs.invalidate_cache()
        matches = _matches(fs, location)
        files = sorted(_files_of(fs, matches))
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error}.") from error
    if not matches:
        raise InputError(f"'{path}' must match at least one file. It matches none.")
    if not files:
        empty = not any(True for match in matches for _ in _listed(fs, match.info))
        holds = "The folder is empty" if empty else "All that it names is hidden or was removed from a Delta table"
        raise InputError(f"'{path}' must hold at least one file. {holds}.")
    return files


def each_once(files: Iterable[File]) -> list[File]:
    """The files, each once, although paths may overlap and links lead to the same."""
    first: dict[str, File] = {}
    real = _RealPaths()
    for file in files:
        first.setdefault(file.path if "://" in file.path else real(file.path), file)
    return list(first.values())


class _Match(NamedTuple):
    """A file or a folder that a path means, and what of its own path was asked for by name."""

    info: dict[str, Any]
    named: str


def _matches(fs: Any, location: str) -> list[_Match]:
    if fs.exists(location):
        info = fs.info(location)
        return [_Match(info, info["name"])]
    found = []
    for pattern in _without_braces(location):
        fixed = re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0]
        asks_for_hidden = re.search(r"/[_.]", pattern[len(fixed) :])
        for info in _local_glob(fs, pattern) if _is_local(fs) else fs.glob(pattern, detail=True).values():
            found.append(_Match(info, info["name"] if asks_for_hidden else fixed))
    return found


def _local_glob(fs: Any, pattern: str) -> Iterator[dict[str, Any]]:
    """What a glob matches; unlike fsspec's, it follows links."""
    before, rest, *_ = *re.split(r"(?:^|(?<=/))(?=\*\*(?:/|$))", pattern.replace("[^", "[!"), maxsplit=1), None
    if rest is None:
        yield from (_local_info(fs, path) for path in sorted(glob.glob(before)))
        return
    for base in sorted(glob.glob(before)):
        for info in _listed(fs, _local_info(fs, base)):
            if _is_below(info["name"][len(base) :].split("/"), rest.split("/")):
                yield info


def _is_below(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the parts of a path, or the first of them, match those of a glob with `**`."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return _is_below(parts, pattern[1:]) or (bool(parts) and _is_below(parts[1:], pattern))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _is_below(parts[1:], pattern[1:])


def _without_braces(pattern: str) -> Iterator[str]:
    """`a{b,c}` → `ab`, `ac`: the one kind of glob that Hadoop knows and fsspec does not."""
    braces = re.search(r"\{([^{}]*)\}", pattern)
    if braces is None:
        yield pattern
        return
    for choice in braces[1].split(","):
        yield from _without_braces(pattern[: braces.start()] + choice + pattern[braces.end() :])


def _files_of(fs: Any, matches: list[_Match]) -> Iterator[File]:
    """The files that the matches are or hold."""
    real = _RealPaths() if _is_local(fs) else str
    listed: dict[str, dict[str, Any]] = {}
    shown: set[str] = set()
    for match in matches:
        for info in _listed(fs, match.info):
            key = real(info["name"])
            listed.setdefault(key, info)
            if not _is_hidden(info["name"].removeprefix(match.named)):
                shown.add(key)
    named = [match.info["name"] for match in matches]
    tables = delta_tables_below(info["name"] for info in listed.values())
    tables |= delta_tables_above(fs, dict.fromkeys(path for name in named for path in (name, real(name))))
    live = {}
    for table in sorted(tables):
        whole = any(f"{table}/".startswith(f"{name}/") for name in named)
        for place, values in live_files(fs, table).items():
            place = _path_on(fs, place)
            if (key := real(place)) in listed:
                live[key] = _file(fs, listed[key], values)
            elif whole:
                live[key] = _file_elsewhere(fs, table, place, values)
    yield from live.values()
    folders = tuple(f"{table}/" for table in tables)
    for key, info in listed.items():
        if key in shown and key not in live and not (info["name"].startswith(folders) or key.startswith(folders)):
            yield _file(fs, info, _partition_values(info["name"]))


def _listed(fs: Any, match: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A file, or all files below a folder, links followed, each folder once."""
    if match["type"] != "directory":
        yield match
    elif not _is_local(fs):
        yield from fs.find(match["name"], detail=True).values()
    else:
        seen: set[str] = set()
        links: list[str] = []
        waiting: list[str] = [match["name"]]
        while waiting or links:
            folder = waiting.pop() if waiting else links.pop(0)
            if (real := os.path.realpath(folder)) in seen:
                continue
            seen.add(real)
            for entry in sorted(os.scandir(folder), key=lambda entry: (entry.is_symlink(), entry.name)):
                if entry.is_dir():
                    (links if entry.is_symlink() else waiting).append(entry.path)
                else:
                    yield _local_file(entry)


def _local_info(fs: Any, path: str) -> dict[str, Any]:
    try:
        info: dict[str, Any] = fs.info(path)
        return info
    except FileNotFoundError:
        return {"name": path, "type": "other", "size": 0}  # a link to nothing


def _local_file(entry: os.DirEntry[str]) -> dict[str, Any]:
    if not entry.is_file():
        return {"name": entry.path, "type": "other", "size": 0}
    status = entry.stat()
    return {"name": entry.path, "type": "file", "size": status.st_size, "mtime": status.st_mtime}


def _file(fs: Any, info: dict[str, Any], values: dict[str, str | None]) -> File:
    path = info["name"] if _is_local(fs) else fs.unstrip_protocol(info["name"])
    if info["type"] == "other":
        raise InputError(f"'{path}' must be a file or a folder. It is a special file such as a pipe, or a broken link.")
    stamp = next((str(info[key]) for key in _STAMPS if key in info), "")
    return File(path, info["size"], stamp, tuple(values.items()))


def _file_elsewhere(fs: Any, table: str, place: str, values: dict[str, str | None]) -> File:
    """A live file that is not in its table's folder, as in a shallow clone, or came after the folder was listed."""
    try:
        if "://" in place:
            fs, place = Folder(place).location
        return _file(fs, fs.info(place), values)
    except FileNotFoundError as error:
        raise InputError(
            f"'{table}' must hold every file that its log names. '{place}' is gone. Restore the table, or leave it out."
        ) from error


def _is_hidden(path: str) -> bool:
    """Whether a name that nobody typed keeps a file from being read, as Spark has it."""
    return any(
        part.startswith(".") or (part.startswith("_") and "=" not in part) or part.endswith("._COPYING_")
        for part in path.split("/")
    )


def _path_on(fs: Any, place: str) -> str:
    """A file's path as the file system has it; its URL, if it is on another one."""
    if "://" not in place:
        return place
    other, path = Folder(place).location
    return path if type(other) is type(fs) else place


def _partition_values(path: str) -> dict[str, str | None]:
    """The columns that stand in the names of a partitioned folder: `overall=5/part-0.parquet`."""
    pairs = [part.split("=", 1) for part in path.split("/")[:-1] if "=" in part]
    return {unquote(name): None if value == _NO_VALUE else unquote(value) for name, value in pairs}


def _is_local(fs: Any) -> bool:
    return "file" in fs.protocol


class _RealPaths:
    """The path of a local file with no link in it; of a folder's many files, the folder is asked once."""

    def __init__(self) -> None:
        self._folder = functools.cache(os.path.realpath)

    def __call__(self, path: str) -> str:
        folder, name = os.path.split(path)
        return os.path.realpath(path) if os.path.islink(path) else os.path.join(self._folder(folder), name)
