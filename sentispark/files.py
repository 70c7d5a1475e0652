"""Folders on any file system that fsspec knows: read, list, and put a finished folder in its place at once."""

from __future__ import annotations

import contextlib
import dataclasses
import uuid
from collections.abc import Iterator
from pathlib import Path

import fsspec

from sentispark.errors import DatasetError, SetupError

__all__ = ["Folder", "replaced_folder"]

# Hadoop's names for file systems, and fsspec's for the same.
_SCHEMES = {"s3a://": "s3://", "s3n://": "s3://", "dbfs:/": "/dbfs/"}


@dataclasses.dataclass(frozen=True)
class Folder:
    """A folder at a path or URL; Hadoop's `s3a://` and `dbfs:/` are understood. Holds no connection; can be sent."""

    url: str

    @property
    def location(self) -> tuple[fsspec.AbstractFileSystem, str]:
        """The file system, as fsspec has it, and the path there. Raises `SetupError` if it cannot be reached."""
        url = self.url
        for hadoop, ours in _SCHEMES.items():
            if url.startswith(hadoop):
                url = ours + url.removeprefix(hadoop).lstrip("/")
        try:
            return fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise SetupError(f"'{self.url}' is on a file system that cannot be reached from here: {error}.") from error

    @property
    def is_local(self) -> bool:
        """Whether the folder is on this machine's own file system."""
        return "file" in self.location[0].protocol

    @property
    def absolute(self) -> str:
        """The folder's full URL, `file://` where it is local."""
        fs, path = self.location
        # Other file systems keep their URL: taken apart and put together it may lose its host.
        return fs.unstrip_protocol(path) if self.is_local else self.url

    def absolute_folder(self) -> Folder:
        """The same folder by its absolute path, where it is local."""
        return Folder(self.path()) if self.is_local else self

    def resolved(self) -> Folder:
        """The same folder by its absolute path, links followed, where it is local."""
        return Folder(str(Path(self.path()).resolve())) if self.is_local else self

    def child(self, name: str) -> Folder:
        """The folder below this one, `/` between the parts of its name."""
        return Folder(f"{self.url.rstrip('/')}/{name}")

    def path(self, name: str = "") -> str:
        """The path of a file as its file system writes it, without the scheme."""
        path = self.location[1]
        return f"{path.rstrip('/')}/{name}" if name else path

    def exists(self, name: str = "") -> bool:
        """Whether the folder, or the file of that name in it, is there."""
        fs, _ = self.location
        fs.invalidate_cache()
        return fs.exists(self.path(name))

    def names(self) -> list[str]:
        """The names of all that is right in the folder, sorted."""
        return sorted(self.sizes())

    def sizes(self) -> dict[str, int]:
        """The names of the files right in the folder, and their sizes in bytes; empty where there is no folder."""
        fs, path = self.location
        fs.invalidate_cache()
        if not fs.exists(path):
            return {}
        return {info["name"].rsplit("/", 1)[1]: info["size"] for info in fs.ls(path, detail=True)}

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises FileNotFoundError."""
        return self.location[0].cat_file(self.path(name))

    def open(self, name: str):
        """A file open for reading, as a binary stream that can seek. Raises FileNotFoundError."""
        return self.location[0].open(self.path(name), "rb")

    def write(self, name: str, content: bytes | str) -> None:
        """Write a file so that under its name there is never a half of it."""
        fs, _ = self.location
        target = self.path(name)
        fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
        content = content.encode() if isinstance(content, str) else content
        if not self.is_local:
            fs.pipe_file(target, content)  # object stores show a file only once it is whole
            return
        draft = f"{target}.{uuid.uuid4().hex}.draft"
        try:
            fs.pipe_file(draft, content)
            fs.mv(draft, target)
        finally:
            if fs.exists(draft):
                fs.rm_file(draft)

    def make(self) -> None:
        """Make the folder and those above it, where they are not there yet."""
        fs, path = self.location
        fs.makedirs(path, exist_ok=True)

    def remove(self) -> None:
        """Remove the folder with all it holds, if it is there."""
        fs, path = self.location
        fs.invalidate_cache()
        if fs.exists(path):
            fs.rm(path, recursive=True)

    def move_to(self, target: Folder) -> None:
        """Give the folder another place on the same file system; on a local one that is a single step."""
        fs, path = self.location
        fs.invalidate_cache()
        if self.is_local:
            fs.mv(path, target.path(), recursive=True)
            return
        # Object stores have no folders, and copying one fails on the parts of names that look like them.
        files = fs.find(path)
        fs.copy(files, [target.path() + file.removeprefix(path) for file in files])
        fs.rm(path, recursive=True)


@contextlib.contextmanager
def replaced_folder(target: Folder, *, overwrite: bool, option: str = "--overwrite") -> Iterator[Folder]:
    """A draft folder beside `target` that takes its place when the block ends well and vanishes when it does not.

    An existing target stays as it is until then. On a local file system the change is two renames; a process that is
    killed between them leaves the old folder whole under the name `TARGET.former-…`.

    Raises
    ------
    DatasetError
        Before anything is done, if the target is there and `overwrite` is false; and at the end, if it has come since.
    """
    _require_free(target, overwrite, option)
    target = target.resolved()
    suffix = uuid.uuid4().hex[:8]
    draft, former = (Folder(f"{target.url.rstrip('/')}.{kind}-{suffix}") for kind in ("draft", "former"))
    try:
        yield draft
        _require_free(target, overwrite, option)
        if target.exists():
            target.move_to(former)
        try:
            draft.move_to(target)
        except BaseException:
            if former.exists():
                former.move_to(target)
            raise
        former.remove()
    finally:
        draft.remove()


def _require_free(target: Folder, overwrite: bool, option: str) -> None:
    if target.exists() and not overwrite:
        raise DatasetError(f"'{target.url}' must not exist yet. It does. Name another output or use {option}.")
    if target.is_local and Path.cwd().is_relative_to(target.resolved().path()):
        raise DatasetError(f"'{target.url}' must not hold the current folder. It does. Name another output.")
