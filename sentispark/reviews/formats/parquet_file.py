"""A piece of a Parquet file in, batches of its records out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from sentispark.reviews.formats.arrow_columns import batch_of_columns
from sentispark.reviews.formats.format import ColumnNames, Cut, Format
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import BATCH_ROWS, Fields, Layout, opened, require_each_once

__all__ = ["PARQUET"]


def _rows(piece: Piece, fields: Fields, layout: Layout) -> Iterator[pa.RecordBatch]:
    """The records of the piece's share of the row groups."""
    with opened(piece.path) as file:
        parquet = _parquet(file)
        require_each_once(piece.path, parquet.schema_arrow.names, fields.names)
        there = [name for name in fields.names if name in parquet.schema_arrow.names]
        groups = range(piece.share, parquet.num_row_groups, piece.shares)
        for batch in parquet.iter_batches(BATCH_ROWS, row_groups=groups, columns=there, use_threads=False):
            yield batch_of_columns({name: batch.column(name) for name in there}, batch.num_rows, fields)


def _names(piece: Piece, fields: Fields, layout: Layout) -> ColumnNames:
    """The names of the file's columns. Raises `InputError` if a field is among them more than once."""
    with opened(piece.path) as file:
        names = _parquet(file).schema_arrow.names
    require_each_once(piece.path, names, fields.names)
    return ColumnNames(set(names))


def _parquet(file: BinaryIO) -> pq.ParquetFile:
    """The file, its columns of Parquet's own types.

    What its writer had in memory (views of strings, dictionaries, extensions) is told beside them, under a name that is
    made another here, for an older Arrow fails on a type that it does not know.
    """
    if file.seek(0, 2) < 12:
        raise OSError("it is not a Parquet file")
    file.seek(-8, 2)
    tail = file.read()
    if tail.endswith(b"PARE"):
        raise OSError("it is encrypted")
    file.seek(-8 - min(int.from_bytes(tail[:4], "little"), file.tell() - 8), 2)
    footer = file.read().replace(b"ARROW:schema", b"ARROW.schema")
    return pq.ParquetFile(file, metadata=pq.read_metadata(pa.BufferReader(b"PAR1" + footer)))


# Compressed columns: a byte stands for about two of JSON lines.
PARQUET = Format(endings=("parquet", "parq", "pq"), rows=_rows, names=_names, cut=Cut.BLOCKS, work=2)
