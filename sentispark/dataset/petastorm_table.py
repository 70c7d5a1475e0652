"""The bytes of a Parquet file to an Arrow table, by Petastorm's `Reader`. Petastorm is imported here and nowhere else.

`petastorm.make_batch_reader` makes the same `Reader`, with parts that are replaced here. Its worker copies all rows
into the order that they already have, and stacks a list column from one array per row, which takes longer than reading.
Its pools, even the one without threads, check for work before they check whether more will come, so they can end early
under load; they may also pause for a tenth of a second. With pyarrow 14 its file systems are only local ones.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Petastorm calls what pyarrow 14 deprecates
    import petastorm.reader
    from petastorm.arrow_reader_worker import ArrowReaderWorker
    from petastorm.workers_pool import EmptyResultError
    from petastorm.workers_pool.dummy_pool import DummyPool
    from pyarrow.filesystem import FileSystem

__all__ = ["petastorm_table"]

# Petastorm warns about each file that it did not write.
logging.getLogger("petastorm").setLevel(logging.ERROR)


def petastorm_table(content: pa.Buffer, columns: Sequence[str], row_groups: int) -> pa.Table:
    """The named columns of a Parquet file, its row groups in their order.

    Parameters
    ----------
    content : Buffer
        The file.
    columns : sequence of str
    row_groups : int
        The number of row groups of the file, at least 1.
    """
    pool = _PlainPool()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it also warns about columns that it cannot read, which are not needed
        reader = petastorm.reader.Reader(
            _OneFile(content),
            ["chunk.parquet"],
            schema_fields=list(columns),
            worker_class=_RowGroupWorker,
            reader_pool=pool,
            shuffle_row_groups=False,
            num_epochs=1,
            is_batched_reader=True,
        )
        for number in range(row_groups):
            pool.ventilate(number)
        tables = list(reader)
    return pa.concat_tables(tables) if tables else pa.table({})


class _OneFile(FileSystem):  # type: ignore[misc]  # the base class is untyped
    """A file system, of the kind that Petastorm needs, in which every path is one file held in memory."""

    def __init__(self, content: pa.Buffer) -> None:
        self._content = content

    def isdir(self, path: str) -> bool:
        return False

    def isfile(self, path: str) -> bool:
        return True

    def open(self, path: str, mode: str = "rb") -> pa.NativeFile:
        return pa.BufferReader(self._content)


class _PlainPool(DummyPool):  # type: ignore[misc]  # the base class is untyped
    """Works in the calling thread on row groups that are all known beforehand, so there is nothing to race with."""

    def start(self, worker_class: type, worker_args: Any = None, ventilator: Any = None) -> None:
        super().start(worker_class, worker_args)


class _RowGroupWorker(ArrowReaderWorker):  # type: ignore[misc]  # the base class is untyped
    """Returns each row group as an Arrow table."""

    @staticmethod
    def new_results_queue_reader() -> _Tables:
        return _Tables()

    def process(self, piece_index: int) -> None:
        self.publish_func(self._split_pieces[piece_index].read(columns=list(self._schema.fields)))


class _Tables:
    """What `Reader` asks for its next result."""

    batched_output = True

    def read_next(self, workers_pool: DummyPool, schema: Any, ngram: Any) -> pa.Table:
        try:
            return workers_pool.get_results()
        except EmptyResultError as end:
            raise StopIteration from end
