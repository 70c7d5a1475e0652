"""The output of a command: tried before the work, written to a draft folder, and moved into place when it is complete.

Only folders that sentispark wrote are replaced.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sentispark.errors import DatasetError, SetupError, sentence_of
from sentispark.files import Folder
from sentispark.ownership import foreign_file, leave_marker, require_ours

__all__ = ["drafts_abandoned", "remove_drafts", "replaced_folder", "require_writable"]

ANCHOR = "_draft"
_SECONDS_PER_DAY, _SECONDS_BETWEEN_TOUCHES = 86_400.0, 3600.0

_log = logging.getLogger(__name__)

# The drafts of this process that are being written, or were abandoned while tasks may still have been writing.
_drafts: set[Folder] = set()


class _NotMovedError(SetupError):
    """A finished draft could not be moved into place; it is kept."""


@contextlib.contextmanager
def replaced_folder(target: Folder, *, overwrite: bool, option: str = "--overwrite") -> Iterator[Folder]:
    """A draft folder next to `target` that replaces it when the block succeeds and is removed when it fails.

    The draft exists from the start, and a first file in it proves that it can be written to. An existing target stays
    unchanged until the end. On file systems that rename folders the replacement is two renames. A process that is
    killed before them leaves `_TARGET.draft-…`, which Spark's readers skip and the next run removes; one that is killed
    between them leaves the complete old folder as `_TARGET.former-…`.

    Parameters
    ----------
    target : Folder
    overwrite : bool
        Whether an existing folder may be replaced.
    option : str
        What the error about an existing folder suggests.

    Raises
    ------
    DatasetError
        Before the block, if the target exists and `overwrite` is false, or if it holds files that sentispark did not
        write; after the block, if the target was created meanwhile and `overwrite` is false.
    SetupError
        Before the block, if the folder cannot be written to.
    """
    _require_free(target, overwrite, option)
    given, target = target, target.resolved()
    _remove_leftovers(target)
    draft = _sibling(target, "draft")
    draft = Folder(draft.url, draft.path(ANCHOR))
    with _draft_made(draft, given):
        with _kept_alive(draft):
            yield draft
        _require_free(target, overwrite, option, after_work=True)
        try:
            draft.remove_file(ANCHOR)
            leave_marker(Folder(draft.url))
            _move_into_place(draft, target)
        except OSError as error:
            raise _NotMovedError(
                f"The result could not be moved to '{given.url}': {sentence_of(error)} It is complete in '{draft.url}'."
            ) from error


def _move_into_place(draft: Folder, target: Folder) -> None:
    former = _sibling(target, "former")
    if target.exists():
        target.move_to(former)
    try:
        draft.move_to(target)
    except BaseException:
        if former.exists():
            former.move_to(target)
        raise
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


def _sibling(target: Folder, kind: str) -> Folder:
    """A folder with a new name next to the target."""
    parent, _, name = target.url.rstrip("/").rpartition("/")
    return Folder(f"{parent}/_{name}.{kind}-{uuid.uuid4().hex[:8]}")


@contextlib.contextmanager
def _draft_made(draft: Folder, target: Folder) -> Iterator[None]:
    """Create and try the draft; if the block fails, remove it with the parent folders that were created for it."""
    new = [parent for parent in Path(draft.path()).parents if not parent.exists()] if draft.is_local else []
    _drafts.add(draft)
    try:
        _try(draft, target)
        yield
    except _NotMovedError:
        _drafts.discard(draft)
        raise
    except BaseException:
        _remove_or_warn(draft)
        with contextlib.suppress(OSError):
            for parent in new:
                parent.rmdir()  # fails if something else was created in it
        raise
    _drafts.discard(draft)


def _try(draft: Folder, target: Folder) -> None:
    with _required(target.url):
        draft.make()
        Folder(draft.url).write(ANCHOR, json.dumps(_owner()))
        if not draft.exists(ANCHOR):
            raise SetupError("A file that was written there cannot be found.")


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
        _remove(draft)
    except (OSError, SetupError) as error:
        _log.warning("'%s' could not be removed: %s", draft.url, error)


def _remove(draft: Folder) -> None:
    """Remove a draft even while tasks are still writing to it."""
    if draft.exists(ANCHOR):
        draft.remove_file(ANCHOR)
    if draft.is_local and draft.exists():
        # The rename takes effect at once, and no task of ours creates the draft again; see `Folder.anchor`.
        removed = _sibling(draft, "removed")
        draft.move_to(removed)
        draft = removed
    draft.remove()


def drafts_abandoned() -> bool:
    """Whether work of this process has failed, so that its tasks may recreate drafts that were removed."""
    return bool(_drafts)


def remove_drafts() -> None:
    """Remove what is left of this process's drafts; called at its end, when no task writes any more."""
    for draft in list(_drafts):
        _drafts.discard(draft)
        _remove_or_warn(draft)


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


def _remove_leftovers(target: Folder) -> None:
    """Remove drafts of the target whose process is dead, or that nobody has written to for a day; name all others."""
    if not target.is_local:
        return
    path = Path(target.path())
    with contextlib.suppress(OSError):
        for sibling in sorted(path.parent.iterdir()):
            kind = re.fullmatch(rf"_{re.escape(path.name)}\.(draft|removed|former)-[0-9a-f]{{8}}", sibling.name)
            if not kind or sibling.is_symlink():
                continue
            if kind[1] == "removed" or (kind[1] == "draft" and _is_abandoned(sibling)):
                _log.info("'%s' was left by a run that was killed. It is removed.", sibling)
                shutil.rmtree(sibling, ignore_errors=True)
            elif kind[1] == "draft":
                _log.warning("'%s' belongs to a run that was killed or is still running. It is not removed.", sibling)
            else:
                _log.warning(
                    "'%s' is the complete previous output, left by a run that was killed or could not remove it. It is "
                    "kept; delete it once you do not need it.",
                    sibling,
                )


def _owner() -> dict[str, Any]:
    """This process, as drafts name it: a pid and a host name alone may belong to another one."""
    return {"machine": _machine(), "pid": os.getpid(), "started": _started(os.getpid())}


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


def _is_abandoned(draft: Path) -> bool:
    """Whether nothing will write to a draft any more. One without its anchor is complete, and is kept."""
    try:
        owner = json.loads((draft / ANCHOR).read_bytes())
        newest = max(path.stat().st_mtime for path in (draft, *draft.rglob("*")))
    except (OSError, ValueError):
        return False
    if not isinstance(owner, dict) or not isinstance(owner.get("pid"), int):
        return False
    if owner.get("machine") == _machine() is not None:
        return _started(owner["pid"]) != owner.get("started")
    return time.time() - newest > _SECONDS_PER_DAY


@contextlib.contextmanager
def _kept_alive(draft: Folder) -> Iterator[None]:
    """Touch the anchor now and then, so that other machines see that the run is alive."""
    ended = threading.Event()

    def touch() -> None:
        while not ended.wait(_SECONDS_BETWEEN_TOUCHES):
            with contextlib.suppress(OSError):
                os.utime(draft.path(ANCHOR))

    thread = threading.Thread(target=touch, name="sentispark-draft", daemon=True)
    if draft.is_local:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        if draft.is_local:
            thread.join()
