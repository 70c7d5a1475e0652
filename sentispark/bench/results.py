"""The folder of a bench: marked before the work, so that only a bench's folder is written over, and filled after it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from sentispark.errors import DatasetError, InputError
from sentispark.files import Folder
from sentispark.outputs import require_writable
from sentispark.overlap import require_apart

__all__ = ["begin_folder", "machine", "write_results"]

RESULTS = "results.json"
MARKER = "_bench"


def begin_folder(output: Folder, bench: str, *, files: Iterable[str] = (), folders: Iterable[Folder] = ()) -> Folder:
    """A bench's own folder below an output, which it writes over each time: a file in it says so.

    Parameters
    ----------
    output : Folder
        On this machine.
    bench : str
        The folder's name.
    files, folders : iterables
        What is read; see `overlap.require_apart`.

    Raises
    ------
    InputError
        If the output is not on this machine, or the folder is, holds or lies in what is read.
    DatasetError
        If the folder is a file, or holds something else than an earlier bench.
    SetupError
        If nothing can be written there.
    """
    if not output.is_local:
        raise InputError(f"The bench writes to a local folder. Got '{output.url}'.")
    folder = output.child(bench).absolute_folder()
    require_apart(folder, files=files, folders=folders)
    if folder.is_file():
        raise DatasetError(f"'{folder.url}' must be a folder. It is a file. Name another output.")
    if folder.names() and not any(folder.exists(name) for name in (MARKER, RESULTS)):
        raise DatasetError(
            f"'{folder.url}' must be a folder of an earlier bench, or empty. It is something else. Name another output."
        )
    require_writable(folder, name=folder.url)
    folder.write(MARKER, b"")
    return folder


def machine(*, cores: int) -> dict[str, Any]:
    """What the numbers were measured on: `cores`, `python` and `memory_gib`."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cores": cores, "python": sys.version.split()[0], "memory_gib": round(memory / 2**30)}


def write_results(folder: Folder, found: Mapping[str, Any]) -> dict[str, Any]:
    """Write what a bench found as `results.json`, and return it, with numbers rounded to four significant digits."""
    rounded = {name: _rounded(value) for name, value in found.items()}
    folder.write(RESULTS, json.dumps(rounded, indent=1).encode())
    return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_rounded(entry) for entry in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
