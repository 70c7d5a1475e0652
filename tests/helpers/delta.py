"""Delta tables made by hand: what deltalake does not write itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

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


def beginning(*features: str, partitions: Iterable[str] = (), **configuration: str) -> list[dict]:
    """The first two actions of a table of `reviewText` and `overall`, with features that a reader must know."""
    fields = [
        {"name": name, "type": kind, "nullable": True, "metadata": {}}
        for name, kind in (("reviewText", "string"), ("overall", "long"))
    ]
    protocol = {"minReaderVersion": 1, "minWriterVersion": 2}
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


def add(path: str, **more: object) -> dict:
    """The action of a file's coming."""
    return {"add": {"path": path, "partitionValues": {}, "size": 1, "modificationTime": 1, "dataChange": True, **more}}


def remove(path: str) -> dict:
    """The action of a file's going."""
    return {"remove": {"path": path, "deletionTimestamp": 1, "dataChange": True}}


def write_log(table: Path, *commits: tuple[int, list[dict]]) -> Path:
    """Write commits, and a file of one review for each that they add to the table's own folder."""
    log = table / "_delta_log"
    log.mkdir(parents=True, exist_ok=True)
    for version, actions in commits:
        (log / f"{version:020d}.json").write_text("\n".join(map(json.dumps, actions)))
        for path in (action["add"]["path"] for action in actions if "add" in action):
            if "/" not in path:
                write_review(table / path)
    return table


def write_review(path: Path, text: str | None = None) -> Path:
    """A file of one review, whose text is the file's name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"reviewText": [text or path.name], "overall": [5]}), path)
    return path


def write_sidecar(path: Path, added: Iterable[str]) -> dict:
    """A file that holds a part of what a checkpoint tells; gives the action that leads to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    actions = [
        {"path": name, "partitionValues": [], "size": 1, "modificationTime": 1, "dataChange": True} for name in added
    ]
    pq.write_table(
        pa.table({"add": pa.array(actions, ADDED), "remove": pa.array([None] * len(actions), REMOVED)}), path
    )
    return {"sidecar": {"path": path.name, "sizeInBytes": path.stat().st_size, "modificationTime": 1}}
