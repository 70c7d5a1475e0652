"""Which files of a Delta table are its rows: the others in its folder were removed, and wait to be deleted.

The log is read by deltalake (https://delta-io.github.io/delta-rs), from a copy of those of its files that tell the
newest version, so any file system will do. What a plain reader of Parquet cannot honour is an error, never a wrong row.
"""

from __future__ import annotations

import json
import posixpath
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow.parquet as pq

from sentispark.errors import InputError, SetupError

__all__ = ["LOG", "live_files", "log_files"]

LOG = "_delta_log"
_SIDECARS = "_sidecars"

_COMMIT = re.compile(r"(\d{20})\.json")
# One file; one of several parts (number, of how many); or a file that names others ("sidecars").
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?(?:\.[0-9a-fA-F-]{36})?\.(?:parquet|json)")

# Those of a table's features that change nothing for who reads its files as they are. The last two are looked at by
# themselves: a table may have the feature and no use of it.
_HARMLESS = {"timestampNtz", "v2Checkpoint", "columnMapping", "deletionVectors"}
_EXPORT = "Read it with Spark and write it as Parquet first."


def live_files(fs: Any, table: str) -> dict[str, dict[str, str | None]]:
    """The files that hold a table's rows now, and the values of the columns that stand in the log alone.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    table : str
        The folder that holds `_delta_log`.

    Returns
    -------
    dict
        From each file's path, or its URL where that is what the log has, to its partition's values, spelled.

    Raises
    ------
    SetupError
        If deltalake is not installed.
    InputError
        If the log is not whole, or rows or columns are not what stands in the files.
    """
    try:
        import deltalake
    except ImportError as error:
        raise SetupError(
            f"'{table}' is a Delta table, and deltalake, which reads its log, is not installed. "
            "Install it: pip install 'sentispark[delta]'."
        ) from error
    with tempfile.TemporaryDirectory(prefix="sentispark-delta-") as copy:
        version = _copy_log(fs, table, copy)
        try:
            opened = deltalake.DeltaTable(Path(copy))
            _require_plain(opened, table)
            if opened.version() != version:
                raise InputError(f"'{table}/{LOG}' must lead to version {version}. It leads to {opened.version()}.")
            actions = opened.get_add_actions(flatten=False)
        except (deltalake.exceptions.DeltaError, deltalake.exceptions.SchemaMismatchError) as error:
            problem = str(error).splitlines()[0].split(": ParsedLogPath")[0][:300]
            raise InputError(f"'{table}' is a Delta table whose log cannot be read: {problem}. {_EXPORT}") from error
        paths = [str(path) for path in actions.column("path").to_pylist()]
        values: list[dict[str, Any]] = [{}] * len(paths)
        if "partition" in actions.schema.names:
            values = [dict(one) for one in actions.column("partition").to_pylist()]
    return {
        _place(table, path): {name: _spelled(value) for name, value in one.items()}
        for path, one in zip(paths, values, strict=True)
    }


def log_files(names: Iterable[str], table: str) -> tuple[list[str], list[str], int]:
    """Which files of a log tell a table's newest version: a checkpoint's, the commits after it; and the version.

    Pure. Raises `InputError` if they do not tell it: a commit or a part of a checkpoint is missing.
    """
    commits: dict[int, str] = {}
    # By version, whole checkpoint and its number of parts.
    parts: dict[tuple[int, int | str, int], dict[int, str]] = {}
    for name in names:
        if commit := _COMMIT.fullmatch(name):
            commits[int(commit[1])] = name
        elif checkpoint := _CHECKPOINT.fullmatch(name):
            number, of = int(checkpoint[2] or 1), int(checkpoint[3] or 1)
            # Two writers may have made one each of the same version: any whole one will do.
            kind = of if checkpoint[2] else name
            parts.setdefault((int(checkpoint[1]), kind, of), {})[number] = name
    whole = {version: list(found.values()) for (version, _, of), found in parts.items() if len(found) == of}
    start, newest = max(whole, default=-1), max([*commits, *(version for version, *_ in parts)], default=-1)
    needed = range(start + 1, newest + 1)
    missing = next((version for version in needed if version not in commits), None)
    if newest < 0 or missing is not None:
        raise InputError(
            f"'{table}/{LOG}' must hold a whole checkpoint and every commit after it. "
            f"{f'Version {missing} is missing' if newest >= 0 else 'It holds none'}. Restore the log."
        )
    return whole.get(start, []), [commits[version] for version in needed], newest


def _copy_log(fs: Any, table: str, copy: str) -> int:
    """Copy of the log what tells the newest version; gives that."""
    log = f"{table}/{LOG}"
    names = [name.rsplit("/", 1)[-1] for name in fs.find(log, maxdepth=1)]
    checkpoint, commits, version = log_files(names, table)
    target = Path(copy, LOG)
    Path(target, _SIDECARS).mkdir(parents=True)
    for name in [*checkpoint, *commits]:
        fs.get_file(f"{log}/{name}", str(target / name))
    for sidecar in {name for file in checkpoint for name in _sidecars(target / file)}:
        try:
            fs.get_file(f"{log}/{_SIDECARS}/{sidecar}", str(target / _SIDECARS / sidecar))
        except FileNotFoundError as error:
            raise InputError(f"'{log}/{_SIDECARS}/{sidecar}' must be there. It is missing. Restore the log.") from error
    return version


def _sidecars(checkpoint: Path) -> list[str]:
    """The names of the files to which a checkpoint leaves a part of what it holds."""
    if checkpoint.suffix == ".json":
        lines = map(json.loads, checkpoint.read_text("utf-8").splitlines())
        sidecars = [line["sidecar"] for line in lines if line.get("sidecar")]
    else:
        file = pq.ParquetFile(checkpoint)
        found = file.read(["sidecar"]).column(0).to_pylist() if "sidecar" in file.schema_arrow.names else []
        sidecars = [sidecar for sidecar in found if sidecar]
    return [unquote(sidecar["path"]).rsplit("/", 1)[-1] for sidecar in sidecars]


def _require_plain(opened: Any, table: str) -> None:
    """Raise `InputError` if the rows and columns of the table are not those of its files."""
    unknown = sorted(set(opened.protocol().reader_features or []) - _HARMLESS)
    if unknown:
        raise InputError(f"'{table}' must be readable as plain Parquet. It uses {', '.join(unknown)}. {_EXPORT}")
    if opened.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        raise InputError(f"'{table}' must name its columns as its files do. It maps columns to other names. {_EXPORT}")
    if _has_deletion_vectors(opened):
        raise InputError(
            f"'{table}' must hold no deletion vectors. It does, so some rows of its files are deleted: purge it "
            "(REORG TABLE … APPLY (PURGE)), or read it with Spark and write it as Parquet first."
        )


def _has_deletion_vectors(opened: Any) -> bool:
    import deltalake

    try:
        return any(batch.num_rows for batch in opened.deletion_vectors())
    except deltalake.exceptions.DeltaError:  # there are some: their files were not copied
        return True


def _place(table: str, path: str) -> str:
    """Where a file is; logs have paths below the table, absolute ones and URLs, all of them escaped."""
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:/", path):
        # Hadoop's `file:/a` is what others write as `file:///a`.
        return re.sub(r"^file:/+", "/", unquote(path))
    return posixpath.normpath(posixpath.join(table, unquote(path)))


def _spelled(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None if value is None else str(value)
