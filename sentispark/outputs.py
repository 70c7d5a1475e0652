"""The output of a command: tried before the work, written to a draft folder, and moved into place when it is complete.

Only folders that sentispark wrote are replaced.
"""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from sentispark.drafts import (
    ATTEMPTS,
    STAGING,
    adopted,
    close_draft,
    is_ours,
    kept_alive,
    new_draft,
    open_draft,
    remove_draft,
    remove_leftovers,
    sibling,
)
from sentispark.errors import DatasetError, SetupError, sentence_of
from sentispark.files import Folder
from sentispark.ownership import foreign_file, leave_marker, require_ours

__all__ = ["drafts_abandoned", "remove_drafts", "replaced_folder", "require_writable"]

_log = logging.getLogger(__name__)

# The drafts of this process that are being written, or were abandoned while tasks may still have been writing. True if
# the draft is not created yet or was removed: what is at its path then can only be from this process's tasks.
_drafts: dict[Folder, bool] = {}


class _NotMovedError(SetupError):
    """A finished draft could not be moved into place; it is kept."""


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
        write; after the block, if the target was created meanwhile and `overwrite` is false.
    SetupError
        Before the block, if the folder cannot be written to; after it, if this process was silent for so long that
        another run has continued its draft.
    """
    _require_free(target, overwrite, option)
    given, target = target, target.resolved()
    with _opened_draft(target, given, key) as draft:
        with kept_alive(draft):
            remove_leftovers(target, draft)
            yield draft
        _require_free(target, overwrite, option, after_work=True)
        if not is_ours(draft):
            raise SetupError(
                f"'{given.url}' was not written: this run was silent, and another run continued or removed its draft. "
                "Wait for that run to finish, or run the command again."
            )
        try:
            close_draft(draft)
            leave_marker(Folder(draft.url))
            _move_into_place(draft, target)
        except OSError as error:
            raise _NotMovedError(
                f"The result could not be moved to '{given.url}': {sentence_of(error)} It is complete in '{draft.url}'."
            ) from error


def _move_into_place(draft: Folder, target: Folder) -> None:
    former = sibling(target, "former")
    draft.child(ATTEMPTS).remove()
    if target.exists():
        target.move_to(former)
    try:
        draft.move_to(target)
    except BaseException:
        if former.exists():
            former.move_to(target)
        raise
    _remove_attempts(draft, target)
    # The new folder is in place: failing to remove the old one must not look like a failed replacement.
    try:
        if former.exists() and (foreign := foreign_file(former)) is not None:
            _log.warning(
                "'%s' was added to the old folder while it was being replaced. The old folder is kept as '%s'.",
                foreign,
                former.url,
            )
        else:
            former.remove()
    except (OSError, SetupError) as error:
        _log.warning("The old folder '%s' could not be removed: %s", former.url, error)


def _remove_attempts(draft: Folder, target: Folder) -> None:
    """Remove what unfinished task attempts have written since the job ended: Spark does not wait for them."""
    try:
        for name in (ATTEMPTS, STAGING):
            target.child(name).remove()
        if draft.exists():
            draft.remove()
    except (OSError, SetupError) as error:
        _log.warning("Files that unfinished task attempts left in '%s' could not be removed: %s", target.url, error)


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
            remove_draft(draft)
            del _drafts[draft]
            draft = found
        yield draft
    except _NotMovedError:
        del _drafts[draft]
        raise
    except BaseException:
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
        if _drafts.get(draft) or is_ours(draft):
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
        del _drafts[draft]


def _require_free(target: Folder, overwrite: bool, option: str, *, after_work: bool = False) -> None:
    """Raise unless the target may be written; after the work, foreign files in it are no error, as they are kept."""
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
