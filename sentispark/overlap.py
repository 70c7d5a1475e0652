"""Whether an output would take the place of what is read: by where paths lead, not by how they are written."""

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

# Where something is: a file system and a path there; locally also what the system knows a folder by.
Place = tuple[object, ...]


def require_apart(output: Folder, *, files: Iterable[str] = (), folders: Iterable[Folder] = ()) -> None:
    """Return if an output holds nothing that is read, and lies in no dataset or model that is read.

    Links, `..`, mounts and different names of one file system are followed.

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
        Naming both.
    """
    folders = list(folders)
    own = _places(output.url)
    names = {os.path.basename(str(place[1])) for place in own}
    above_of = functools.cache(_places_above)
    for path in itertools.chain((folder.url for folder in folders), files):
        parent, _, name = path.rpartition("/")
        # Of many files in one folder the way to it is followed once; few are worth a look of their own.
        alone = name in names or not name or parent in ("", ".", "..") or parent.endswith(":/") or os.path.islink(path)
        if not own.isdisjoint(_places_above(path) if alone else above_of(parent)):
            same = not own.isdisjoint(_places(path))
            raise InputError(
                f"The output '{output.url}' must not {'be' if same else 'hold'} what is read, '{path}'. "
                "Name another output."
            )
    above = _places_above(output.url)
    for folder in folders:
        if not above.isdisjoint(_places(folder.url)):
            raise InputError(
                f"The output '{output.url}' must not lie in what is read, '{folder.url}'. Name another output."
            )


def _places_above(path: str) -> set[Place]:
    """Where a path leads, and all that is above that."""
    folder = Folder(path)
    if not folder.is_local:
        return set(_above(*_remote(folder)))
    return _places(path) | _local_above(folder.path()) | _local_above(os.path.dirname(folder.path()))


def _places(path: str) -> set[Place]:
    """Where a path itself leads."""
    folder = Folder(path)
    if not folder.is_local:
        return {_remote(folder)}
    return {
        ("file", os.path.normpath(folder.path())),
        ("file", os.path.realpath(folder.path())),
        *_itself(folder.path()),
    }


def _local_above(path: str) -> set[Place]:
    places: set[Place] = set()
    for way in {os.path.normpath(path), os.path.realpath(path)}:
        for _, above in _above("file", way):
            places |= {("file", above), *_itself(above)}
    return places


def _itself(path: str) -> Iterator[Place]:
    """A folder by its number: mounts and file systems that ignore case have several names for one."""
    try:
        found = os.stat(path)
    except OSError:
        return
    yield "number", found.st_dev, found.st_ino


def _above(system: str, path: str) -> Iterator[tuple[str, str]]:
    yield system, path
    while (above := posixpath.dirname(path)) not in (path, ""):
        path = above
        yield system, path


def _remote(folder: Folder) -> tuple[str, str]:
    fs, path = folder.location
    protocol = fs.protocol if isinstance(fs.protocol, str) else fs.protocol[0]
    host = urlsplit(folder.url).hostname or ""
    # Of some file systems the path begins with the host or bucket, of others it does not tell them.
    system = protocol if path.lstrip("/").split("/")[0].lower() == host else f"{protocol}://{host}"
    return system, posixpath.normpath(path)
