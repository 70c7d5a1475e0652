"""Paths, folders and globs to files. Knows file systems, not Spark."""

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

__all__ = ["find_files", "unique_files"]

# The names under which fsspec's file systems report a file's modification time or tag.
_STAMPS = ("ETag", "etag", "mtime", "LastModified", "last_modified")
_NO_VALUE = "__HIVE_DEFAULT_PARTITION__"


def find_files(path: str, folder: Folder | None = None) -> list[File]:
    """The files of a path: a file, a folder with everything below it, or a glob (`*`, `?`, `[a-z]`, `**`, `{a,b}`).

    A path that exists is taken literally, whatever characters are in it. Below a folder, and among the matches of a
    glob, names that begin with `_` or `.` are skipped, as in Spark. A file that several links lead to is one file. Of a
    Delta table, or a path inside it, only the live files are returned.

    Parameters
    ----------
    path : str
        As the user typed it; errors name it so.
    folder : Folder, optional
        The resolved path, if it differs from where Python would look.

    Raises
    ------
    InputError
        If the path matches no file, cannot be read, or is part of a table that cannot be read as files.
    SetupError
        If the path is part of a Delta table and deltalake is not installed.
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
        holds = "The folder is empty" if empty else "All its files are hidden or were removed from a Delta table"
        raise InputError(f"'{path}' must hold at least one file. {holds}.")
    return files


def unique_files(files: Iterable[File]) -> list[File]:
    """Each file once, although paths may overlap and several links may lead to the same file."""
    first: dict[str, File] = {}
    real = _RealPaths()
    for file in files:
        first.setdefault(file.path if "://" in file.path else real(file.path), file)
    return list(first.values())


class _Match(NamedTuple):
    """A matching file or folder, and the part of its path that the user typed literally."""

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
    """The matches of a glob. Unlike fsspec's glob, it follows links."""
    before, rest, *_ = *re.split(r"(?:^|(?<=/))(?=\*\*(?:/|$))", pattern.replace("[^", "[!"), maxsplit=1), None
    if rest is None:
        yield from (_local_info(fs, path) for path in sorted(glob.glob(before)))
        return
    for base in sorted(glob.glob(before)):
        for info in _listed(fs, _local_info(fs, base)):
            if _is_below(info["name"][len(base) :].split("/"), rest.split("/")):
                yield info


def _is_below(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    """Whether the leading parts of a path match a glob with `**`."""
    if not pattern:
        return True
    if pattern[0] == "**":
        return _is_below(parts, pattern[1:]) or (bool(parts) and _is_below(parts[1:], pattern))
    return bool(parts) and fnmatch.fnmatchcase(parts[0], pattern[0]) and _is_below(parts[1:], pattern[1:])


def _without_braces(pattern: str) -> Iterator[str]:
    """`a{b,c}` → `ab`, `ac`, which Hadoop's globs support and fsspec's do not."""
    braces = re.search(r"\{([^{}]*)\}", pattern)
    if braces is None:
        yield pattern
        return
    for choice in braces[1].split(","):
        yield from _without_braces(pattern[: braces.start()] + choice + pattern[braces.end() :])


def _files_of(fs: Any, matches: list[_Match]) -> Iterator[File]:
    """The matching files, and the files below matching folders."""
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
        for path, values in live_files(fs, table).items():
            path = _path_on(fs, path)
            if (key := real(path)) in listed:
                live[key] = _file(fs, listed[key], values)
            elif whole:
                live[key] = _file_elsewhere(fs, table, path, values)
    yield from live.values()
    folders = tuple(f"{table}/" for table in tables)
    for key, info in listed.items():
        if key in shown and key not in live and not (info["name"].startswith(folders) or key.startswith(folders)):
            yield _file(fs, info, _partition_values(info["name"]))


def _listed(fs: Any, match: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A file, or all files below a folder. Links are followed, and each folder is visited once."""
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
        return {"name": path, "type": "other", "size": 0}  # a broken link


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


def _file_elsewhere(fs: Any, table: str, path: str, values: dict[str, str | None]) -> File:
    """A live file outside its table's folder, as in a shallow clone, or added after the folder was listed."""
    try:
        if "://" in path:
            fs, path = Folder(path).location
        return _file(fs, fs.info(path), values)
    except FileNotFoundError as error:
        raise InputError(
            f"'{table}' must hold every file that its log names. '{path}' is missing. Restore or leave out the table."
        ) from error


def _is_hidden(path: str) -> bool:
    """Whether a part of the path hides the file by Spark's rules."""
    return any(
        part.startswith(".") or (part.startswith("_") and "=" not in part) or part.endswith("._COPYING_")
        for part in path.split("/")
    )


def _path_on(fs: Any, url: str) -> str:
    """A file's path on this file system; its URL if it is on another file system."""
    if "://" not in url:
        return url
    other, path = Folder(url).location
    return path if type(other) is type(fs) else url


def _partition_values(path: str) -> dict[str, str | None]:
    """The values in the names of partition folders: `overall=5/part-0.parquet`."""
    pairs = [part.split("=", 1) for part in path.split("/")[:-1] if "=" in part]
    return {unquote(name): None if value == _NO_VALUE else unquote(value) for name, value in pairs}


def _is_local(fs: Any) -> bool:
    return "file" in fs.protocol


class _RealPaths:
    """Resolves the links in local paths. Each folder is resolved once, however many of its files are asked for."""

    def __init__(self) -> None:
        self._folder = functools.cache(os.path.realpath)

    def __call__(self, path: str) -> str:
        folder, name = os.path.split(path)
        return os.path.realpath(path) if os.path.islink(path) else os.path.join(self._folder(folder), name)
