"""Moves a finished draft to its target; if that fails, the old folder is restored."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator

from sentispark.drafts import ATTEMPTS, STAGING, sibling
from sentispark.errors import DatasetError, SetupError, sentence_of
from sentispark.files import Folder
from sentispark.ownership import MARKER, foreign_file

__all__ = ["move_into_place"]

_log = logging.getLogger(__name__)


def move_into_place(draft: Folder, target: Folder, *, overwrite: bool) -> None:
    """Give a closed draft the name of its target, and then remove the target's old folder.

    Raises
    ------
    DatasetError
        If there is an old folder and `overwrite` is false: another run has finished meanwhile.
    OSError, SetupError
        If it fails. The draft is complete, and the old folder is as it was, unless the error says where it is now.
    """
    draft = Folder(draft.url)
    former = sibling(target, "former")
    draft.child(ATTEMPTS).remove()
    is_replaced = target.exists()
    if is_replaced and not overwrite:
        raise DatasetError(f"'{target.url}' was created by another run meanwhile. Name another output.")
    swap = _rename if target.renames else _copy
    swap(draft, target, former if is_replaced else None)
    # From here on the result is in place: what fails, or interrupts, must not look like a failed replacement.
    with _only_warned(draft):
        for name in (ATTEMPTS, STAGING):
            target.child(name).remove()
        draft.remove()  # which unfinished tasks may have created again: Spark does not wait for them
    if is_replaced:
        with _only_warned(former):
            _remove_former(former, target)


def _rename(draft: Folder, target: Folder, former: Folder | None) -> None:
    try:
        if former:
            target.move_to(former)
        draft.move_to(target)
    except BaseException:
        # A signal may have come as a rename returned, so what was done is looked up.
        if target.exists(MARKER) and not draft.exists(MARKER):
            return
        if former and former.exists() and not target.exists():
            former.move_to(target)
        raise


def _copy(draft: Folder, target: Folder, former: Folder | None) -> None:
    """Like `_rename`, on an object store. A process that is killed leaves an incomplete target."""
    if former:
        try:
            target.copy_to(former)
        except BaseException:
            former.remove()
            raise
    try:
        target.remove()
        draft.copy_to(target)
    except BaseException as error:
        try:
            target.remove()  # or it would hold files of both
            if former:
                former.copy_to(target)
                former.remove()
        except (OSError, SetupError):
            left = f"The previous output is complete in '{former.url}'" if former else f"Remove '{target.url}'"
            raise OSError(f"{sentence_of(error)} {left}, as '{target.url}' is not complete.") from error
        raise


def _remove_former(former: Folder, target: Folder) -> None:
    if (foreign := foreign_file(former)) is not None:
        _log.warning(
            "'%s' was added to the old folder while it was being replaced. The old folder is kept as '%s'.",
            foreign,
            former.url,
        )
        return
    if former.renames:  # or the rest of an interrupted removal would look like a complete folder
        removed = sibling(target, "removed")
        former.move_to(removed)
        former = removed
    former.remove()


@contextlib.contextmanager
def _only_warned(folder: Folder) -> Iterator[None]:
    try:
        yield
    except (OSError, SetupError, KeyboardInterrupt) as error:
        _log.warning("What is left of '%s' could not be removed: %s", folder.url, error or "interrupted")
