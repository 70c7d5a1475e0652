"""Encoded rows of DataFrames on disk between fits, under names that follow from them: the next fit finds them."""

from __future__ import annotations

import os
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

from sentispark.dataset import manifest as manifest_file
from sentispark.dataset.dataset import Dataset, open_dataset
from sentispark.errors import DatasetError, InputError
from sentispark.files import Folder
from sentispark.spark.folders import spark_folder
from sentispark.spark.session import get_spark, shares_this_machine

__all__ = ["cache_folder", "cached", "clean_cache", "entry"]

# Entries that no fit has used for so long are removed by the next fit.
KEPT_DAYS = 7.0
_PREFIX = "rows-"


def cache_folder(cache_dir: str) -> Folder:
    """The folder of a `cacheDir`; in local mode the empty one is a folder of this user's among the temporary ones.

    Raises
    ------
    InputError
        If it is empty and executors run on other machines.
    """
    if cache_dir:
        return spark_folder(cache_dir)
    if not shares_this_machine(get_spark()):
        raise InputError("On a cluster 'cacheDir' must name a folder that every executor can read. It is empty.")
    path = Path(tempfile.gettempdir(), f"sentispark-{os.getuid()}")
    path.mkdir(mode=0o700, exist_ok=True)
    if path.stat().st_uid != os.getuid():
        raise InputError(f"'{path}' must be this user's own folder. It is not. Set 'cacheDir'.")
    return Folder(str(path))


def entry(cache: Folder, name: str) -> Folder:
    """The folder in which the dataset of that name lies, or is to be written."""
    return cache.child(_PREFIX + name)


def cached(folder: Folder) -> Dataset | None:
    """The dataset of an entry, which counts as used now; None if there is none, and what is damaged is removed."""
    if not folder.exists():
        return None
    try:
        dataset = open_dataset(folder)
    except DatasetError:
        folder.remove()
        return None
    folder.write(manifest_file.FILE_NAME, folder.read(manifest_file.FILE_NAME))
    return dataset


def clean_cache(cache_dir: str = "", *, days: float = 0.0) -> int:
    """Remove the encoded rows that fits on DataFrames have left.

    Parameters
    ----------
    cache_dir : str
        As the estimator's `cacheDir`.
    days : float
        Only those that no fit has used for so many days.

    Returns
    -------
    int
        How many were removed.
    """
    cache = cache_folder(cache_dir)
    fs, path = cache.location
    fs.invalidate_cache()
    entries = [info["name"] for info in fs.ls(path, detail=True)] if fs.exists(path) else []
    before = datetime.now(timezone.utc) - timedelta(days=days)
    old = [
        name
        for name in entries
        if name.rstrip("/").rsplit("/", 1)[1].startswith(_PREFIX)
        and all(fs.modified(file) <= before for file in fs.find(name))
    ]
    for name in old:
        fs.rm(name, recursive=True)
    return len(old)
