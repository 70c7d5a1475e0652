"""The output of a command: tried before the work, written to a draft folder, and moved into place when it is complete.

Only folders that sentispark wrote are replaced.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

from sentispark.drafts import (
    close_draft,
    continued,
    disown,
    is_ours,
    kept_alive,
    new_draft,
    open_draft,
    remove_draft,
)
from sentispark.errors import DatasetError, SetupError, sentence_of
from sentispark.files import Folder
from sentispark.leftovers import adopted, remove_leftovers
from sentispark.ownership import MARKER, leave_marker, require_ours
from sentispark.placement import move_into_place

__all__ = [
    "drafts_abandoned",
    "keep_continuable",
    "remove_drafts",
    "replaced_folder",
    "require_writable",
]

_log = logging.getLogger(__name__)

# The drafts of this process that are being written, or were abandoned while tasks may still have been writing. True if
# the draft has no owner's note, as it is not created yet, is closed or was removed: its path is this process's.
_drafts: dict[Folder, bool] = {}
_keeps_continuable = threading.Event()  # see keep_continuable


@contextlib.contextmanager
def replaced_folder(
    target: Folder, *, overwrite: bool, option: str = "--overwrite", key: str | None = None
) -> Iterator[Folder]:
    """A draft folder next to `target` that replaces it when the block succeeds and is removed when it fails.

    The draft exists from the start, and a first file in it proves that it can be written to. An existing target stays
    unchanged until the end. On file systems that rename folders the replacement is two renames. A process that is
    killed before them leaves `_TARGET.draft-…`, which Spark's readers skip and the next run continues or removes; one
    that is killed between them leaves the complete old folder as `_TARGET.former-…`.

    Parameters
    ----------
    target : Folder
    overwrite : bool
        Whether an existing folder may be replaced.
    option : str
        What the error about an existing folder suggests.
    key : str, optional
        Identifies the inputs, options and version. If a run with the same key was killed after it called
        `drafts.continuable`, the block gets the draft of that run, with everything in it.

    Raises
    ------
    DatasetError
        Before the block, if the target exists and `overwrite` is false, or if it holds files that sentispark did not
        write; after the block, if the target was created meanwhile and `overwrite` is false. The draft is then kept.
    SetupError
        Before the block, if the folder cannot be written to; after it, if the draft cannot be moved into place, and is
        kept, or if this process was silent for so long that another run has continued its draft.
    """
    _require_free(target, overwrite, option)
    given, target = target, target.resolved()
    with _opened_draft(target, given, key) as draft:
        with kept_alive(draft):
            remove_leftovers(target, draft)
            yield draft
        with _kept_if_it_cannot_be_moved(draft, given, is_own=draft.renames):
            is_own = is_ours(draft)
        if not is_own:
            raise SetupError(
                f"'{given.url}' was not written: this run was silent, and another run continued or removed its draft. "
                "Wait for that run to finish, or run the command again."
            )
        with _kept_if_it_cannot_be_moved(draft, given, is_own=True):
            scratch = close_draft(draft)
            _drafts[draft] = True  # it has no owner's note any more
            try:
                leave_marker(Folder(draft.url))
                _require_free(target, overwrite, option, after_work=True)
                move_into_place(draft, target, overwrite=overwrite)
            finally:
                _remove_scratch(scratch)


@contextlib.contextmanager
def _kept_if_it_cannot_be_moved(draft: Folder, given: Folder, *, is_own: bool) -> Iterator[None]:
    """An error in this block keeps the draft, and names its path.

    Unless it is known to be this run's own, another one may have continued it, and its notes are left alone.
    """
    try:
        yield
    except (OSError, SetupError, DatasetError) as error:
        del _drafts[draft]
        kept = f"It is complete in '{draft.url}'."
        try:
            if is_own:
                disown(draft)
        except (OSError, SetupError):
            is_own = False
        if not is_own:
            kept += " Move it away before you run the command again."
        kind = DatasetError if isinstance(error, DatasetError) else SetupError
        raise kind(f"The result could not be moved to '{given.url}': {sentence_of(error)} {kept}") from error


def _remove_scratch(scratch: Folder | None) -> None:
    # Tasks may still have files open there. The next run removes what is left.
    with contextlib.suppress(OSError, SetupError, KeyboardInterrupt):
        if scratch:
            scratch.remove()


@contextlib.contextmanager
def _opened_draft(target: Folder, given: Folder, key: str | None) -> Iterator[Folder]:
    """A draft that can be written to; if the block fails, it is removed with the parent folders created for it."""
    draft = new_draft(target)
    new = [parent for parent in Path(draft.path()).parents if not parent.exists()] if draft.is_local else []
    _drafts[draft] = True
    try:
        with _required(given.url):
            open_draft(draft)
        _drafts[draft] = False
        if key and (found := adopted(target, key, draft)):
            _drafts[found] = False
            unused, draft = draft, found
            _remove_or_warn(unused)
            _drafts.pop(unused, None)
        yield draft
    except BaseException:
        if draft in _drafts:
            _remove_or_warn(draft)
        with contextlib.suppress(OSError):
            for parent in new:
                parent.rmdir()  # fails if something else was created in it
        raise
    del _drafts[draft]


def require_writable(folder: Folder, *, name: str) -> None:
    """Raise `SetupError`, with `name`, unless a file can be written into a folder, which is created if necessary."""
    tried = f"_tried-{uuid.uuid4().hex[:8]}"
    with _required(name):
        folder.write(tried, b"")
        folder.remove_file(tried)


@contextlib.contextmanager
def _required(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, SetupError) as error:
        raise SetupError(
            f"'{name}' cannot be written to: {sentence_of(error)} Name another output or check its permissions."
        ) from error


def _remove_or_warn(draft: Folder) -> None:
    """Remove a draft; a failure is only logged, as the error that ended the work matters more."""
    try:
        if _keeps_continuable.is_set() and draft.exists(MARKER):
            _log.warning("'%s' is kept: it is the complete output.", draft.url)
            del _drafts[draft]
        elif _keeps_continuable.is_set() and is_ours(draft) and continued(draft) is not None:
            _log.warning("'%s' is kept: the same command continues from it.", draft.url)
            del _drafts[draft]
        elif _drafts.get(draft) or is_ours(draft):
            remove_draft(draft)
            _drafts[draft] = True
    except (OSError, SetupError) as error:
        _log.warning("'%s' could not be removed: %s", draft.url, error)


def drafts_abandoned() -> bool:
    """Whether work of this process has failed, so that its tasks may recreate drafts that were removed."""
    return bool(_drafts)


def remove_drafts() -> None:
    """Remove what is left of this process's drafts; called at its end, when no task writes any more."""
    for draft in list(_drafts):
        _remove_or_warn(draft)
        _drafts.pop(draft, None)


