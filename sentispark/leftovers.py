"""What killed runs have left next to an output: drafts to continue or to remove, and replaced folders to name."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import time
from datetime import datetime, timedelta

from sentispark.drafts import (
    ATTEMPTS,
    as_draft,
    claim,
    continuable_note,
    is_ours,
    last_sign_of_life,
    owner_of,
    remove_draft,
    sibling,
)
from sentispark.errors import SetupError
from sentispark.files import Folder
from sentispark.ownership import MARKER
from sentispark.processes import is_running

__all__ = ["adopted", "remove_leftovers"]

# Where the process of a draft's owner cannot be looked up, the draft may be continued once the owner has been silent
# for the shorter time, and is removed after the longer one.
_SILENT, _FORGOTTEN = timedelta(minutes=2), timedelta(days=1)
# After this time, in seconds, a run that claimed the same draft at the same moment has written its note too.
_SECONDS_TO_SETTLE = 2.0

_log = logging.getLogger(__name__)


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
    now = last_sign_of_life(draft)  # by the file system's clock
    for kind, folder in _leftovers(target):
        noted = None if folder.url == draft.url else continuable_note(folder)
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
        claim(renamed)
        return as_draft(renamed)
    claim(left)
    time.sleep(_SECONDS_TO_SETTLE)  # if two runs claim it at once, the one that wrote its note last gets it
    return as_draft(left) if is_ours(left) else None


def remove_leftovers(target: Folder, draft: Folder) -> None:
    """Remove drafts of the target whose process is dead, or that have been silent for a day; name all others.

    Parameters
    ----------
    target, draft : Folder
        As in `adopted`.
    """
    now = last_sign_of_life(draft)
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
    elif kind == "draft" and folder.exists(MARKER):
        _log.warning(
            "'%s' is a complete output that was not moved into place. Move it, or delete it if you do not need it.",
            folder.url,
        )
    elif kind == "draft":
        _log.warning("'%s' is the draft of a killed or a running run. Delete it if no run is using it.", folder.url)
    else:
        _log.warning(
            "'%s' is the previous output, left by a run that was killed or could not remove it. It is kept; delete it "
            "once you do not need it.",
            folder.url,
        )


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


def _is_of_attempts(draft: Folder) -> bool:
    """Whether a draft was moved to its place, and tasks that were still running have created its folder again."""
    return draft.names() == [ATTEMPTS]


def _is_dead(draft: Folder, now: datetime | None, silence: timedelta) -> bool:
    """Whether nothing will write to a draft any more. False if its owner is unknown, or if it has none (complete)."""
    try:
        owner = owner_of(draft)
    except (OSError, SetupError):
        return False
    if owner is None:
        return False
    running = is_running(owner)
    if running is not None:
        return not running
    last = last_sign_of_life(draft)
    return now is not None and last is not None and now - last > silence
