"""Folders on any file system that fsspec knows: read, written, listed, moved and removed."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import fsspec

from sentispark.errors import InputError, SentisparkError, SetupError, sentence_of

__all__ = ["Folder", "is_url"]

# Hadoop's names for file systems, and fsspec's for the same.
_SCHEMES = {"s3a://": "s3://", "s3n://": "s3://", "dbfs:/": "/dbfs/"}

# Where there are no folders, and making one could make a bucket.
_OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "oci", "r2"}


def is_url(path: str) -> bool:
    """Whether a path says on which file system it is; `reviews_10:30.jsonl` has a colon and does not."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.-]*:/", path) is not None


@dataclasses.dataclass(frozen=True)
class Folder:
    """A folder at a path or URL; Hadoop's `s3a://` and `dbfs:/` are understood. Holds no connection; can be sent.

    Attributes
    ----------
    url : str
    anchor : str, optional
        The path of a file that must be there for anything to be written. It goes when the folder is given up, so that
        a task that is still at work then does not make the folder anew.

    Raises
    ------
    InputError
        If the path is empty.
    """

    url: str
    anchor: str | None = dataclasses.field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.url.strip() or self.url in ("file:", "file://"):
            raise InputError("A path must name a file or a folder. Got an empty one.")

    @property
    def location(self) -> tuple[fsspec.AbstractFileSystem, str]:
        """The file system, as fsspec has it, and the path there. Raises `SetupError` if it cannot be reached."""
        url = self.url
        for hadoop, ours in _SCHEMES.items():
            if url.startswith(hadoop):
                url = ours + url.removeprefix(hadoop).lstrip("/")
        if not is_url(url) or url.startswith("file:"):
            # Not by its URL: there '::' means something.
            return fsspec.filesystem("file"), _local_path(url)
        try:
            fs, path = fsspec.core.url_to_fs(url)
            return fs, str(path)
        except (ImportError, ValueError) as error:
            problem = sentence_of(error)
            raise SetupError(f"'{self.url}' is on a file system that cannot be reached from here: {problem}") from error

    @property
    def is_local(self) -> bool:
        """Whether the folder is on this machine's own file system."""
        return "file" in self.location[0].protocol

    @property
    def absolute(self) -> str:
        """The folder's full URL, `file://` where it is local."""
        # Other file systems keep their URL: taken apart and put together it may lose its host.
        return f"file://{self.path()}" if self.is_local else self.url

    def absolute_folder(self) -> Folder:
        """The same folder by its absolute path, where it is local."""
        return Folder(self.path()) if self.is_local else self

    def resolved(self) -> Folder:
        """The same folder by its absolute path, links followed, where it is local."""
        return Folder(str(Path(self.path()).resolve())) if self.is_local else self

    def child(self, name: str) -> Folder:
        """The folder below this one, `/` between the parts of its name."""
        return Folder(f"{self.url.rstrip('/')}/{name}", self.anchor)

    def path(self, name: str = "") -> str:
        """The path of a file as its file system writes it, without the scheme."""
        path = self.location[1]
        return f"{path.rstrip('/')}/{name}" if name else path

    def exists(self, name: str = "") -> bool:
        """Whether the folder, or the file of that name in it, is there."""
        with self._reached() as fs:
            fs.invalidate_cache()
            return bool(fs.exists(self.path(name)))

    def is_file(self) -> bool:
        """Whether what is there is a file."""
        with self._reached() as fs:
            fs.invalidate_cache()
            return bool(fs.isfile(self.path()))

    def names(self) -> list[str]:
        """The names of all that is right in the folder, sorted."""
        return sorted(self.sizes())

    def sizes(self) -> dict[str, int]:
        """The names of the files right in the folder, and their sizes in bytes; empty where there is no folder."""
        with self._reached() as fs:
            fs.invalidate_cache()
            if not fs.exists(self.path()):
                return {}
            return {info["name"].rsplit("/", 1)[1]: info["size"] for info in fs.ls(self.path(), detail=True)}

    def files(self) -> list[str]:
        """The paths, below the folder, of all files in it and in those below it, sorted."""
        with self._reached() as fs:
            fs.invalidate_cache()
            above = f"{self.path().rstrip('/')}/"
            return sorted(file.removeprefix(above) for file in fs.find(self.path()) if file.startswith(above))

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises FileNotFoundError."""
        with self._reached() as fs:
            content: bytes = fs.cat_file(self.path(name))
            return content

    def open(self, name: str) -> BinaryIO:
        """A file open for reading, as a binary stream that can seek. Raises FileNotFoundError."""
        with self._reached() as fs:
            stream: BinaryIO = fs.open(self.path(name), "rb")
            return stream

    def write(self, name: str, content: bytes | str) -> None:
        """Write a file so that under its name there is never a half of it.

        Raises
        ------
        FileNotFoundError
            If the folder has an anchor that is gone.
        """
        content = content.encode() if isinstance(content, str) else content
        with self._reached() as fs:
            if self.anchor and not fs.exists(self.anchor):
                raise FileNotFoundError(f"'{self.url}' is no longer written: the job that began it has ended.")
            target = self.path(name)
            if self._has_folders:
                fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            if not self.is_local:
                fs.pipe_file(target, content)  # object stores show a file only once it is whole
                return
            draft = f"{target}.{uuid.uuid4().hex}.draft"
            try:
                fs.pipe_file(draft, content)
                os.replace(draft, target)
            finally:
                if os.path.exists(draft):
                    os.unlink(draft)

    def make(self) -> None:
        """Make the folder and those above it, where they are not there yet and the file system has folders."""
        with self._reached() as fs:
            if self._has_folders:
                fs.makedirs(self.path(), exist_ok=True)

    def remove(self) -> None:
        """Remove the folder with all it holds, if it is there."""
        with self._reached() as fs:
            fs.invalidate_cache()
            if fs.exists(self.path()):
                fs.rm(self.path(), recursive=True)

    def remove_file(self, name: str) -> None:
        """Remove a file. Raises FileNotFoundError."""
        with self._reached() as fs:
            fs.rm_file(self.path(name))

    @property
    def renames(self) -> bool:
        """Whether the file system gives a folder another name in a single step; object stores copy its files."""
        fs, _ = self.location
        # fsspec's own way is to copy, through this process.
        return self._has_folders and type(fs).mv is not fsspec.AbstractFileSystem.mv

    def move_to(self, target: Folder) -> None:
        """Give the folder another place on the same file system, where there must be nothing."""
        with self._reached() as fs:
            fs.invalidate_cache()
            path = self.path()
            if self.is_local:
                os.rename(path, target.path())  # fsspec's would move it into a folder that is there
            elif self.renames:
                fs.mv(path, target.path())
            else:
                # Copying a folder as one fails on the parts of names that look like folders.
                files = fs.find(path)
                fs.copy(files, [target.path() + file.removeprefix(path) for file in files])
                fs.rm(path, recursive=True)

    @property
    def _has_folders(self) -> bool:
        protocols = self.location[0].protocol
        return _OBJECT_STORES.isdisjoint([protocols] if isinstance(protocols, str) else protocols)

    @contextlib.contextmanager
    def _reached(self) -> Iterator[fsspec.AbstractFileSystem]:
        """The file system. What goes wrong there is told as it is, or as a `SetupError` where it is no OSError."""
        fs, _ = self.location
        try:
            yield fs
        except (OSError, SentisparkError):
            raise
        except Exception as error:  # each file system has its own: of credentials, of its connection
            raise SetupError(f"'{self.url}' cannot be reached: {sentence_of(error)}") from error


def _local_path(path: str) -> str:
    path = re.sub(r"^file:(//(localhost)?(?=/))?", "", path)
    # Not normalised: what '..' leads to behind a link, the system knows.
    return os.path.join(os.getcwd(), os.path.expanduser(path)).rstrip("/") or "/"
