"""A file system that is not local but renames folders, as HDFS is, and whose renames do not replace a file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

PROTOCOL = "renaming"


class RenamingFileSystem(LocalFileSystem):
    """Local files under another protocol."""

    protocol = PROTOCOL

    @classmethod
    def _strip_protocol(cls, path: Any, *options: Any) -> Any:
        return super()._strip_protocol(os.fspath(path).removeprefix(f"{PROTOCOL}://"))

    def mv(self, path1: str, path2: str, **options: Any) -> None:
        """Rename; raises FileExistsError."""
        if os.path.lexists(path2):
            raise FileExistsError(path2)
        os.rename(path1, path2)


class GlobbingFileSystem(RenamingFileSystem):
    """One that takes the names that it removes for patterns, as SFTP's and SMB's do."""

    protocol = "globbing"
    rm = fsspec.AbstractFileSystem.rm

    @classmethod
    def _strip_protocol(cls, path: Any, *options: Any) -> Any:
        return super()._strip_protocol(os.fspath(path).removeprefix("globbing://"))


def globbing_folder(path: Path) -> str:
    """The URL of a local folder on that file system."""
    fsspec.register_implementation("globbing", GlobbingFileSystem, clobber=True)
    return f"globbing://{path}"


def renaming_folder(path: Path) -> str:
    """The URL of a local folder on that file system."""
    fsspec.register_implementation(PROTOCOL, RenamingFileSystem, clobber=True)
    return f"{PROTOCOL}://{path}"
