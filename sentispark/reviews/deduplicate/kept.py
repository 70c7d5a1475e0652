"""What a first pass over the reviews keeps for the second: their words, as numbers, in Arrow files of many tasks.

Each task has a folder of its own, so whoever reads what it kept lists that alone.

No text is parsed, cleaned or cut into words twice. A *place* is a number that says in which file, and in which of its
rows, a review stands.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from sentispark.files import Folder
from sentispark.text.kernels import WORDS

__all__ = ["KEPT", "KeptWriter", "read_kept", "task_of"]

# `order` and `split` (0 train, 1 validation, 2 test) are functions of the text; `rating` is this record's own.
KEPT = pa.schema([("words", WORDS), ("order", pa.int64()), ("rating", pa.float64()), ("split", pa.int32())])

# A file is written and read in one go: of a size that a task can hold.
ROWS_PER_FILE = 32_768
BYTES_PER_FILE = 32 << 20

# place = task · 2^40 + file of the task · 2^20 + row of the file
_FILE_BITS, _ROW_BITS = 20, 20


def task_of(places: np.ndarray) -> np.ndarray:
    """The task that kept the review at each place."""
    return places >> (_FILE_BITS + _ROW_BITS)


class KeptWriter:
    """Writes what one task has to keep; a task that is run again writes the same files once more.

    Parameters
    ----------
    folder : Folder
    task : int
        The task's number, from 0 to 2^23 - 1.
    """

    def __init__(self, folder: Folder, task: int) -> None:
        self._folder, self._task, self._file = _folder_of(folder, task), task, 0
        self._begin()

    def append(self, rows: pa.RecordBatch) -> np.ndarray:
        """Keep some rows, as `KEPT` has them; returns their places, int64 of shape (n,)."""
        places = np.arange(len(rows), dtype=np.int64) + (_first_place(self._task, self._file) + self._rows)
        self._writer.write_batch(rows)
        self._rows += len(rows)
        if self._rows >= ROWS_PER_FILE or self._stream.tell() >= BYTES_PER_FILE:
            self.close()
            self._file += 1
            self._begin()
        return places

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
        if self._rows:
            self._folder.write(f"{self._file:07d}.arrow", self._stream.getvalue())

    def _begin(self) -> None:
        self._rows, self._stream = 0, io.BytesIO()
        self._writer = pa.ipc.new_stream(self._stream, KEPT)


def _first_place(task: int, file: int) -> int:
    return (task << (_FILE_BITS + _ROW_BITS)) + (file << _ROW_BITS)


def _folder_of(folder: Folder, task: int) -> Folder:
    return folder.child(f"{task:07d}")


def read_kept(folder: Folder, task: int, dropped: np.ndarray, *, split: int | None = None) -> Iterator[pa.RecordBatch]:
    """The rows that a task kept, as `KEPT` has them, without those at some places.

    Parameters
    ----------
    folder : Folder
    task : int
    dropped : ndarray of shape (k,), dtype=int64
        The places, ascending.
    split : int, optional
        The only split whose rows are wanted; all by default.
    """
    own = _folder_of(folder, task)
    for name in own.names():
        first = _first_place(task, int(name.removesuffix(".arrow")))
        with pa.ipc.open_stream(own.read(name)) as stream:
            for batch in stream:
                stays = np.ones(batch.num_rows, bool) if split is None else batch.column("split").to_numpy() == split
                start, stop = np.searchsorted(dropped, (first, first + batch.num_rows))
                stays[dropped[start:stop] - first] = False
                yield batch if stays.all() else batch.filter(pa.array(stays))
                first += batch.num_rows
