"""Draft folders, which become an output: who writes one, and what becomes of those that killed runs have left.

A draft of `TARGET` is `_TARGET.draft-…` next to it. While it is being written it has a folder `_draft`, through which
files are written (`Folder.staging`), with a note of the process that owns it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import re
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sentispark.errors import SetupError
from sentispark.files import Folder
from sentispark.processes import is_running, process_note

__all__ = [
    "ATTEMPTS",
    "STAGING",
    "adopted",
    "as_draft",
    "close_draft",
    "continuable",
    "continued",
    "disown",
    "is_left_behind",
    "is_ours",
    "kept_alive",
    "new_draft",
    "open_draft",
    "remove_draft",
    "remove_leftovers",
    "scratch",
    "sibling",
]

STAGING = "_draft"
# Where Spark's own writers keep the files of task attempts.
ATTEMPTS = "_temporary"
_OWNER, _CONTINUABLE = "owner.json", "continuable.json"

# A living run writes its note again this often, in seconds. Where its process cannot be looked up, its draft may be
# continued once it has been silent for the shorter time, and is removed after the longer one.
_SECONDS_BETWEEN_NOTES = 15.0
_SILENT, _FORGOTTEN = timedelta(minutes=2), timedelta(days=1)
# After this time, in seconds, a run that claimed the same draft at the same moment has written its note too.
_SECONDS_TO_SETTLE = 2.0
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
    _claim(Folder(draft.url))  # not through the staging folder, which does not exist yet
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
        closed = sibling(_target_of(draft), "removed")
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
        removed = sibling(_target_of(draft), "removed")
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
    noted = _continuable(draft)
    return noted["content"] if noted else None


def _continuable(draft: Folder) -> dict[str, str] | None:
    """The note of `continuable`, if there is one and it is whole."""
    with contextlib.suppress(OSError, SetupError, ValueError):
        noted = json.loads(draft.child(STAGING).read(_CONTINUABLE))
        if isinstance(noted, dict) and noted.keys() == {"key", "content"}:
            return noted
    return None


def is_left_behind(draft: Folder) -> bool:
    """Whether the owner of a draft is known to be dead: it ran on this machine and has ended."""
    with contextlib.suppress(OSError, SetupError):
        owner = _owner_of(draft)
        return owner is not None and is_running(owner) is False
    return False


def is_ours(draft: Folder) -> bool:
    """Whether this process still owns a draft, which another run may have continued as that of a dead one.

    Raises
    ------
    OSError, SetupError
        If the owner's note cannot be read at the moment.
    """
    owner = _owner_of(draft)
    return owner is not None and owner.get("process") == _PROCESS


def adopted(target: Folder, key: str, draft: Folder) -> Folder | None:
    """The draft of a run that died and had the same key, now this process's; None if there is none.

    Parameters
    ----------
    target : Folder
    key : str
        What `continuable` noted.
    draft : Folder
        This process's own draft, just opened.
    """
    now = _modified(draft)  # by the file system's clock
    for kind, folder in _leftovers(target):
        noted = None if folder.url == draft.url else _continuable(folder)
        if kind == "draft" and noted and noted["key"] == key and _is_dead(folder, now, _SILENT):
            with contextlib.suppress(OSError, SetupError):
                if found := _claimed(folder, target):
                    return found
    return None


def _claimed(left: Folder, target: Folder) -> Folder | None:
    """A draft that a dead run has left, claimed by this process; None if another run got it."""
    if left.renames:
        # In one step: only one run gets it, and what may still be writing there loses it.
        renamed = sibling(target, "draft")
        left.move_to(renamed)
        _claim(renamed)
        return as_draft(renamed)
    _claim(left)
    time.sleep(_SECONDS_TO_SETTLE)  # if two runs claim it at once, the one that wrote its note last gets it
    return as_draft(left) if is_ours(left) else None


def remove_leftovers(target: Folder, draft: Folder) -> None:
    """Remove drafts of the target whose process is dead, or that have been silent for a day; name all others.

    Parameters
    ----------
    target, draft : Folder
        As in `adopted`.
    """
    now = _modified(draft)
    for kind, folder in _leftovers(target):
        if folder.url != draft.url:
            with contextlib.suppress(OSError, SetupError):  # another user's, or another run is removing it
                _remove_or_name(kind, folder, now)


def _remove_or_name(kind: str, folder: Folder, now: datetime | None) -> None:
    if kind == "removed" or (kind == "draft" and (_is_dead(folder, now, _FORGOTTEN) or _is_of_attempts(folder))):
        _log.info("'%s' was left by a run that was killed. It is removed.", folder.url)
        if kind == "draft":
            remove_draft(folder)  # in an order that can be interrupted
        else:
            folder.remove()
    elif kind == "draft":
        _log.warning("'%s' is the draft of a killed or a running run. Delete it if no run is using it.", folder.url)
    else:
        _log.warning(
            "'%s' is the previous output, left by a run that was killed or could not remove it. It is kept; delete it "
            "once you do not need it.",
            folder.url,
        )


@contextlib.contextmanager
def kept_alive(draft: Folder) -> Iterator[None]:
    """Write the owner's note again and again, so that other machines see that the run is alive."""
    ended = threading.Event()

    def note() -> None:
        while not ended.wait(_SECONDS_BETWEEN_NOTES):
            with contextlib.suppress(OSError, SetupError):
                if is_ours(draft):
                    _claim(draft)

    thread = threading.Thread(target=note, name="sentispark-draft", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _leftovers(target: Folder) -> list[tuple[str, Folder]]:
    """The drafts, removed folders and replaced folders of a target, by kind; symbolic links are skipped."""
    parent, _, name = target.url.rstrip("/").rpartition("/")
    found = []
    with contextlib.suppress(OSError, SetupError):
        for other in Folder(parent or "/").names():
            kind = re.fullmatch(rf"_{re.escape(name)}\.(draft|removed|former)-[0-9a-f]{{8}}", other)
            folder = Folder(f"{parent}/{other}")
            if kind and not (folder.is_local and os.path.islink(folder.path())):
                found.append((kind[1], folder))
    return found


def _target_of(draft: Folder) -> Folder:
    parent, _, name = draft.url.rpartition("/")
    return Folder(f"{parent}/{name.removeprefix('_').rpartition('.draft-')[0] or name}")


def _claim(draft: Folder) -> None:
    """Write this process into a draft."""
    owner = {"process": _PROCESS, **process_note()}
    draft.child(STAGING).write(_OWNER, json.dumps(owner))


def _owner_of(folder: Folder) -> dict[str, Any] | None:
    """The owner's note; None if there is none, or not a whole one."""
    try:
        owner = json.loads(folder.child(STAGING).read(_OWNER))
    except (FileNotFoundError, ValueError):
        return None
    return owner if isinstance(owner, dict) and isinstance(owner.get("pid"), int) else None


def _is_of_attempts(draft: Folder) -> bool:
    """Whether a draft was moved to its place, and tasks that were still running have created its folder again."""
    return draft.names() == [ATTEMPTS]


def _is_dead(draft: Folder, now: datetime | None, silence: timedelta) -> bool:
    """Whether nothing will write to a draft any more. False if its owner is unknown, or if it has none (complete)."""
    try:
        owner = _owner_of(draft)
    except (OSError, SetupError):
        return False
    if owner is None:
        return False
    running = is_running(owner)
    if running is not None:
        return not running
    last = _modified(draft)
    return now is not None and last is not None and now - last > silence


def _modified(draft: Folder) -> datetime | None:
    """When the owner's note was last written, by the clock of the file system; None if that is not known."""
    try:
        return draft.child(STAGING).modified(_OWNER)
    except (OSError, SetupError):
        return None
