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
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sentispark.errors import SetupError
from sentispark.files import Folder

__all__ = [
    "ATTEMPTS",
    "adopted",
    "as_draft",
    "close_draft",
    "continuable",
    "is_left_behind",
    "is_taken_over",
    "kept_alive",
    "new_draft",
    "open_draft",
    "remove_draft",
    "remove_leftovers",
    "sibling",
]

STAGING, _CLOSED = "_draft", "_closed"
# Where Spark's own writers keep the files of task attempts.
ATTEMPTS = "_temporary"
_OWNER, _KEY = "owner.json", "continuable"

# A living run writes its note again this often, in seconds. Where its process cannot be looked up, its draft may be
# continued once it has been silent for the shorter time, and is removed after the longer one.
_SECONDS_BETWEEN_NOTES = 15.0
_SILENT, _FORGOTTEN = timedelta(minutes=2), timedelta(days=1)
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
    """A folder that is written to in the way of drafts."""
    return dataclasses.replace(folder, staging=folder.path(STAGING))


def open_draft(draft: Folder) -> None:
    """Create a draft. Raises `SetupError` or OSError if it cannot be written to."""
    _claim(Folder(draft.url))
    if not draft.child(STAGING).exists(_OWNER):
        raise SetupError("A file that was written there cannot be found.")


def close_draft(draft: Folder) -> None:
    """End all writing to a draft, also that of tasks which are still running."""
    plain = Folder(draft.url)
    staging = plain.child(STAGING)
    if staging.renames and staging.exists():
        closed = plain.child(_CLOSED)  # at once, while its files are removed one by one
        staging.move_to(closed)
        staging = closed
    staging.remove()


def remove_draft(draft: Folder) -> None:
    """Remove a draft even while tasks are still writing to it."""
    close_draft(draft)
    draft = Folder(draft.url)
    if draft.is_local and draft.exists():
        removed = sibling(_target_of(draft), "removed")
        draft.move_to(removed)
        draft = removed
    draft.remove()


def continuable(draft: Folder, key: str) -> None:
    """Note that a run with the same key, which says what is made of what, can continue this draft."""
    Folder(draft.url).child(STAGING).write(_KEY, key)


def is_left_behind(draft: Folder) -> bool:
    """Whether a process that wrote to a draft has died on this machine."""
    owner = _owner_of(draft)
    return owner is not None and owner.get("machine") == _machine() is not None and not _is_running(owner)


def is_taken_over(draft: Folder) -> bool:
    """Whether another run continues this process's draft because it looked like that of a dead one."""
    owner = _owner_of(draft)
    return owner is not None and owner.get("process") != _PROCESS


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
    now = draft.child(STAGING).modified(_OWNER)  # by the file system's clock
    for kind, folder in _leftovers(target):
        staging = folder.child(STAGING)
        if kind != "draft" or folder.url == draft.url or not staging.exists(_KEY) or not _is_dead(folder, now, _SILENT):
            continue
        with contextlib.suppress(OSError):
            if staging.read(_KEY).decode() != key:
                continue
            if folder.renames:  # what may still be writing there loses it, and only one run can get it
                renamed = sibling(target, "draft")
                folder.move_to(renamed)
                folder = renamed
            folder = as_draft(folder)
            _claim(folder)
            return folder
    return None


def remove_leftovers(target: Folder, draft: Folder) -> None:
    """Remove drafts of the target whose process is dead, or that have been silent for a day; name all others.

    Parameters
    ----------
    target, draft : Folder
        As in `adopted`.
    """
    now = draft.child(STAGING).modified(_OWNER)
    for kind, folder in _leftovers(target):
        if folder.url == draft.url:
            continue
        if kind == "removed" or (kind == "draft" and (_is_dead(folder, now, _FORGOTTEN) or _is_of_attempts(folder))):
            _log.info("'%s' was left by a run that was killed. It is removed.", folder.url)
            with contextlib.suppress(OSError, SetupError):
                folder.remove()
        elif kind == "draft":
            _log.warning("'%s' belongs to a run that was killed or is still running. It is not removed.", folder.url)
        else:
            _log.warning(
                "'%s' is the complete previous output, left by a run that was killed or could not remove it. It is "
                "kept; delete it once you do not need it.",
                folder.url,
            )


@contextlib.contextmanager
def kept_alive(draft: Folder) -> Iterator[None]:
    """Write the owner's note again and again, so that other machines see that the run is alive."""
    ended = threading.Event()

    def note() -> None:
        while not ended.wait(_SECONDS_BETWEEN_NOTES):
            with contextlib.suppress(OSError, SetupError):
                if not is_taken_over(draft):
                    _claim(draft)

    thread = threading.Thread(target=note, name="sentispark-draft", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _leftovers(target: Folder) -> list[tuple[str, Folder]]:
    """The drafts and the removed and replaced folders of a target, by kind; links are none of them."""
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
    """Write this process into a draft: a pid and a host name alone may belong to another one."""
    owner = {"process": _PROCESS, "machine": _machine(), "pid": os.getpid(), "started": _started(os.getpid())}
    draft.child(STAGING).write(_OWNER, json.dumps(owner))


def _machine() -> list[str] | None:
    """An id shared only by processes that can see each other's pids (same boot, same namespace); None if unknown."""
    try:
        return [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), os.readlink("/proc/self/ns/pid")]
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """When a process was started, in ticks since the machine was; None if there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return None


def _owner_of(folder: Folder) -> dict[str, Any] | None:
    try:
        owner = json.loads(folder.child(STAGING).read(_OWNER))
    except (OSError, SetupError, ValueError):
        return None
    return owner if isinstance(owner, dict) and isinstance(owner.get("pid"), int) else None


def _is_of_attempts(draft: Folder) -> bool:
    """Whether a draft was moved to its place, and tasks that were still running have created its folder again."""
    return draft.names() == [ATTEMPTS]


def _is_running(owner: dict[str, Any]) -> bool:
    return _started(owner["pid"]) == owner.get("started")


def _is_dead(draft: Folder, now: datetime, silence: timedelta) -> bool:
    """Whether nothing will write to a draft any more. One without an owner is complete, or not known: False."""
    owner = _owner_of(draft)
    if owner is None:
        return False
    if owner.get("machine") == _machine() is not None:
        return not _is_running(owner)
    try:
        return now - draft.child(STAGING).modified(_OWNER) > silence
    except (OSError, SetupError):
        return False
