"""Delta tables with features that deltalake does not write."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

ADDED = pa.struct(
    [
        ("path", pa.string()),
        ("partitionValues", pa.map_(pa.string(), pa.string())),
        ("size", pa.int64()),
        ("modificationTime", pa.int64()),
        ("dataChange", pa.bool_()),
    ]
)
REMOVED = pa.struct([("path", pa.string()), ("deletionTimestamp", pa.int64()), ("dataChange", pa.bool_())])


def beginning(*features: str, partitions: Iterable[str] = (), **configuration: str) -> list[dict[str, Any]]:
    """The first two actions of a table of `reviewText` and `overall`, with features that a reader must support."""
    fields = [
        {"name": name, "type": kind, "nullable": True, "metadata": {}}
        for name, kind in (("reviewText", "string"), ("overall", "long"))
    ]
    protocol: dict[str, Any] = {"minReaderVersion": 1, "minWriterVersion": 2}
    if features:
        protocol = {"minReaderVersion": 3, "minWriterVersion": 7}
        protocol |= {kind: list(features) for kind in ("readerFeatures", "writerFeatures")}
    metadata = {
        "id": "a table",
        "format": {"provider": "parquet", "options": {}},
        "schemaString": json.dumps({"type": "struct", "fields": fields}),
        "partitionColumns": list(partitions),
        "configuration": configuration,
    }
    return [{"protocol": protocol}, {"metaData": metadata}]


def add(path: str, **more: object) -> dict[str, Any]:
    """The action that adds a file."""
    return {"add": {"path": path, "partitionValues": {}, "size": 1, "modificationTime": 1, "dataChange": True, **more}}


def remove(path: str) -> dict[str, Any]:
    """The action that removes a file."""
    return {"remove": {"path": path, "deletionTimestamp": 1, "dataChange": True}}


def write_log(table: Path, *commits: tuple[int, list[dict[str, Any]]]) -> Path:
    """Write commits, and a file with one review for each file that they add to the table's folder."""
    log = table / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    for version, actions in commits:
        (log / f"{version:020d}.json").write_text("\n".join(map(json.dumps, actions)))
        for path in (action["add"]["path"] for action in actions if "add" in action):
            if "/" not in path:
                write_review(table / path)
    return table


def write_review(path: Path, text: str | None = None) -> Path:
    """Write a file with one review, whose text is by default the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"reviewText": [text or path.name], "overall": [5]}), path)
    return path


def write_sidecar(path: Path, added: Iterable[str]) -> dict[str, Any]:
    """Write a sidecar file of a checkpoint; returns the action that refers to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    actions = [
        {"path": name, "partitionValues": [], "size": 1, "modificationTime": 1, "dataChange": True} for name in added
    ]
    pq.write_table(
        pa.table({"add": pa.array(actions, ADDED), "remove": pa.array([None] * len(actions), REMOVED)}), path
    )
    return {"sidecar": {"path": path.name, "sizeInBytes": path.stat().st_size, "modificationTime": 1}}