def keep_continuable(kept: bool) -> None:
    """Whether a draft that another run can continue is kept from now on when its work fails; at first it is removed."""
    if kept:
        _keeps_continuable.set()
    else:
        _keeps_continuable.clear()


def _require_free(target: Folder, overwrite: bool, option: str = "--overwrite", *, after_work: bool = False) -> None:
    """Raise `DatasetError` unless a folder may be written.

    Parameters
    ----------
    target : Folder
    overwrite : bool
        Whether it may be replaced if it exists.
    option : str
        What the error about an existing folder suggests.
    after_work : bool
        Whether the work is done. Then files that sentispark did not write are allowed: they are kept in the old folder.
    """
    if target.is_file():
        raise DatasetError(f"'{target.url}' is a file, not a folder. Name another output.")
    if target.is_local:
        path = target.resolved().path()
        if Path.cwd().is_relative_to(path):
            raise DatasetError(f"'{target.url}' contains the current folder. Name another output.")
        if os.path.ismount(path):
            raise DatasetError(f"'{target.url}' is a mount point. Name a folder in it, like '{target.url}/result'.")
    elif "/" not in target.path().strip("/") and "://" in target.url and not target.renames:
        raise DatasetError(f"'{target.url}' is a bucket. Name a folder in it, like '{target.url.rstrip('/')}/result'.")
    if not target.exists():
        return
    if not overwrite:
        raise DatasetError(f"'{target.url}' already exists. Use {option} or name another output.")
    if not after_work:
        require_ours(target)
