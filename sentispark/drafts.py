"""Draft folders, which become an output: how one is opened, owned, closed and removed.

A draft of `TARGET` is `_TARGET.draft-…` next to it. While it is being written it has a folder `_draft`, through which
files are written (`Folder.staging`), with a note of the process that owns it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import threading
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sentispark.errors import SetupError
from sentispark.files import Folder
from sentispark.processes import is_running, process_note

__all__ = [
    "ATTEMPTS",
    "STAGING",
    "as_draft",
    "claim",
    "close_draft",
    "continuable",
    "continuable_note",
    "continued",
    "disown",
    "is_left_behind",
    "is_ours",
    "kept_alive",
    "last_sign_of_life",
    "new_draft",
    "open_draft",
    "owner_of",
    "remove_draft",
    "scratch",
    "sibling",
    "target_of",
]

STAGING = "_draft"
# Where Spark's own writers keep the files of task attempts.
ATTEMPTS = "_temporary"
_OWNER, _CONTINUABLE = "owner.json", "continuable.json"

# A living run writes its note again this often, in seconds.
_SECONDS_BETWEEN_NOTES = 15.0
_PROCESS = uuid.uuid4().hex

_log = logging.getLogger(__name__)


def sibling(target: Folder, kind: str) -> Folder:
    """A folder with a new name next to the target."""
    parent, _, name = target.url.rstrip("/").rpartition("/")
    return Folder(f"{parent}/_{name}.{kind}-{uuid.uuid4().hex[:8]}")


def new_draft(target: Folder) -> Folder:
    """The name of a new draft of a target. Nothing is created yet."""
    return as_draft(sibling(target, "draft"))


def as_draft(folder: Folder) -> Folder:
    """The same folder, with its files written through its staging folder."""
    return dataclasses.replace(folder, staging=folder.path(STAGING))


def open_draft(draft: Folder) -> None:
    """Create a draft. Raises `SetupError` or OSError if it cannot be written to."""
    claim(Folder(draft.url))  # not through the staging folder, which does not exist yet
    if not draft.child(STAGING).exists(_OWNER):
        raise SetupError("A file that was written there cannot be found.")


def scratch(draft: Folder, name: str) -> Folder:
    """A folder of a draft for files that are not part of the result; it is removed when the draft is closed."""
    return draft.child(f"{STAGING}/{name}")


def close_draft(draft: Folder) -> Folder | None:
    """Stop all writing to a draft, even by tasks that are still running, and take its scratch folders out of it.

    Returns
    -------
    Folder or None
        What to remove once the draft is in its place: on a file system that renames, the scratch folders.
    """
    staging = Folder(draft.url).child(STAGING)
    if staging.renames:
        closed = sibling(target_of(draft), "removed")
        staging.move_to(closed)
        return closed
    _remove_staging(staging)
    return None


def disown(draft: Folder) -> None:
    """Remove the notes of a finished draft that cannot be moved into place, so that no later run removes it."""
    staging = Folder(draft.url).child(STAGING)
    for name in (_CONTINUABLE, _OWNER):
        if staging.exists(name):
            staging.remove_file(name)


def _remove_staging(staging: Folder) -> None:
    """Remove a staging folder on an object store, in an order that can be interrupted."""
    if staging.exists(_CONTINUABLE):
        staging.remove_file(_CONTINUABLE)
    for name in staging.names():
        if name != _OWNER:
            staging.child(name).remove()
    staging.remove()


def remove_draft(draft: Folder) -> None:
    """Remove a draft even while tasks are still writing to it. If it is interrupted, the next run removes the rest."""
    draft = Folder(draft.url)
    if draft.renames and draft.exists():
        removed = sibling(target_of(draft), "removed")
        draft.move_to(removed)
        removed.remove()
        return
    staging = draft.child(STAGING)
    if staging.exists(_CONTINUABLE):
        staging.remove_file(_CONTINUABLE)
    for name in draft.names():
        if name != STAGING:
            draft.child(name).remove()
    _remove_staging(staging)  # the owner's note goes last, then whatever tasks have written meanwhile
    draft.remove()


def continuable(draft: Folder, key: str, content: str) -> None:
    """Note that a run with the same key (the same inputs, options and version) can continue this draft.

    Parameters
    ----------
    draft : Folder
    key : str
    content : str
        What that run gets from `continued`.
    """
    draft.child(STAGING).write(_CONTINUABLE, json.dumps({"key": key, "content": content}))


def continued(draft: Folder) -> str | None:
    """What the run that this one continues gave to `continuable`; None in a new draft."""
    noted = continuable_note(draft)
    return noted["content"] if noted else None


def continuable_note(draft: Folder) -> dict[str, str] | None:
    """The note of `continuable`, if there is one and it is whole."""
    with contextlib.suppress(OSError, SetupError, ValueError):
        noted = json.loads(draft.child(STAGING).read(_CONTINUABLE))
        if isinstance(noted, dict) and noted.keys() == {"key", "content"}:
            return noted
    return None


def is_left_behind(draft: Folder) -> bool:
    """Whether the owner of a draft is known to be dead: it ran on this machine and has ended."""
    with contextlib.suppress(OSError, SetupError):
        owner = owner_of(draft)
        return owner is not None and is_running(owner) is False
    return False


def is_ours(draft: Folder) -> bool:
    """Whether this process still owns a draft, which another run may have continued as that of a dead one.

    Raises
    ------
    OSError, SetupError
        If the owner's note cannot be read at the moment.
    """
    owner = owner_of(draft)
    return owner is not None and owner.get("process") == _PROCESS


@contextlib.contextmanager
def kept_alive(draft: Folder) -> Iterator[None]:
    """Write the owner's note again and again, so that other machines see that the run is alive."""
    ended = threading.Event()

    def note() -> None:
        while not ended.wait(_SECONDS_BETWEEN_NOTES):
            with contextlib.suppress(OSError, SetupError):
                if is_ours(draft):
                    claim(draft)

    thread = threading.Thread(target=note, name="sentispark-draft", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def target_of(draft: Folder) -> Folder:
    """The folder whose place a draft will take; a folder with another kind of name itself."""
    parent, _, name = draft.url.rpartition("/")
    return Folder(f"{parent}/{name.removeprefix('_').rpartition('.draft-')[0] or name}")


def claim(draft: Folder) -> None:
    """Write this process into a draft."""
    owner = {"process": _PROCESS, **process_note()}
    draft.child(STAGING).write(_OWNER, json.dumps(owner))


def owner_of(folder: Folder) -> dict[str, Any] | None:
    """The owner's note; None if there is none, or not a whole one."""
    try:
        owner = json.loads(folder.child(STAGING).read(_OWNER))
    except (FileNotFoundError, ValueError):
        return None
    return owner if isinstance(owner, dict) and isinstance(owner.get("pid"), int) else None


def last_sign_of_life(draft: Folder) -> datetime | None:
    """When the owner's note was last written, by the clock of the file system; None if that is not known."""
    try:
        return draft.child(STAGING).modified(_OWNER)
    except (OSError, SetupError):
        return None
