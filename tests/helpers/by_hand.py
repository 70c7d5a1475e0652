"""Datasets written on any file system with only pyarrow, JSON and fsspec, independent of sentispark's writer."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentispark.errors import SentisparkError
from sentispark.text.wordlist import WordList

L = 4
VOCABULARY = 100
CHUNK_ROWS = (3, 5, 2)
FIRST_FILE = "train/chunk-000000.parquet"

Where = TypeVar("Where")


def columns_of(first: int, stop: int, *, sequence_length: int = L, weighted: bool = False) -> dict[str, pa.Array]:
    """Rows `first` to `stop` of an endless split: row i has i % (L + 1) ids, all of them i."""
    rows = range(first, stop)
    sequences = [[i] * (i % (L + 1)) + [0] * (sequence_length - i % (L + 1)) for i in rows]
    columns = {
        "sequence": pa.array(sequences, pa.list_(pa.int16())),
        "length": pa.array([i % (L + 1) for i in rows], pa.int32()),
        "label": pa.array([i % 3 // 2 for i in rows], pa.int32()),
    }
    return columns | ({"weight": pa.array([i / 4 for i in rows], pa.float64())} if weighted else {})


def write_by_hand(
    where: Where,
    *,
    chunk_rows: Sequence[int] = CHUNK_ROWS,
    weighted: bool = False,
    words: Sequence[str] | None = None,
    row_group_size: int | None = None,
) -> Where:
    """Write a dataset with rows 0, 1, 2, … in its split "train" to a path or URL, which is returned."""
    chunks, first = [], 0
    for number, rows in enumerate(chunk_rows):
        file = f"train/chunk-{number:06d}.parquet"
        columns = columns_of(first, first + rows, weighted=weighted)
        content = parquet(columns, row_group_size=row_group_size)
        put(where, file, content)
        chunks.append(
            {
                "split": "train",
                "file": file,
                "rows": rows,
                "positives": sum(columns["label"].to_pylist()),
                "weight": sum(columns["weight"].to_pylist()) if weighted else float(rows),
                "size": len(content),
            }
        )
        first += rows
    manifest = {
        "format_version": 1,
        "sequence_length": L,
        "vocabulary_size": VOCABULARY,
        "vocabulary_fingerprint": WordList(words).fingerprint if words else None,
        "weighted": weighted,
        "chunks": chunks,
        "text_options": {},
        "counts": {},
    }
    put(where, "_manifest.json", json.dumps(manifest).encode())
    if words:
        put(where, "vocabulary.json", WordList(words).to_json().encode())
    return where


def replace_chunk(where: Any, content: bytes, *, file: str = FIRST_FILE, **fields: Any) -> None:
    """Replace the bytes of a chunk; update its size, and other given fields, in the manifest."""
    put(where, file, content)
    manifest = json.loads(get(where, "_manifest.json"))
    for chunk in manifest["chunks"]:
        if chunk["file"] == file:
            chunk.update(fields, size=len(content))
    put(where, "_manifest.json", json.dumps(manifest).encode())


def parquet(columns: dict[str, pa.Array], *, row_group_size: int | None = None) -> bytes:
    """The bytes of a Parquet file."""
    stream = io.BytesIO()
    pq.write_table(pa.table(columns), stream, row_group_size=row_group_size)
    return stream.getvalue()


def put(where: Any, name: str, content: bytes) -> None:
    """Write a file below a path or URL."""
    fs, path = fsspec.url_to_fs(f"{where}/{name}")
    fs.makedirs(path.rpartition("/")[0], exist_ok=True)
    fs.pipe_file(path, content)


def get(where: Any, name: str) -> bytes:
    """The bytes of a file below a path or URL."""
    fs, path = fsspec.url_to_fs(f"{where}/{name}")
    return fs.cat_file(path)


def delete(where: Any, name: str) -> None:
    """Remove a file below a path or URL."""
    fs, path = fsspec.url_to_fs(f"{where}/{name}")
    fs.rm_file(path)


def error_of(kind: type[SentisparkError], function: Callable[..., Any], *arguments: Any) -> str:
    """The message of the error that a call raises."""
    with pytest.raises(kind) as caught:
        function(*arguments)
    assert isinstance(caught.value, SentisparkError)
    return str(caught.value)
