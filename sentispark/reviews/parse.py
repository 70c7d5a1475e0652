"""A piece of a file in, batches of its records out: text, stars and what was broken, all as they stand in the file."""

from __future__ import annotations

import csv
import lzma
import zlib
from collections.abc import Iterator

import pyarrow as pa

from sentispark.errors import InputError
from sentispark.reviews.csv_rows import csv_columns, csv_rows
from sentispark.reviews.json_rows import json_rows, require_json_records
from sentispark.reviews.parquet_rows import parquet_columns, parquet_rows
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import Fields, Layout, with_partition

__all__ = ["columns_in", "read_piece", "require_records"]

# What readers raise for a file that is damaged or not there.
_UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error, pa.ArrowException, csv.Error)

DEFAULT = Layout()


def read_piece(piece: Piece, fields: Fields, layout: Layout = DEFAULT) -> Iterator[pa.RecordBatch]:
    """The records of a piece.

    Returns
    -------
    Iterator of RecordBatch
        `text`, `stars`, `broken` (the whole record, where it cannot be parsed) and `why` (a reason of its own for
        that), all string, null where a record has no such field; `replaced` int32, the number of characters that stand
        for bytes that could not be decoded; and `kept` list<string>, the further fields of `fields.kept`, in order.

    Raises
    ------
    InputError
        If the file cannot be read to its end, or is not what it was when the piece was cut.
    """
    read = {"json": json_rows, "csv": csv_rows, "tsv": csv_rows, "parquet": parquet_rows}[piece.format]
    try:
        for batch in read(piece, fields, layout):
            yield with_partition(batch, piece.partition, fields) if piece.partition else batch
    except _UNREADABLE as error:
        problem = _problem(error)
        raise InputError(f"'{piece.path}' cannot be read to its end: {problem}. Mend or leave out the file.") from error


def require_records(path: str, fields: Fields, encoding: str = "utf-8") -> None:
    """Raise `InputError` if a file of JSON begins as one that does not hold an object for each review."""
    try:
        require_json_records(Piece(path, "json", 0, 0), fields, encoding)
    except _UNREADABLE as error:
        raise InputError(f"'{path}' cannot be read: {_problem(error)}.") from error


def columns_in(path: str, format: str, fields: Fields, layout: Layout = DEFAULT) -> list[str]:
    """The names of a CSV, TSV or Parquet file's columns. Raises `InputError` if the file cannot be read."""
    piece = Piece(path, format, 0, 0)
    try:
        return parquet_columns(piece, fields) if format == "parquet" else csv_columns(piece, fields, layout)
    except _UNREADABLE as error:
        raise InputError(f"'{path}' cannot be read: {_problem(error)}.") from error


def _problem(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
