"""Arrow files to which tasks spill the words of reviews in the first pass, for later passes to read.

So no text is parsed, cleaned or tokenized twice, not even by a run that continues one that was killed. Each task has a
folder of its own, which its reader lists without the files of other tasks. The *row id* of a review encodes its task,
its file and its row in the file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from sentispark.files import Folder
from sentispark.text.kernels import WORDS

__all__ = ["SPILL_SCHEMA", "SpillWriter", "drop_rows", "read_spilled", "task_of"]

# `order` and `split` (0 train, 1 validation, 2 test) are functions of the text; `rating` is the record's own.
SPILL_SCHEMA = pa.schema([("words", WORDS), ("order", pa.int64()), ("rating", pa.float64()), ("split", pa.int32())])

# A file is written and read as a whole, so it must fit into a task's memory.
ROWS_PER_FILE = 32_768
BYTES_PER_FILE = 32 << 20

_DROPPED = "dropped.npy"

# row id = task · 2^40 + file of the task · 2^20 + row of the file
_FILE_BITS, _ROW_BITS = 20, 20


def task_of(row_ids: np.ndarray) -> np.ndarray:
    """The task that spilled each row.

    Examples
    --------
    >>> task_of(np.array([5, 2**40, 3 * 2**40 + 7])).tolist()
    [0, 1, 3]
    """
    return row_ids >> (_FILE_BITS + _ROW_BITS)


class SpillWriter:
    """Writes the rows of one task. A task that is retried writes the same files.

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
        """Spill n rows of the schema `SPILL_SCHEMA`. Returns their ids, int64 of shape (n,)."""
        row_ids = np.arange(len(rows), dtype=np.int64) + (_first_row_id(self._task, self._file) + self._rows)
        self._writer.write_batch(rows)
        self._rows += len(rows)
        if self._rows >= ROWS_PER_FILE or self._stream.tell() >= BYTES_PER_FILE:
            self.close()
            self._file += 1
            self._begin()
        return row_ids

    def close(self) -> None:
        """Write the rows that are still in memory."""
        self._writer.close()
        if self._rows:
            self._folder.write(f"{self._file:07d}.arrow", self._stream.getvalue())

    def _begin(self) -> None:
        self._rows, self._stream = 0, io.BytesIO()
        self._writer = pa.ipc.new_stream(self._stream, SPILL_SCHEMA)


def _first_row_id(task: int, file: int) -> int:
    return (task << (_FILE_BITS + _ROW_BITS)) + (file << _ROW_BITS)


def _folder_of(folder: Folder, task: int) -> Folder:
    return folder.child(f"{task:07d}")


def drop_rows(folder: Folder, task: int, row_ids: np.ndarray) -> None:
    """Note which rows of a task are dropped: int64 of shape (k,), in any order."""
    stream = io.BytesIO()
    np.save(stream, np.sort(row_ids))
    _folder_of(folder, task).write(_DROPPED, stream.getvalue())


def read_spilled(folder: Folder, task: int, *, split: int | None = None) -> Iterator[pa.RecordBatch]:
    """The rows that a task spilled, of the schema `SPILL_SCHEMA`, without the dropped ones.

    Parameters
    ----------
    folder : Folder
    task : int
        `drop_rows` has been called for it.
    split : int, optional
        The split to read; all splits by default.
    """
    own = _folder_of(folder, task)
    dropped = np.load(io.BytesIO(own.read(_DROPPED)))
    for name in own.names():
        if name == _DROPPED:
            continue
        first = _first_row_id(task, int(name.removesuffix(".arrow")))
        with pa.ipc.open_stream(own.read(name)) as stream:
            for batch in stream:
                stays = np.ones(batch.num_rows, bool) if split is None else batch.column("split").to_numpy() == split
                start, stop = np.searchsorted(dropped, (first, first + batch.num_rows))
                stays[dropped[start:stop] - first] = False
                yield batch if stays.all() else batch.filter(pa.array(stays))
                first += batch.num_rows
