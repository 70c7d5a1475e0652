"""A piece of a file in, batches of its raw records out: text, stars and broken records, as spelled in the file."""

from __future__ import annotations

import csv
import lzma
import zlib
from collections.abc import Iterator

import pyarrow as pa

from sentispark.errors import InputError
from sentispark.reviews.formats.format import ColumnNames
from sentispark.reviews.formats.table import FORMATS
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import Fields, Layout, with_partition

__all__ = ["check_file", "column_names", "read_piece"]

# What readers raise for a damaged or missing file.
_UNREADABLE = (OSError, EOFError, lzma.LZMAError, zlib.error, pa.ArrowException, csv.Error)

DEFAULT = Layout()


def read_piece(piece: Piece, fields: Fields, layout: Layout = DEFAULT) -> Iterator[pa.RecordBatch]:
    """The records of a piece.

    Returns
    -------
    Iterator of RecordBatch
        `text`, `stars`, `broken` (the whole record, if it cannot be parsed) and `why` (a specific reason for that),
        all string, null where a record has no such field; `replaced` int32, the number of characters that replace
        undecodable bytes; and, if `fields.extra` names any, `extra` list<string>, those fields in order.

    Raises
    ------
    InputError
        If the file cannot be read to its end, or changed since it was cut into pieces.
    """
    try:
        for batch in FORMATS[piece.format].rows(piece, fields, layout):
            yield with_partition(batch, piece.partition, fields) if piece.partition else batch
    except _UNREADABLE as error:
        problem = _problem(error)
        raise InputError(
            f"'{piece.path}' cannot be read to its end: {problem}. Repair or leave out the file."
        ) from error


def check_file(path: str, format: str, fields: Fields, layout: Layout = DEFAULT) -> None:
    """Run the format's check. Raises what it raises, and `InputError` if the file cannot be read."""
    try:
        FORMATS[format].check(Piece(path, format, 0, 0), fields, layout)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def column_names(path: str, format: str, fields: Fields, layout: Layout = DEFAULT) -> ColumnNames:
    """The names of a file's columns. Raises `InputError` if the file cannot be read."""
    try:
        return FORMATS[format].names(Piece(path, format, 0, 0), fields, layout)
    except _UNREADABLE as error:
        raise _unreadable(path, error) from error


def _unreadable(path: str, error: Exception) -> InputError:
    return InputError(f"'{path}' cannot be read: {_problem(error)}.")


def _problem(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".") if str(error) else type(error).__name__
