"""Sequences whose label depends on the order of their ids, and datasets of them written without Spark."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import xxhash

from sentispark.dataset.manifest import FILE_NAME, Chunk, Manifest
from sentispark.text import wordlist
from sentispark.text.wordlist import WordList

L = 8
VOCABULARY = 12
FIRST, SECOND = 2, 3


class Row(NamedTuple):
    """One review: its token ids without padding, its label and its weight."""

    ids: list[int]
    label: int
    weight: float = 1.0


def toy_rows(count: int, *, seed: int = 0) -> list[Row]:
    """Rows of 2 to 8 ids with 2 and 3 once in each; the label is 1 where 2 comes before 3."""
    rng = random.Random(seed)
    return [_toy_row(rng) for _ in range(count)]


def _toy_row(rng: random.Random) -> Row:
    ids = [rng.randrange(4, VOCABULARY) for _ in range(rng.randint(2, L))]
    first, second = rng.sample(range(len(ids)), 2)
    ids[first], ids[second] = FIRST, SECOND
    return Row(ids, int(first < second))


def write_toy(
    folder: Path,
    splits: Mapping[str, Sequence[Row]],
    *,
    rows_per_chunk: int = 100,
    weighted: bool = False,
    vocabulary_size: int = VOCABULARY,
    words: WordList | None = None,
) -> str:
    """Write rows as a prepared dataset, in their order; returns its path. Without `words` it has no vocabulary."""
    manifest = Manifest(
        sequence_length=L,
        vocabulary_size=vocabulary_size,
        vocabulary_fingerprint=words and words.fingerprint,
        weighted=weighted,
        chunks=(),
    )
    chunks = [
        _write_chunk(folder, f"{split}/chunk-{start // rows_per_chunk:06d}.parquet", part, manifest)
        for split, rows in splits.items()
        for start in range(0, len(rows), rows_per_chunk)
        if (part := rows[start : start + rows_per_chunk])
    ]
    folder.mkdir(parents=True, exist_ok=True)
    if words:
        (folder / wordlist.FILE_NAME).write_text(words.to_json())
    (folder / FILE_NAME).write_text(dataclasses.replace(manifest, chunks=tuple(chunks)).to_json())
    return str(folder)


def _write_chunk(folder: Path, file: str, rows: Sequence[Row], manifest: Manifest) -> Chunk:
    columns = {
        "sequence": pa.array([row.ids + [0] * (L - len(row.ids)) for row in rows], pa.list_(pa.int16())),
        "length": pa.array([len(row.ids) for row in rows], pa.int32()),
        "label": pa.array([row.label for row in rows], pa.int32()),
    }
    if manifest.weighted:
        columns["weight"] = pa.array([row.weight for row in rows], pa.float64())
    path = folder / file
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return Chunk(
        split=file.split("/")[0],
        file=file,
        rows=len(rows),
        label_counts=(sum(1 - row.label for row in rows), sum(row.label for row in rows)),
        weight=sum(row.weight for row in rows) if manifest.weighted else float(len(rows)),
        size=path.stat().st_size,
        label_weights=(
            float(sum(row.weight * (1 - row.label) for row in rows)),
            float(sum(row.weight * row.label for row in rows)),
        ),
        checksum=xxhash.xxh3_128_hexdigest(path.read_bytes()),
    )
