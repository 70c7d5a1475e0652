"""A piece of a Parquet file in, batches of its records out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from sentispark.reviews.formats.arrow_columns import batch_of_columns
from sentispark.reviews.formats.format import ColumnNames, Cut, Format
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import BATCH_ROWS, Fields, Layout, opened, require_unique_columns

__all__ = ["PARQUET"]


def _rows(piece: Piece, fields: Fields, layout: Layout) -> Iterator[pa.RecordBatch]:
    """The records of the piece's share of the row groups."""
    with opened(piece.path) as file:
        parquet = _parquet(file)
        require_unique_columns(piece.path, parquet.schema_arrow.names, fields.names)
        present = [name for name in fields.names if name in parquet.schema_arrow.names]
        groups = range(piece.share, parquet.num_row_groups, piece.shares)
        for batch in parquet.iter_batches(BATCH_ROWS, row_groups=groups, columns=present, use_threads=False):
            yield batch_of_columns({name: batch.column(name) for name in present}, batch.num_rows, fields)


def _names(piece: Piece, fields: Fields, layout: Layout) -> ColumnNames:
    """The names of the file's columns. Raises `InputError` if a wanted column occurs more than once."""
    with opened(piece.path) as file:
        names = _parquet(file).schema_arrow.names
    require_unique_columns(piece.path, names, fields.names)
    return ColumnNames(set(names))


def _parquet(file: BinaryIO) -> pq.ParquetFile:
    """The file, with columns of Parquet's own types.

    The key of the Arrow schema that the writer may have stored in the metadata is changed here, so that it is ignored:
    older versions of Arrow fail on types that they do not know, such as string views.
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


# Columns are compressed, so a byte takes about twice the work of a byte of JSON lines.
PARQUET = Format(endings=("parquet", "parq", "pq"), rows=_rows, names=_names, cut=Cut.BLOCKS, work=2)
