"""Rows by their number: chunks are read once, on first need, and kept in memory or in memory-mapped local files."""

from __future__ import annotations

import itertools
import tempfile
from pathlib import Path

import numpy as np

from sentispark.dataset.dataset import Dataset
from sentispark.dataset.readers import ChunkArrays, Reader

__all__ = ["RowStore"]


class RowStore:
    """The rows of one split that a rank has asked for so far.

    Parameters
    ----------
    dataset : Dataset
    split : str
    reader : Reader
    memory_bytes : int
        Chunks beyond this many bytes are kept in memory-mapped files of a temporary folder instead.
    """

    def __init__(self, dataset: Dataset, split: str, reader: Reader, *, memory_bytes: int = 1 << 30) -> None:
        self._dataset = dataset
        self._reader = reader
        self._chunks = dataset.manifest.chunks_of(split)
        self._starts = np.concatenate(([0], np.cumsum([chunk.rows for chunk in self._chunks]))).astype(np.int64)
        self._held: dict[int, ChunkArrays] = {}
        self._memory_left = memory_bytes
        self._folder: tempfile.TemporaryDirectory | None = None

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __enter__(self) -> RowStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._held.clear()
        if self._folder is not None:
            self._folder.cleanup()

    def load(self, first: int, last: int) -> None:
        """Read the chunks that hold the rows from `first` up to `last`, itself left out, if they are not held yet."""
        for number, (start, stop) in enumerate(itertools.pairwise(self._starts)):
            if max(first, start) < min(last, stop):
                self._chunk(number)

    def take(self, rows: np.ndarray) -> ChunkArrays:
        """The rows of the given numbers (dtype=int64, ascending), in that order. Raises IndexError beyond the end."""
        if len(rows) and not (rows[0] >= 0 and rows[-1] < len(self)):
            raise IndexError(f"Rows must be from 0 to {len(self) - 1}. Got {rows[0]} to {rows[-1]}.")
        edges = np.searchsorted(rows, self._starts)
        parts = [
            ChunkArrays(*(column[rows[start:stop] - self._starts[number]] for column in self._chunk(number)))
            for number, (start, stop) in enumerate(itertools.pairwise(edges))
            if start < stop
        ]
        if not parts:
            return self._empty()
        return ChunkArrays(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))

    def _empty(self) -> ChunkArrays:
        manifest = self._dataset.manifest
        return ChunkArrays(
            np.zeros((0, manifest.sequence_length), manifest.id_type),
            np.zeros(0, np.int32),
            np.zeros(0, np.int32),
            np.zeros(0, np.float64),
        )

    def _chunk(self, number: int) -> ChunkArrays:
        if number not in self._held:
            arrays = self._reader.read(self._dataset, self._chunks[number])
            size = sum(column.nbytes for column in arrays)
            if size > self._memory_left:
                arrays = self._mapped(number, arrays)
            else:
                self._memory_left -= size
            self._held[number] = arrays
        return self._held[number]

    def _mapped(self, number: int, arrays: ChunkArrays) -> ChunkArrays:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="sentispark-store-")
        columns = []
        for name, column in zip(ChunkArrays._fields, arrays, strict=True):
            path = Path(self._folder.name) / f"{number}-{name}.npy"
            np.save(path, column)
            columns.append(np.load(path, mmap_mode="r"))
        return ChunkArrays(*columns)
