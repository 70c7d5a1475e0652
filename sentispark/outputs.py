"""Where a command writes: tried before the work, made beside its place, and put there at once when it is whole.

Nothing is replaced that is read, or that sentispark did not write.
"""

from __future__ import annotations

import contextlib
import logging
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from sentispark.errors import DatasetError, SetupError, sentence_of
from sentispark.files import Folder
from sentispark.ownership import foreign_file, leave_marker, require_ours

__all__ = ["drafts_given_up", "remove_drafts", "replaced_folder", "require_writable"]

ANCHOR = "_draft"

_log = logging.getLogger(__name__)

# The drafts of this process that are written, or were given up while tasks may have written to them still.
_drafts: set[Folder] = set()


class _NotPlacedError(SetupError):
    """A finished folder could not take its place, and is kept."""


@contextlib.contextmanager
def replaced_folder(target: Folder, *, overwrite: bool, option: str = "--overwrite") -> Iterator[Folder]:
    """A draft folder beside `target` that takes its place when the block ends well and vanishes when it does not.

    The draft is there from the beginning, with a file that says so, which proves that it can be written. An existing
    target stays as it is until the end. Where the file system renames folders the change is two renames; a process that
    is killed before it leaves `_TARGET.draft-…`, which Spark's readers pass over, and between the two the old folder,
    whole, as `_TARGET.former-…`.

    Raises
    ------
    DatasetError
        Before anything is done, if the target is there and `overwrite` is false, or if it is nothing that sentispark
        wrote; and at the end, if it has come since.
    SetupError
        Before anything is done, if nothing can be written there.
    """
    _require_free(target, overwrite, option)
    given, target = target, target.resolved()
    _tell_of_left_ones(target)
    draft = _beside(target, "draft")
    draft = Folder(draft.url, draft.path(ANCHOR))
    with _made(draft, given):
        yield draft
        _require_free(target, overwrite, option, came=True)
        try:
            draft.remove_file(ANCHOR)
            leave_marker(Folder(draft.url))
            _take_place(draft, target)
        except OSError as error:
            problem = f"'{given.url}' could not take its place: {sentence_of(error)}"
            raise _NotPlacedError(f"{problem} All of it is in '{draft.url}'.") from error


def _take_place(draft: Folder, target: Folder) -> None:
    former = _beside(target, "former")
    if target.exists():
        target.move_to(former)
    try:
        draft.move_to(target)
    except BaseException:
        if former.exists():
            former.move_to(target)
        raise
    # The new folder is in place: a failure to remove the old one must not look like a failed replacement.
    try:
        if former.exists() and (foreign := foreign_file(former)) is not None:
            _log.warning(
                "'%s' was put into the old folder while it was replaced. The old folder is kept as '%s'.",
                foreign,
                former.url,
            )
        else:
            former.remove()
    except (OSError, SetupError) as error:
        _log.warning("'%s', the old folder, could not be removed: %s", former.url, error)


def _beside(target: Folder, kind: str) -> Folder:
    above, _, name = target.url.rstrip("/").rpartition("/")
    return Folder(f"{above}/_{name}.{kind}-{uuid.uuid4().hex[:8]}")


@contextlib.contextmanager
def _made(draft: Folder, target: Folder) -> Iterator[None]:
    """The draft, made and tried; if the block fails it is removed, with the folders above it that were made for it."""
    new = [above for above in Path(draft.path()).parents if not above.exists()] if draft.is_local else []
    _drafts.add(draft)
    try:
        _try(draft, target)
        yield
    except _NotPlacedError:
        _drafts.discard(draft)
        raise
    except BaseException:
        _remove_or_tell(draft)
        with contextlib.suppress(OSError):
            for above in new:
                above.rmdir()  # fails where something has come
        raise
    _drafts.discard(draft)


def _try(draft: Folder, target: Folder) -> None:
    with _needed(target.url):
        draft.make()
        Folder(draft.url).write(ANCHOR, b"")
        if not draft.exists(ANCHOR):
            raise SetupError("What is written there is not found again.")


def require_writable(folder: Folder, *, name: str) -> None:
    """Return if a file can be written into a folder, which is made if need be; `name` is what an error calls it."""
    tried = f"_tried-{uuid.uuid4().hex[:8]}"
    with _needed(name):
        folder.write(tried, b"")
        folder.remove_file(tried)


@contextlib.contextmanager
def _needed(name: str) -> Iterator[None]:
    try:
        yield
    except (OSError, SetupError) as error:
        raise SetupError(
            f"'{name}' must be a place that can be written to. It is not: {sentence_of(error)} "
            "Name another output, or check its permissions."
        ) from error


def _remove_or_tell(draft: Folder) -> None:
    """Remove a draft; a failure to do so is only logged, as the reason why the draft was given up matters more."""
    try:
        _remove(draft)
    except (OSError, SetupError) as error:
        _log.warning("'%s' could not be removed: %s", draft.url, error)


def _remove(draft: Folder) -> None:
    """Remove a draft even while tasks still write to it."""
    if draft.exists(ANCHOR):
        draft.remove_file(ANCHOR)
    if draft.is_local and draft.exists():
        # Under its name it is gone at once, and no task of ours makes it anew; see `Folder.anchor`.
        removed = _beside(draft, "removed")
        draft.move_to(removed)
        draft = removed
    draft.remove()


def drafts_given_up() -> bool:
    """Whether work of this process has failed, so that tasks may bring back what was removed."""
    return bool(_drafts)


def remove_drafts() -> None:
    """Remove what is there again, or still, of this process's drafts; for its end, when no task writes any more."""
    for draft in list(_drafts):
        _drafts.discard(draft)
        _remove_or_tell(draft)


def _require_free(target: Folder, overwrite: bool, option: str, *, came: bool = False) -> None:
    """Return if a folder may be written in the target's place; `came`: what is not ours there is left to be kept."""
    if target.is_file():
        raise DatasetError(f"'{target.url}' must be a folder. It is a file. Name another output.")
    if target.is_local:
        place = target.resolved().path()
        if Path.cwd().is_relative_to(place):
            raise DatasetError(f"'{target.url}' must not hold the current folder. It does. Name another output.")
        if os.path.ismount(place):
            raise DatasetError(f"'{target.url}' is a mounted disk. Name a folder on it, like '{target.url}/result'.")
    elif "/" not in target.path().strip("/") and "://" in target.url and not target.renames:
        raise DatasetError(f"'{target.url}' is a bucket. Name a folder in it, like '{target.url.rstrip('/')}/result'.")
    if not target.exists():
        return
    if not overwrite:
        raise DatasetError(f"'{target.url}' must not exist yet. It does. Name another output or use {option}.")
    if not came:
        require_ours(target)


def _tell_of_left_ones(target: Folder) -> None:
    if not target.is_local:
        return
    place = Path(target.path())
    for kind, what in {
        "draft": "a run that was killed or is still running",
        "former": "an earlier run that was killed, or could not remove it",
    }.items():
        with contextlib.suppress(OSError):
            for left in sorted(path.name for path in place.parent.iterdir()):
                if left.startswith(f"_{place.name}.{kind}-"):
                    _log.warning("'%s' belongs to %s. It is left alone.", place.parent / left, what)
