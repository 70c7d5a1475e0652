"""Whether sentispark wrote a folder, so that it may replace it: by the list of files in it, or by the files themselves.

Earlier versions wrote no list; their datasets and models are recognized by their manifest, their net or their stages.
"""

from __future__ import annotations

import json
import re
from typing import Any

from sentispark.errors import DatasetError
from sentispark.files import Folder

__all__ = ["MARKER", "foreign_file", "leave_marker", "require_ours"]

# Spark's readers skip names that start with an underscore.
MARKER = "_sentispark.json"

# Files that file systems and Hadoop add: checksums, the Finder's settings, object stores' markers of folders.
_INCIDENTAL = re.compile(r"(.*/)?(\..*\.crc|\.DS_Store|[^/]*_\$folder\$|)")

_NET = {"net.json", "history.json", "weights.safetensors", "vocabulary.json"}
_DATASET = {
    "_manifest.json",
    "vocabulary.json",
    "quarantine/part-*-*.parquet",
    *(f"{split}/chunk-*.parquet" for split in ("train", "validation", "test")),
}


def leave_marker(folder: Folder) -> None:
    """Write the list of its files into a finished folder."""
    folder.write(MARKER, json.dumps({"written_by": "sentispark", "files": folder.files()}))


def require_ours(folder: Folder) -> None:
    """Raise `DatasetError` unless a folder is empty or sentispark wrote everything in it."""
    foreign = foreign_file(folder)
    if foreign is not None:
        raise DatasetError(
            f"'{folder.url}' cannot be replaced: it holds '{foreign}', which sentispark did not write. "
            "Name another output or move that file away."
        )


def foreign_file(folder: Folder) -> str | None:
    """The first file in a folder that sentispark did not write; None if it wrote all of them."""
    files = [file for file in folder.files() if not _INCIDENTAL.fullmatch(file)]
    own = _own_files(folder, files) if files else set()
    return next((file for file in files if file not in own and _pattern(file) not in own), None)


def _pattern(file: str) -> str:
    """A path with an asterisk for each decimal or hexadecimal number, so that one pattern stands for many files."""
    return re.sub(r"\b[0-9a-f]*\d[0-9a-f]*", "*", file)


def _own_files(folder: Folder, files: list[str]) -> set[str]:
    """The paths of the files that sentispark wrote or, for a folder of an earlier version, patterns of them."""
    if MARKER in files:
        return {MARKER, *_list_in(folder, MARKER).get("files", ())}
    if "_manifest.json" in files and "chunks" in _list_in(folder, "_manifest.json"):
        return _DATASET
    stages = _stage_patterns(folder, files)
    if not stages and "net.json" in files and "format_version" in _list_in(folder, "net.json"):
        return _NET
    return stages


def _stage_patterns(folder: Folder, files: list[str]) -> set[str]:
    """The patterns of a stage that sentispark saved, or of a pipeline of such stages."""
    metadata = [file for file in files if re.fullmatch(r"(stages/[^/]+/)?metadata/[^/]+", file)]
    stages = sorted({file.split("metadata/")[0] for file in metadata} - {""}) or [""]
    parts = [file for file in metadata if any(file.startswith(f"{stage}metadata/part-") for stage in stages)]
    classes = [str(_list_in(folder, part).get("class", "")) for part in parts]
    if not classes or not all(name.startswith("sentispark.") for name in classes):
        return set()
    return {_pattern(f"{stage}{name}") for stage in stages for name in _NET} | set(map(_pattern, metadata))


def _list_in(folder: Folder, name: str) -> dict[str, Any]:
    try:
        content = json.loads(folder.read(name) or b"{}")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
