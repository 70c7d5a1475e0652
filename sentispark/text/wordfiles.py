"""The words of texts, kept in files between two passes: each word is a number there, and no string is read twice.

A folder of Arrow streams, written by many tasks. A *place* is a number that says in which file, and in which of its
rows, the words of a text stand.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from sentispark.files import Folder
from sentispark.text.kernels import WORDS

__all__ = ["TASK_BITS", "WordFileWriter", "file_number", "read_words"]

# A file is written, and read, in one go: of a size that a task can hold, and enough of them for tasks to share.
ROWS_PER_FILE = 32_768
BYTES_PER_FILE = 32 << 20

# place = task · 2^40 + file of the task · 2^20 + row of the file
_FILE_BITS, _ROW_BITS = 20, 20
TASK_BITS = _FILE_BITS + _ROW_BITS
_SCHEMA = pa.schema([("words", WORDS)])


def file_number(places: np.ndarray) -> np.ndarray:
    """The number of the file that each place is in."""
    return places >> _ROW_BITS


def _file_name(number: int) -> str:
    return f"{number >> _FILE_BITS:06d}-{number & ((1 << _FILE_BITS) - 1):06d}.arrow"


class WordFileWriter:
    """Writes what one task has to write; a task that is run again writes the same files once more.

    Parameters
    ----------
    folder : Folder
    task : int
        The task's number, from 0 to 2^23 - 1.
    """

    def __init__(self, folder: Folder, task: int) -> None:
        self._folder = folder
        self._number = task << _FILE_BITS
        self._begin()

    def append(self, words: pa.ListArray) -> np.ndarray:
        """Keep the words of some texts, as `tokenize` gives them; returns their places, int64 of shape (n,)."""
        places = np.arange(len(words), dtype=np.int64) + ((self._number << _ROW_BITS) + self._rows)
        self._writer.write_batch(pa.RecordBatch.from_arrays([words], schema=_SCHEMA))
        self._rows += len(words)
        if self._rows >= ROWS_PER_FILE or self._stream.tell() >= BYTES_PER_FILE:
            self.close()
            self._number += 1
            self._begin()
        return places

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
        if self._rows:
            self._folder.write(_file_name(self._number), self._stream.getvalue())

    def _begin(self) -> None:
        self._rows, self._stream = 0, io.BytesIO()
        self._writer = pa.ipc.new_stream(self._stream, _SCHEMA)


def read_words(folder: Folder, places: np.ndarray) -> Iterator[tuple[slice, pa.ListArray]]:
    """The words at places of one file, int64 of shape (n,), ascending: those of some places after the other."""
    if not len(places):
        return
    first = int(file_number(places[:1])[0]) << _ROW_BITS
    rows = places - first
    with pa.ipc.open_stream(folder.read(_file_name(first >> _ROW_BITS))) as stream:
        begin = done = 0
        for batch in stream:
            stop = int(np.searchsorted(rows, begin + batch.num_rows))
            if stop > done:
                wanted = rows[done:stop] - begin
                words = batch.column(0)
                yield slice(done, stop), words if len(wanted) == len(words) else words.take(pa.array(wanted))
            begin, done = begin + batch.num_rows, stop
