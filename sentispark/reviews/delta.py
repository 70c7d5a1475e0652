"""Which files of a Delta table are its rows: the others in its folder were removed, and wait to be deleted.

The log is read as the Delta protocol has it (https://github.com/delta-io/delta/blob/master/PROTOCOL.md): the last
checkpoint, then the commits after it. What a plain reader of Parquet cannot honour is an error, never a wrong row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet as pq

from sentispark.errors import InputError

__all__ = ["LOG", "live_files"]

LOG = "_delta_log"


def live_files(fs: Any, table: str) -> set[str]:
    """The paths of the files that hold a table's rows now.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    table : str
        The folder that holds `_delta_log`.

    Raises
    ------
    InputError
        If rows were deleted without their file being rewritten, columns have other names in the files, or the log has
        a gap.
    """
    names = sorted(path.rsplit("/", 1)[-1] for path in fs.find(f"{table}/{LOG}", maxdepth=1))
    checkpoints = [int(name[:20]) for name in names if re.fullmatch(r"\d{20}\.checkpoint.*\.parquet", name)]
    start = max(checkpoints, default=-1)
    commits = [name for name in names if re.fullmatch(r"\d{20}\.json", name) and int(name[:20]) > start]
    if [int(name[:20]) for name in commits] != list(range(start + 1, start + 1 + len(commits))):
        raise InputError(f"'{table}/{LOG}' must hold every commit after its checkpoint. One is missing.")
    live: dict[str, None] = {}
    for name in names:
        if name.startswith(f"{start:020d}.checkpoint"):
            with fs.open(f"{table}/{LOG}/{name}", "rb") as file:
                _replay(table, live, pq.read_table(file).to_pylist())
    for name in commits:
        lines = fs.cat_file(f"{table}/{LOG}/{name}").splitlines()
        _replay(table, live, (json.loads(line) for line in lines if line.strip()))
    return {f"{table}/{unquote(path)}" for path in live}


def _replay(table: str, live: dict[str, None], actions: Iterable[dict[str, Any]]) -> None:
    for action in actions:
        added, removed, metadata = (action.get(kind) for kind in ("add", "remove", "metaData"))
        if metadata and dict(metadata.get("configuration") or {}).get("delta.columnMapping.mode", "none") != "none":
            raise InputError(f"'{table}' must name its columns as its files do. It maps them: export it first.")
        if added and added.get("deletionVector"):
            raise InputError(f"'{table}' must hold no deletion vectors. Purge it first.")
        if removed:
            live.pop(removed["path"], None)
        if added:
            live[added["path"]] = None
