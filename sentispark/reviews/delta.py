"""The live files of a Delta table. Other files in its folder were removed from the table and await deletion.

deltalake (https://delta-io.github.io/delta-rs) reads the log from a local copy of the log files that define the newest
version, so the table may be on any file system. A table that plain Parquet readers would misread is an error.
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
# A single file, one of several parts (part number, number of parts), or a file that names others ("sidecars").
_CHECKPOINT = re.compile(r"(\d{20})\.checkpoint(?:\.(\d{10})\.(\d{10}))?(?:\.[0-9a-fA-F-]{36})?\.(?:parquet|json)")

# Table features that do not change how the files are read. The last two are checked separately, because a table may
# enable the feature without using it.
_HARMLESS = {"timestampNtz", "v2Checkpoint", "columnMapping", "deletionVectors"}
_EXPORT = "Read it with Spark and write it as Parquet first."


def live_files(fs: Any, table: str) -> dict[str, dict[str, str | None]]:
    """The files that hold a table's current rows, and their partition values, which only the log holds.

    Parameters
    ----------
    fs : fsspec.AbstractFileSystem
    table : str
        The folder with `_delta_log` in it.

    Returns
    -------
    dict
        Each file's path (or URL, if the log has one) to its partition values as text.

    Raises
    ------
    SetupError
        If deltalake is not installed.
    InputError
        If the log is incomplete, or the table cannot be read as plain Parquet.
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
                raise InputError(f"'{table}/{LOG}' must end at version {version}. It ends at {opened.version()}.")
            actions = opened.get_add_actions(flatten=False)
        except (deltalake.exceptions.DeltaError, deltalake.exceptions.SchemaMismatchError) as error:
            problem = str(error).splitlines()[0].split(": ParsedLogPath")[0][:300]
            raise InputError(f"'{table}' is a Delta table whose log cannot be read: {problem}. {_EXPORT}") from error
        paths = [str(path) for path in actions.column("path").to_pylist()]
        values: list[dict[str, Any]] = [{}] * len(paths)
        if "partition" in actions.schema.names:
            values = [dict(one) for one in actions.column("partition").to_pylist()]
    return {
        _absolute_path(table, path): {name: _as_text(value) for name, value in one.items()}
        for path, one in zip(paths, values, strict=True)
    }


def log_files(names: Iterable[str], table: str) -> tuple[list[str], list[str], int]:
    """The log files that define a table's newest version: a checkpoint's, the commits after it; and the version.

    Pure. Raises `InputError` if a commit or a part of a checkpoint is missing.
    """
    commits: dict[int, str] = {}
    # By version, name (or number of parts) and number of parts.
    parts: dict[tuple[int, int | str, int], dict[int, str]] = {}
    for name in names:
        if commit := _COMMIT.fullmatch(name):
            commits[int(commit[1])] = name
        elif checkpoint := _CHECKPOINT.fullmatch(name):
            number, of = int(checkpoint[2] or 1), int(checkpoint[3] or 1)
            # Two writers may have written a checkpoint of the same version: either one will do if it is complete.
            kind = of if checkpoint[2] else name
            parts.setdefault((int(checkpoint[1]), kind, of), {})[number] = name
    complete = {version: list(found.values()) for (version, _, of), found in parts.items() if len(found) == of}
    start, newest = max(complete, default=-1), max([*commits, *(version for version, *_ in parts)], default=-1)
    needed = range(start + 1, newest + 1)
    missing = next((version for version in needed if version not in commits), None)
    if newest < 0 or missing is not None:
        raise InputError(
            f"'{table}/{LOG}' must hold a complete checkpoint and every commit after it. "
            f"{f'Version {missing} is missing' if newest >= 0 else 'It holds neither'}. Restore the log."
        )
    return complete.get(start, []), [commits[version] for version in needed], newest


def _copy_log(fs: Any, table: str, copy: str) -> int:
    """Copy the log files that define the newest version. Returns the version."""
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
            raise InputError(f"'{log}/{_SIDECARS}/{sidecar}' is missing. Restore the log.") from error
    return version


def _sidecars(checkpoint: Path) -> list[str]:
    """The names of a checkpoint's sidecar files."""
    if checkpoint.suffix == ".json":
        lines = map(json.loads, checkpoint.read_text("utf-8").splitlines())
        sidecars = [line["sidecar"] for line in lines if line.get("sidecar")]
    else:
        file = pq.ParquetFile(checkpoint)
        found = file.read(["sidecar"]).column(0).to_pylist() if "sidecar" in file.schema_arrow.names else []
        sidecars = [sidecar for sidecar in found if sidecar]
    return [unquote(sidecar["path"]).rsplit("/", 1)[-1] for sidecar in sidecars]


def _require_plain(opened: Any, table: str) -> None:
    """Raise `InputError` if the table's rows and columns differ from those of its files."""
    unknown = sorted(set(opened.protocol().reader_features or []) - _HARMLESS)
    if unknown:
        raise InputError(f"'{table}' must be readable as plain Parquet. It uses {', '.join(unknown)}. {_EXPORT}")
    if opened.metadata().configuration.get("delta.columnMapping.mode", "none") != "none":
        raise InputError(f"'{table}' must use the column names of its files. It maps them to other names. {_EXPORT}")
    if _has_deletion_vectors(opened):
        raise InputError(
            f"'{table}' must not have deletion vectors. It has some, so its files contain deleted rows. Purge them "
            "(REORG TABLE … APPLY (PURGE)), or read the table with Spark and write it as Parquet first."
        )


def _has_deletion_vectors(opened: Any) -> bool:
    import deltalake

    try:
        return any(batch.num_rows for batch in opened.deletion_vectors())
    except deltalake.exceptions.DeltaError:  # there are some, and their files were not copied
        return True


def _absolute_path(table: str, path: str) -> str:
    """A file's path or URL. Logs hold relative paths, absolute paths and URLs, all percent-encoded."""
    if re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:/", path):
        # Hadoop writes `file:/a` for `file:///a`.
        return re.sub(r"^file:/+", "/", unquote(path))
    return posixpath.normpath(posixpath.join(table, unquote(path)))


def _as_text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else None if value is None else str(value)
