"""A piece of a CSV file in, batches of its records out."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa

from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import BATCH_ROWS, BLOCK_BYTES, Fields, as_batch, opened

__all__ = ["csv_columns", "csv_rows"]


def csv_rows(piece: Piece, fields: Fields) -> Iterator[pa.RecordBatch]:
    """The records of a piece, as `read_piece` gives them."""
    with opened(piece) as file:
        reader = _reader(file, piece)
        header = next(reader, [])
        places = [header.index(name) if name in header else None for name in fields.names]
        for number, rows in enumerate(_bounded(row for row in reader if row)):
            if number % piece.shares != piece.share:
                continue
            whole = [row if len(row) == len(header) else None for row in rows]
            columns = [
                [None if row is None or place is None else row[place] or None for row in whole] for place in places
            ]
            broken = [_as_line(row) if len(row) != len(header) else None for row in rows]
            yield _batch(columns, broken, fields)


def csv_columns(piece: Piece) -> list[str]:
    """The names in the file's header."""
    with opened(piece) as file:
        return next(_reader(file, piece), [])


def _reader(file: BinaryIO, piece: Piece) -> Iterator[list[str]]:
    csv.field_size_limit(sys.maxsize)
    separator = "\t" if ".tsv" in piece.path.lower().rsplit("/", 1)[-1] else ","
    return csv.reader(io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline=""), delimiter=separator)


def _batch(columns: Sequence[Sequence[str | None]], broken: Sequence[str | None], fields: Fields) -> pa.RecordBatch:
    """The columns of `fields.names`, one sequence each, and the broken records, as a batch."""
    arrays = {name: pa.array(column, pa.string()) for name, column in zip(fields.names, columns, strict=True)}
    return as_batch(arrays, pa.array(broken, pa.string()), fields)


def _as_line(row: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(row)
    return line.getvalue()


def _bounded(rows: Iterable[list[str]]) -> Iterator[list[list[str]]]:
    """Rows in lists of bounded length and size."""
    held, size = [], 0
    for row in rows:
        held.append(row)
        size += sum(map(len, row))
        if len(held) == BATCH_ROWS or size > BLOCK_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held
