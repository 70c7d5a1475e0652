"""Whether an output would replace an input; paths are compared by where they lead, not by how they are written."""

from __future__ import annotations

import functools
import itertools
import os
import posixpath
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from sentispark.errors import InputError
from sentispark.files import Folder

__all__ = ["require_apart"]

# A file system and a path in it, or the device and inode of a local folder.
Location = tuple[object, ...]


def require_apart(output: Folder, *, files: Iterable[str] = (), folders: Iterable[Folder] = ()) -> None:
    """Raise if an output is or contains an input, or is inside a dataset or model that is read.

    Links, `..`, mounts and different schemes of one file system are resolved.

    Parameters
    ----------
    output : Folder
    files : iterable of str
        Paths or URLs of files.
    folders : iterable of Folder
        Datasets and models; an output below one would be part of it.

    Raises
    ------
    InputError
        With both paths.
    """
    folders = list(folders)
    own = _locations(output.url)
    names = {os.path.basename(str(location[1])) for location in own}
    with_parents = functools.cache(_locations_with_parents)
    for path in itertools.chain((folder.url for folder in folders), files):
        parent, _, name = path.rpartition("/")
        # Files are compared by their folder, which is resolved once, unless they may be links or the output itself.
        alone = name in names or not name or parent in ("", ".", "..") or parent.endswith(":/") or os.path.islink(path)
        if not own.isdisjoint(_locations_with_parents(path) if alone else with_parents(parent)):
            same = not own.isdisjoint(_locations(path))
            relation = "is the same as" if same else "contains"
            raise InputError(f"The output '{output.url}' {relation} the input '{path}'. Name another output.")
    parents = _locations_with_parents(output.url)
    for folder in folders:
        if not parents.isdisjoint(_locations(folder.url)):
            raise InputError(f"The output '{output.url}' is inside the input '{folder.url}'. Name another output.")


def _locations_with_parents(path: str) -> set[Location]:
    """The locations of a path and of all folders above it."""
    folder = Folder(path)
    if not folder.is_local:
        return set(_with_parents(*_remote(folder)))
    return _locations(path) | _local_parents(folder.path()) | _local_parents(os.path.dirname(folder.path()))


def _locations(path: str) -> set[Location]:
    """The locations of a path itself."""
    folder = Folder(path)
    if not folder.is_local:
        return {_remote(folder)}
    return {
        ("file", os.path.normpath(folder.path())),
        ("file", os.path.realpath(folder.path())),
        *_inode(folder.path()),
    }


def _local_parents(path: str) -> set[Location]:
    locations: set[Location] = set()
    for resolved in {os.path.normpath(path), os.path.realpath(path)}:
        for _, parent in _with_parents("file", resolved):
            locations |= {("file", parent), *_inode(parent)}
    return locations


def _inode(path: str) -> Iterator[Location]:
    """A folder by its inode: with mounts, and where case is ignored, one folder has several paths."""
    try:
        found = os.stat(path)
    except OSError:
        return
    yield "inode", found.st_dev, found.st_ino


def _with_parents(system: str, path: str) -> Iterator[tuple[str, str]]:
    yield system, path
    while (parent := posixpath.dirname(path)) not in (path, ""):
        path = parent
        yield system, path


def _remote(folder: Folder) -> tuple[str, str]:
    fs, path = folder.location
    protocol = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
    host = urlsplit(folder.url).hostname or ""
    # On some file systems the path starts with the host or bucket; on others it does not contain it.
    system = protocol if path.lstrip("/").split("/")[0].lower() == host else f"{protocol}://{host}"
    return system, posixpath.normpath(path)
