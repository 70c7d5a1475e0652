"""The output folder of a bench, marked before the work, as only marked folders are overwritten, and its results."""

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
    """Create and mark the folder of a bench below an output; a marked folder is overwritten by the next run.

    Parameters
    ----------
    output : Folder
        A local folder.
    bench : str
        The folder's name.
    files, folders : iterables
        The inputs; see `overlap.require_apart`.

    Raises
    ------
    InputError
        If the output is not local, or the folder contains an input or is inside one.
    DatasetError
        If the folder is a file, or no bench wrote its content.
    SetupError
        If the folder cannot be written to.
    """
    if not output.is_local:
        raise InputError(f"'--output' must be a local folder. Got '{output.url}'.")
    folder = output.child(bench).absolute_folder()
    require_apart(folder, files=files, folders=folders)
    if folder.is_file():
        raise DatasetError(f"'{folder.url}' is a file, not a folder. Name another output.")
    if folder.names() and not any(folder.exists(name) for name in (MARKER, RESULTS)):
        raise DatasetError(f"'{folder.url}' is neither empty nor the folder of a bench. Name another output.")
    require_writable(folder, name=folder.url)
    folder.write(MARKER, b"")
    return folder


def machine(*, cores: int) -> dict[str, Any]:
    """The machine on which the numbers were measured: `cores`, `python` and `memory_gib`."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {"cores": cores, "python": sys.version.split()[0], "memory_gib": round(memory / 2**30)}


def write_results(folder: Folder, found: Mapping[str, Any]) -> dict[str, Any]:
    """Write the results as `results.json`, rounded to four significant digits, and return them."""
    rounded = {name: _rounded(value) for name, value in found.items()}
    folder.write(RESULTS, json.dumps(rounded, indent=1).encode())
    return rounded


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_rounded(entry) for entry in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value
