"""Folders on any file system that fsspec supports: read, write, list, move, remove."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

import fsspec

from sentispark.errors import InputError, SentisparkError, SetupError, sentence_of

__all__ = ["Folder", "is_url"]

# The URL schemes of Hadoop and those of fsspec for the same file systems.
_SCHEMES = {"s3a://": "s3://", "s3n://": "s3://", "dbfs:/": "/dbfs/"}

# Stores without real folders, in which making a folder could create a bucket.
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "r2"}


def is_url(path: str) -> bool:
    """Whether a path starts with the scheme of a file system.

    >>> is_url("s3://bucket/reviews"), is_url("reviews_10:30.jsonl")
    (True, False)
    """
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", path) is not None


@dataclasses.dataclass(frozen=True)
class Folder:
    """A folder at a path or URL, Hadoop's `s3a://` and `dbfs:/` included.

    It holds no connection, so it can be sent to tasks.

    Attributes
    ----------
    url : str
    staging : str, optional
        The path of a staging folder, directly in this folder or in a parent of it. Nothing is written unless it exists.
        It is removed when writing ends, so that a task that is still running neither adds a file nor creates a removed
        folder again. Where the file system renames folders (`renames`), files are written there and then moved to their
        place, so the incomplete file of a task that was killed is removed with it.

    Raises
    ------
    InputError
        If the path is empty.
    """

    url: str
    staging: str | None = dataclasses.field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.url.strip() or self.url in ("file:", "file://"):
            raise InputError("A path must name a file or a folder. Got an empty path.")

    @property
    def location(self) -> tuple[fsspec.AbstractFileSystem, str]:
        """The fsspec file system and the path in it. Raises `SetupError` if the file system cannot be reached."""
        url = self.url
        for hadoop, ours in _SCHEMES.items():
            if url.startswith(hadoop):
                url = ours + url.removeprefix(hadoop).lstrip("/")
        if not is_url(url) or url.startswith("file:"):
            # Not through url_to_fs, to which '::' means chained file systems.
            return fsspec.filesystem("file"), _local_path(url)
        try:
            fs, path = fsspec.core.url_to_fs(url)
            return fs, str(path)
        except (ImportError, ValueError) as error:
            problem = sentence_of(error)
            raise SetupError(f"'{self.url}' is on a file system that cannot be reached from here: {problem}") from error

    @property
    def is_local(self) -> bool:
        """Whether the folder is on this machine's file system."""
        return "file" in self.location[0].protocol

    @property
    def absolute(self) -> str:
        """The folder's full URL; it starts with `file://` if the folder is local."""
        # The URLs of other file systems stay as they are: rebuilt from its parts, one may lose its host.
        return f"file://{self.path()}" if self.is_local else self.url

    def absolute_folder(self) -> Folder:
        """The same folder, by its absolute path if it is local."""
        return Folder(self.path()) if self.is_local else self

    def resolved(self) -> Folder:
        """The same folder, by its absolute path without links if it is local."""
        return Folder(str(Path(self.path()).resolve())) if self.is_local else self

    def child(self, name: str) -> Folder:
        """A folder below this one; its name may have several parts, separated by `/`."""
        return Folder(f"{self.url.rstrip('/')}/{name}", self.staging)

    def path(self, name: str = "") -> str:
        """The path of the folder, or of a file in it, on its file system, without the scheme."""
        path = self.location[1]
        return f"{path.rstrip('/')}/{name}" if name else path

    def exists(self, name: str = "") -> bool:
        """Whether the folder, or the file of that name in it, exists."""
        with self._connected() as fs:
            fs.invalidate_cache()
            return bool(fs.exists(self.path(name)))

    def is_file(self) -> bool:
        """Whether the path leads to a file instead of a folder."""
        with self._connected() as fs:
            fs.invalidate_cache()
            return bool(fs.isfile(self.path()))

    def names(self) -> list[str]:
        """The names of the files and folders directly in the folder, sorted."""
        return sorted(self.sizes())

    def sizes(self) -> dict[str, int]:
        """The names in the folder with their sizes in bytes; empty if the folder does not exist."""
        with self._connected() as fs:
            fs.invalidate_cache()
            if not fs.exists(self.path()):
                return {}
            return {info["name"].rsplit("/", 1)[1]: info["size"] for info in fs.ls(self.path(), detail=True)}

    def files(self) -> list[str]:
        """The paths of all files in the folder and in its subfolders, relative to the folder and sorted."""
        with self._connected() as fs:
            fs.invalidate_cache()
            above = f"{self.path().rstrip('/')}/"
            return sorted(file.removeprefix(above) for file in fs.find(self.path()) if file.startswith(above))

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises FileNotFoundError."""
        with self._connected() as fs:
            content: bytes = fs.cat_file(self.path(name))
            return content

    def open(self, name: str) -> BinaryIO:
        """A file opened for reading, as a binary stream that can seek. Raises FileNotFoundError."""
        with self._connected() as fs:
            stream: BinaryIO = fs.open(self.path(name), "rb")
            return stream

    def write(self, name: str, content: bytes | str | Sequence[bytes | memoryview]) -> None:
        """Write a file atomically: its name never leads to an incomplete file.

        Parameters
        ----------
        name : str
        content : bytes, str or sequence of bytes
            The content, or pieces of it in their order.

        Raises
        ------
        FileNotFoundError
            If the folder's `staging` has been removed.
        """
        content = content.encode() if isinstance(content, str) else content
        pieces = [content] if isinstance(content, bytes) else content
        with self._connected() as fs:
            if self.staging and not fs.exists(self.staging):
                raise FileNotFoundError(f"'{self.url}' is no longer written to: the job that started it has ended.")
            target = self.path(name)
            if self.renames:
                self._write_beside(fs, target, pieces)
                return
            if self._has_folders:
                fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            fs.pipe_file(target, b"".join(pieces))  # an object store shows a file only once it is complete

    def _write_beside(self, fs: fsspec.AbstractFileSystem, target: str, pieces: Sequence[bytes | memoryview]) -> None:
        """Write to another name, and rename."""
        unique = uuid.uuid4().hex
        draft = f"{self.staging}/{unique}" if self.staging else f"{target}.{unique}.draft"
        if not self.staging:
            fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        try:
            with fs.open(draft, "wb") as file:
                for piece in pieces:
                    file.write(piece)
            if self.staging:
                _make_below(fs, self.staging.rsplit("/", 1)[0], target.rsplit("/", 1)[0])
            if self.is_local:
                os.replace(draft, target)
            else:
                _move_over(fs, draft, target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                fs.rm_file(draft)
            raise

    def modified(self, name: str) -> datetime:
        """When a file was last written, by the clock of its file system. Raises FileNotFoundError."""
        with self._connected() as fs:
            fs.invalidate_cache()
            changed: datetime = fs.modified(self.path(name))
            return changed if changed.tzinfo else changed.replace(tzinfo=timezone.utc)

    def make(self) -> None:
        """Create the folder and its parents if they do not exist; does nothing on an object store."""
        with self._connected() as fs:
            if self._has_folders:
                fs.makedirs(self.path(), exist_ok=True)

    def remove(self) -> None:
        """Remove the folder with everything in it, if it exists."""
        with self._connected() as fs:
            fs.invalidate_cache()
            path = self.path()
            if not fs.exists(path):
                return
            # What inherits fsspec's own `rm` takes the name for a pattern, as do object stores.
            inherited = type(fs).rm is fsspec.AbstractFileSystem.rm
            takes_patterns = inherited if self.renames else re.search(r"[][*?]", path)
            if not takes_patterns:
                fs.rm(path, recursive=True)
                return
            for file in fs.find(path):
                fs.rm_file(file)
            if self._has_folders:
                for folder, _, _ in fs.walk(path, topdown=False):
                    fs.rmdir(folder)

    def remove_file(self, name: str) -> None:
        """Remove a file. Raises FileNotFoundError."""
        with self._connected() as fs:
            fs.rm_file(self.path(name))

    @property
    def renames(self) -> bool:
        """Whether the file system renames a folder in a single step; object stores copy its files."""
        fs, _ = self.location
        # fsspec's default implementation copies, through this process.
        return self._has_folders and type(fs).mv is not fsspec.AbstractFileSystem.mv

    def move_to(self, target: Folder) -> None:
        """Rename the folder, on a file system that can (`renames`), to a path at which nothing exists."""
        with self._connected() as fs:
            fs.invalidate_cache()
            if self.is_local:
                os.rename(self.path(), target.path())  # fsspec's mv would move it into an existing folder
            else:
                fs.mv(self.path(), target.path())

    def copy_to(self, target: Folder) -> None:
        """Copy all files to a path on the same file system.

        When this ends, even by an interrupt, nothing is being copied any more: fsspec copies in a thread of its own,
        which an interrupt does not stop.
        """
        with self._connected() as fs, ThreadPoolExecutor(1) as thread:
            fs.invalidate_cache()
            path = self.path()
            # A recursive copy fails where the prefix of a name looks like a folder.
            files = fs.find(path)
            thread.submit(fs.copy, files, [target.path() + file.removeprefix(path) for file in files]).result()

    @property
    def _has_folders(self) -> bool:
        protocols = self.location[0].protocol
        return _OBJECT_STORES.isdisjoint([protocols] if isinstance(protocols, str) else protocols)

    @contextlib.contextmanager
    def _connected(self) -> Iterator[fsspec.AbstractFileSystem]:
        """The file system. Its errors are raised as they are if they are OSErrors, and as `SetupError` otherwise."""
        fs, _ = self.location
        try:
            yield fs
        except (OSError, SentisparkError):
            raise
        except Exception as error:  # each file system has its own errors of credentials and connections
            raise SetupError(f"'{self.url}' cannot be reached: {sentence_of(error)}") from error


def _local_path(path: str) -> str:
    path = re.sub(r"^file:(//(localhost)?(?=/))?", "", path)
    # Not normalized: only the operating system knows where '..' leads after a link.
    return os.path.join(os.getcwd(), os.path.expanduser(path)).rstrip("/") or "/"


def _make_below(fs: fsspec.AbstractFileSystem, root: str, folder: str) -> None:
    """Create a folder and its parents below a root, but not the root: it may have been moved away meanwhile."""
    path = root
    for part in filter(None, folder.removeprefix(root).split("/")):
        path = f"{path}/{part}"
        with contextlib.suppress(FileExistsError):
            fs.mkdir(path, create_parents=False)


def _move_over(fs: fsspec.AbstractFileSystem, path: str, target: str) -> None:
    """Rename a file, also where that does not replace another one."""
    try:
        fs.mv(path, target)
    except OSError:
        if not fs.exists(target):
            raise
        fs.rm_file(target)
        fs.mv(path, target)
