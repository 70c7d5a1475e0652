"""Encoded rows of DataFrames on disk between fits, named by their content, so that the next fit finds them.

Each writer of an entry has a folder of its own, `rows-NAME-UNIQUE`, whose manifest is written last. So any number of
fits may write the same rows at once, on any file system, and a fit uses complete entries only.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

from fsspec import AbstractFileSystem

from sentispark.dataset import manifest as manifest_file
from sentispark.dataset.dataset import Dataset, open_dataset
from sentispark.drafts import as_draft, close_draft, is_left_behind, open_draft, remove_draft
from sentispark.errors import DatasetError, InputError, SetupError
from sentispark.files import Folder
from sentispark.spark.folders import spark_folder
from sentispark.spark.session import get_spark, shares_this_machine
from sentispark.train.result import TrainedNet

__all__ = ["cache_folder", "cached", "clean_cache", "kept_net", "new_entry"]

# Entries that no fit has used for this long are removed by the next fit.
MAX_UNUSED_DAYS = 7.0
_PREFIX = "rows-"
_NET_PREFIX = "net-"
# Users keep other things in the folder, too.
_ROWS = re.compile(r"rows-[0-9a-f]{16}(-[0-9a-f]{12})?|_rows-[0-9a-f]{16}-[0-9a-f]{12}\.removed-[0-9a-f]{8}")
_NET = re.compile(r"net-[0-9a-f]{32}")


def cache_folder(cache_dir: str | None) -> Folder:
    """The folder of a `cacheDir`; for None, in local mode, a temporary folder of this user.

    Raises
    ------
    InputError
        If it is None and executors run on other machines, or if the temporary folder belongs to another user.
    """
    if cache_dir:
        return spark_folder(cache_dir)
    if not shares_this_machine(get_spark()):
        raise InputError("On a cluster 'cacheDir' must name a folder that every executor can read. It is not set.")
    path = Path(tempfile.gettempdir(), f"sentispark-{os.getuid()}")
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise InputError(f"'{path}' must be a folder of this user. It belongs to another one. Set 'cacheDir'.")
    return Folder(str(path))


@contextlib.contextmanager
def new_entry(cache: Folder, name: str) -> Iterator[Folder]:
    """A new folder for a dataset. It is removed if the block fails, or, if this process is killed, by the next fit."""
    for entry in _entries(cache, name):
        if is_left_behind(entry):
            _is_removed(entry)
    folder = as_draft(cache.child(f"{_PREFIX}{name}-{uuid.uuid4().hex[:12]}"))
    open_draft(folder)
    try:
        yield folder
    except BaseException:
        remove_draft(folder)
        raise
    if scratch := close_draft(folder):
        _is_removed(scratch)


def cached(cache: Folder, name: str) -> Dataset | None:
    """The dataset of that name, marked as used now; None if there is no complete one.

    Incomplete entries are left alone: another fit may be writing them.
    """
    for entry in _entries(cache, name):
        with contextlib.suppress(DatasetError, FileNotFoundError):
            dataset = open_dataset(entry)
            with contextlib.suppress(OSError, SetupError):  # another user's, or the disk is full
                entry.write(manifest_file.FILE_NAME, entry.read(manifest_file.FILE_NAME))
            return dataset
    return None


def _entries(cache: Folder, name: str) -> list[Folder]:
    """The entries of a dataset, complete or not."""
    names = (entry for entry in cache.names() if entry == _PREFIX + name or entry.startswith(f"{_PREFIX}{name}-"))
    return [cache.child(entry) for entry in names]


def kept_net(cache: Folder, trained: TrainedNet) -> Folder:
    """A folder with the net, which trainings can start from; it is written if it is not there."""
    folder = cache.child(f"{_NET_PREFIX}{trained.fingerprint[:32]}")
    trained.save(folder)  # each file at once: another fit may be reading it
    return folder


def clean_cache(cache_dir: str | None = None, *, days: float = 0.0) -> int:
    """Remove encoded rows that fits on DataFrames have cached, and nets that fits started from.

    Parameters
    ----------
    cache_dir : str
        The estimator's `cacheDir`.
    days : float
        Remove only encoded rows that no fit has used for this number of days; 0 for everything, nets included.

    Returns
    -------
    int
        The number of entries removed.
    """
    cache = cache_folder(cache_dir)
    fs, _ = cache.location
    before = datetime.now(timezone.utc) - timedelta(days=days)
    entries = [
        cache.child(name) for name in cache.names() if _ROWS.fullmatch(name) or (not days and _NET.fullmatch(name))
    ]
    return sum(_last_change(fs, entry.path()) <= before and _is_removed(entry) for entry in entries)


def _is_removed(entry: Folder) -> bool:
    """Remove an entry, unless it is a link, another user's, or being removed by another fit."""
    if entry.is_local and (os.path.islink(entry.path()) or not os.path.isdir(entry.path())):
        return False
    with contextlib.suppress(OSError, SetupError):
        entry.remove()
        return True
    return False


def _last_change(fs: AbstractFileSystem, path: str) -> datetime:
    """When the newest file of an entry was written, or when an entry without files was created."""
    with contextlib.suppress(FileNotFoundError):
        newest: datetime = max(fs.modified(file) for file in fs.find(path) or [path])
        return newest
    return datetime.max.replace(tzinfo=timezone.utc)  # it is changing at this moment
