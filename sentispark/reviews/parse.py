"""A piece of a file in, batches of its records out: text, stars and what was broken, all as they stand in the file."""

from __future__ import annotations

import csv
import lzma
from collections.abc import Iterator

import pyarrow as pa

from sentispark.errors import InputError
from sentispark.reviews.csv_rows import csv_columns, csv_rows
from sentispark.reviews.json_rows import json_rows
from sentispark.reviews.parquet_rows import parquet_columns, parquet_rows
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import Fields, Layout

__all__ = ["columns_in", "read_piece"]

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
        yield from read(piece, fields, layout)
    except (OSError, EOFError, lzma.LZMAError, pa.ArrowException, csv.Error) as error:
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"'{piece.path}' cannot be read to its end: {problem}. Mend or leave out the file.") from error


def columns_in(path: str, format: str, fields: Fields, layout: Layout = DEFAULT) -> list[str]:
    """The names of a CSV, TSV or Parquet file's columns. Raises `InputError` if the file cannot be read."""
    piece = Piece(path, format, 0, 0)
    try:
        return parquet_columns(piece) if format == "parquet" else csv_columns(piece, fields, layout)
    except (OSError, EOFError, lzma.LZMAError, pa.ArrowException, csv.Error) as error:
        raise InputError(f"'{path}' cannot be read: {str(error).splitlines()[0]}.") from error
