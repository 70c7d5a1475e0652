"""Rows by their index: chunks are read once, when first needed, and stay in memory or memory-mapped local files."""

from __future__ import annotations

import contextlib
import io
import itertools
import tempfile
from collections.abc import Iterator

import numpy as np

from sentispark.dataset.dataset import Dataset
from sentispark.dataset.readers import ChunkArrays, Reader
from sentispark.errors import SetupError

__all__ = ["MEMORY_BYTES", "RowStore"]

# More than a million rows of 100 ids; a host may run several ranks, and each has a store for each split.
MEMORY_BYTES = 256 << 20


class RowStore:
    """The rows of one split that a rank has asked for so far.

    Parameters
    ----------
    dataset : Dataset
    split : str
    reader : Reader
    memory_bytes : int
        Chunks beyond this many bytes go to memory-mapped files in the temporary folder (`TMPDIR`) instead. The
        files have no name, so they disappear however the process ends.

    Attributes
    ----------
    reader : Reader
    """

    def __init__(self, dataset: Dataset, split: str, reader: Reader, *, memory_bytes: int = MEMORY_BYTES) -> None:
        self.reader = reader
        self._dataset = dataset
        self._chunks = dataset.manifest.chunks_of(split)
        self._starts = np.concatenate(([0], np.cumsum([chunk.rows for chunk in self._chunks]))).astype(np.int64)
        self._loaded: dict[int, ChunkArrays] = {}
        self._memory_left = memory_bytes
        self._files = contextlib.ExitStack()
        self._mapped: list[_MappedColumn] = []

    def __len__(self) -> int:
        return int(self._starts[-1])

    def __enter__(self) -> RowStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._loaded.clear()
        self._mapped.clear()
        self._files.close()

    def load(self, first: int, last: int) -> None:
        """Read the chunks with the rows from `first` up to, not including, `last`, unless they have been read."""
        for number, (start, stop) in enumerate(itertools.pairwise(self._starts)):
            if max(first, start) < min(last, stop):
                self._chunk(number)

    def take(self, rows: np.ndarray) -> ChunkArrays:
        """The rows at the given indices (dtype=int64, ascending), in that order. Raises IndexError beyond the end."""
        parts = [ChunkArrays(*(column[indices] for column in chunk)) for chunk, indices in self._find(rows)]
        return ChunkArrays(*(np.concatenate(columns) for columns in zip(self._empty(), *parts, strict=True)))

    def lengths(self, rows: np.ndarray) -> np.ndarray:
        """Only the lengths of the rows at the given indices, int32 of shape (n,); otherwise like `take`."""
        return np.concatenate([self._empty().length, *(chunk.length[indices] for chunk, indices in self._find(rows))])

    def _find(self, rows: np.ndarray) -> Iterator[tuple[ChunkArrays, np.ndarray]]:
        """Each chunk that holds some of the rows, with their indices in it."""
        if len(rows) and not (rows[0] >= 0 and rows[-1] < len(self)):
            raise IndexError(f"Rows must be from 0 to {len(self) - 1}. Got {rows[0]} to {rows[-1]}.")
        numbers = np.searchsorted(self._starts, rows, side="right") - 1
        edges = [0, *(np.flatnonzero(np.diff(numbers)) + 1).tolist(), len(rows)]
        for start, stop in itertools.pairwise(edges):
            if start < stop:
                number = int(numbers[start])
                yield self._chunk(number), rows[start:stop] - self._starts[number]

    def _empty(self) -> ChunkArrays:
        manifest = self._dataset.manifest
        return ChunkArrays(
            np.zeros((0, manifest.sequence_length), manifest.id_type),
            np.zeros(0, np.int32),
            np.zeros(0, np.int32),
            np.zeros(0, np.float64),
        )

    def _chunk(self, number: int) -> ChunkArrays:
        if number not in self._loaded:
            arrays = self.reader.read(self._dataset, self._chunks[number])
            size = sum(column.nbytes for column in arrays)
            if size > self._memory_left:
                arrays = self._moved_to_file(number, arrays)
            else:
                self._memory_left -= size
            self._loaded[number] = arrays
        return self._loaded[number]

    def _moved_to_file(self, number: int, arrays: ChunkArrays) -> ChunkArrays:
        try:
            if not self._mapped:
                self._mapped = [_MappedColumn(self._new_file(), len(self), like) for like in self._empty()]
            start = int(self._starts[number])
            columns = zip(self._mapped, arrays, strict=True)
            return ChunkArrays(*(mapped.write(start, values) for mapped, values in columns))
        except OSError as error:
            raise SetupError(
                f"'{tempfile.gettempdir()}' must have room for a rank's rows. They cannot be written there: {error}. "
                "Free some space, or set TMPDIR to a folder on a larger disk."
            ) from error

    def _new_file(self) -> io.FileIO:
        return self._files.enter_context(tempfile.TemporaryFile(buffering=0, prefix="sentispark-store-"))


class _MappedColumn:
    """A sparse file with room for one column of all rows, and its values as an array.

    There is one mapping for all chunks, as each mapping keeps a file open, and a process may open about a thousand.
    """

    def __init__(self, file: io.FileIO, rows: int, like: np.ndarray) -> None:
        self._file = file
        self._row_bytes = like.dtype.itemsize * int(np.prod(like.shape[1:]))
        file.truncate(rows * self._row_bytes)
        self._values = np.memmap(file, like.dtype, "r", shape=(rows, *like.shape[1:]))

    def write(self, start: int, values: np.ndarray) -> np.ndarray:
        """Write values from row `start` on; returns them as a view of the mapping."""
        # Written through the file: if the disk is full, writing to mapped memory would kill the process.
        self._file.seek(start * self._row_bytes)
        left = np.ascontiguousarray(values, self._values.dtype).reshape(-1).view(np.uint8).data
        while left:
            left = left[self._file.write(left) :]
        return np.asarray(self._values[start : start + len(values)])
