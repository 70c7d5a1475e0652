"""A piece of a CSV or TSV file in, batches of its records out."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from sentispark.reviews.encoding import blocks_of_lines, without_marks
from sentispark.reviews.formats.csv_form import Form, form_of
from sentispark.reviews.formats.csv_records import REPEATED_HEADER, BadRecord, RecordParser
from sentispark.reviews.formats.format import ColumnNames, Cut, Format
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import BATCH_ROWS, BLOCK_BYTES, ByteStream, Fields, Layout, as_batch, decompressed

__all__ = ["CSV", "TSV"]


def _rows(piece: Piece, fields: Fields, layout: Layout) -> Iterator[pa.RecordBatch]:
    """The records of a piece, as `read_piece` returns them."""
    with decompressed(piece) as file:
        form, blocks = _begun(file, piece, fields, layout)
        parser = RecordParser(form.dialect, len(form.header), form.column_index(fields.rating))
        columns = [form.column_index(name) for name in fields.names]
        for number, records in enumerate(_bounded(parser.records(blocks))):
            if number % piece.shares == piece.share:
                yield _batch(records, list(form.header), columns, fields, layout)


def _names(piece: Piece, fields: Fields, layout: Layout) -> ColumnNames:
    with decompressed(piece) as file:
        return ColumnNames(set(_begun(file, piece, fields, layout)[0].names))


def _begun(file: ByteStream, piece: Piece, fields: Fields, layout: Layout) -> tuple[Form, Iterator[list[str]]]:
    """The form of a file, and its lines in blocks, beginning with the first record."""
    blocks = blocks_of_lines(file, layout.encoding, path=piece.path, block_bytes=BLOCK_BYTES)
    head = next(blocks, [])
    form = form_of(
        head,
        path=piece.path,
        names=fields.names,
        columns=layout.columns,
        escape=layout.csv_escape,
        tsv=piece.format == "tsv",
    )
    return form, itertools.chain([head[form.skipped_lines :]], blocks)


def _bounded(records: Iterable[list[str] | BadRecord]) -> Iterator[list[list[str] | BadRecord]]:
    """Records in lists of bounded length and size."""
    pending: list[list[str] | BadRecord] = []
    size = 0
    for record in records:
        pending.append(record)
        size += sum(map(len, record))
        if len(pending) == BATCH_ROWS or size > BLOCK_BYTES:
            yield pending
            pending, size = [], 0
    if pending:
        yield pending


def _batch(
    records: Sequence[list[str] | BadRecord],
    header: list[str],
    column_indices: Sequence[int | None],
    fields: Fields,
    layout: Layout,
) -> pa.RecordBatch:
    """Some records as a batch. A header among them, as in concatenated files, is a bad record."""
    rows: list[list[str] | None] = []
    lines: list[str | None] = [None] * len(records)
    reasons: list[str | None] = [None] * len(records)
    for index, record in enumerate(records):
        if isinstance(record, list) and record != header:
            rows.append(record)
            continue
        bad = record if isinstance(record, BadRecord) else BadRecord(",".join(record), REPEATED_HEADER)
        lines[index], reasons[index] = bad.line or None, bad.reason or None
        rows.append(None)
    columns = [*(_column(rows, index) for index in column_indices), lines]
    arrays, replaced = zip(*map(without_marks, columns), strict=True)
    texts = [_with_breaks(array) for array in arrays] if layout.escaped_breaks else arrays
    named = dict(zip(fields.names, texts, strict=False))
    return as_batch(named, texts[-1], fields, reasons=reasons, replaced=replaced)


def _column(rows: Sequence[list[str] | None], index: int | None) -> list[str | None]:
    """The fields of a column; None for empty fields."""
    if index is None:
        return [None] * len(rows)
    return [None if row is None else row[index] or None for row in rows]


def _with_breaks(texts: pa.StringArray) -> pa.StringArray:
    """Texts with line breaks and quotes in place of their escape sequences."""
    for escaped, character in (("\\n", "\n"), ('\\"', '"')):
        texts = pc.replace_substring(texts, escaped, character)
    return texts


# Quoted fields may contain line breaks, so records can only be found by reading from the beginning.
CSV = Format(endings=("csv",), rows=_rows, names=_names, cut=Cut.SEQUENTIAL, is_text=True)
TSV = dataclasses.replace(CSV, endings=("tsv", "tab"))
