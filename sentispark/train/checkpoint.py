"""Checkpoints in a folder, on any file system: each is a folder of its own that is either complete or not seen.

A checkpoint holds tensors in the safetensors format and everything else as JSON, and a checksum of each file, so one
that was damaged is recognized. Nothing in it can run code.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import re
import uuid
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import xxhash

from sentispark.errors import DatasetError, SentisparkError, SetupError, sentence_of
from sentispark.files import Folder

__all__ = ["Checkpoint", "newest_checkpoint", "open_checkpoint", "remove_checkpoints", "write_checkpoint"]

FORMAT_VERSION = 1
MANIFEST = "checkpoint.json"
_NAME = re.compile(r"step-\d{10}-[0-9a-f]{8}")
_DRAFT = re.compile(rf"_{_NAME.pattern}\.draft")

# What a missing or a damaged file raises; other errors of a file system may pass.
_DAMAGE = (
    *(FileNotFoundError, NotADirectoryError, IsADirectoryError),
    *(ValueError, KeyError, TypeError, AttributeError, RecursionError),
)

Pieces = Sequence[bytes | memoryview]

_log = logging.getLogger(__name__)


class _DamagedError(DatasetError):
    """A checkpoint is incomplete or damaged."""


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint whose files have been checked.

    Attributes
    ----------
    folder : Folder
    step : int
        The steps that were taken, over all epochs.
    content : mapping
        What was given to `write_checkpoint`.
    files : mapping of str to bytes
        What was checked, by file.
    """

    folder: Folder
    step: int
    content: Mapping[str, Any]
    files: Mapping[str, bytes]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.url.rsplit("/", 1)[1]


def write_checkpoint(root: Folder, step: int, content: Mapping[str, Any], files: Mapping[str, Pieces]) -> str:
    """Write a checkpoint; returns its name.

    Where folders can be renamed it is written next to its place and moved there; on an object store its manifest is
    written last. If writing fails, what was written is removed.

    Parameters
    ----------
    root : Folder
    step : int
    content : mapping
        Values that JSON can hold.
    files : mapping of str to sequence of bytes
        The pieces of each file.
    """
    name = f"step-{step:010d}-{uuid.uuid4().hex[:8]}"
    draft = root.child(f"_{name}.draft" if root.renames else name)
    known = {file: {"size": sum(map(len, pieces)), "checksum": _checksum(*pieces)} for file, pieces in files.items()}
    text = json.dumps({"step": step, "content": dict(content), "files": known})
    try:
        for file, pieces in files.items():
            draft.write(file, pieces)
        draft.write(
            MANIFEST,
            json.dumps({"format_version": FORMAT_VERSION, "checksum": _checksum(text.encode()), "checkpoint": text}),
        )
        if root.renames:
            draft.move_to(root.child(name))
    except BaseException:
        with contextlib.suppress(OSError, SentisparkError):
            draft.remove()
        raise
    return name


def newest_checkpoint(root: Folder) -> tuple[Checkpoint | None, list[str]]:
    """The newest complete checkpoint, and the names of the newer ones, which are damaged; a warning names each.

    Raises
    ------
    DatasetError
        If the newest one is of a later format version.
    OSError, SetupError
        If the folder cannot be read at the moment.
    """
    damaged: list[str] = []
    for name in _names(root):
        try:
            return open_checkpoint(root, name), damaged
        except _DamagedError as error:
            _log.warning("%s Falling back to the previous checkpoint, if there is one.", error)
            damaged.append(name)
    return None, damaged


def open_checkpoint(root: Folder, name: str) -> Checkpoint:
    """Open a checkpoint and check all of its files.

    Raises
    ------
    DatasetError
        If a file is missing or damaged, or if it is of a later format version.
    OSError, SetupError
        If it cannot be read at the moment.
    """
    folder = root.child(name)
    try:
        outer = json.loads(folder.read(MANIFEST))
        version, text = outer["format_version"], outer["checkpoint"]
        if version != FORMAT_VERSION:
            raise DatasetError(
                f"'{folder.url}' must be a checkpoint of format version {FORMAT_VERSION}. It is of {version}. Use the "
                "version of sentispark that wrote it, or another folder."
            )
        _require(_checksum(text.encode()) == outer["checksum"], MANIFEST)
        inner = json.loads(text)
        files = {file: folder.read(file) for file in inner["files"]}
        for file, known in inner["files"].items():
            _require(len(files[file]) == known["size"] and _checksum(files[file]) == known["checksum"], file)
        return Checkpoint(folder, inner["step"], inner["content"], files)
    except DatasetError:
        raise
    except _DAMAGE as error:
        raise _DamagedError(f"'{folder.url}' is not a complete checkpoint: {sentence_of(error)}") from error


def remove_checkpoints(root: Folder, *, keep: int, damaged: Collection[str] = ()) -> None:
    """Remove all but the newest checkpoints, those that are known to be damaged, and drafts that a killed run left.

    Raises
    ------
    OSError, SetupError
        If one cannot be removed; all others are.
    """
    kept = [name for name in _names(root) if name not in damaged][:keep]
    failure: Exception | None = None
    for name in root.names():
        draft = _DRAFT.fullmatch(name) and not (kept and name[1:] > min(kept))
        if draft or (_NAME.fullmatch(name) and name not in kept):
            try:
                root.child(name).remove()
            except FileNotFoundError:  # another run is removing it too
                pass
            except (OSError, SetupError) as error:
                failure = error
    if failure:
        raise failure


def _names(root: Folder) -> list[str]:
    """The names of the checkpoints in a folder, complete or not, the newest first."""
    return sorted((name for name in root.names() if _NAME.fullmatch(name)), reverse=True)


def _checksum(*pieces: bytes | memoryview) -> str:
    checksum = xxhash.xxh3_128()
    for piece in pieces:
        checksum.update(piece)
    return checksum.hexdigest()


def _require(holds: bool, file: str) -> None:
    if not holds:
        raise ValueError(f"'{file}' is damaged")
