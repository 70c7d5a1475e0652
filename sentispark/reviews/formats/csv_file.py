"""A piece of a CSV or TSV file in, batches of its records out."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from sentispark.reviews.encoding import blocks_of_lines, without_marks
from sentispark.reviews.formats.csv_form import Form, form_of
from sentispark.reviews.formats.csv_records import REPEATED_HEADER, Bad, RecordParser
from sentispark.reviews.formats.format import ColumnNames, Cut, Format
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import BATCH_ROWS, BLOCK_BYTES, ByteStream, Fields, Layout, as_batch, decompressed

__all__ = ["CSV", "TSV"]


def _rows(piece: Piece, fields: Fields, layout: Layout) -> Iterator[pa.RecordBatch]:
    """The records of a piece, as `read_piece` gives them."""
    with decompressed(piece) as file:
        form, blocks = _begun(file, piece, fields, layout)
        parser = RecordParser(form.dialect, len(form.header), form.place(fields.rating))
        places = [form.place(name) for name in fields.names]
        for number, records in enumerate(_bounded(parser.records(blocks))):
            if number % piece.shares == piece.share:
                yield _batch(records, list(form.header), places, fields, layout)


def _names(piece: Piece, fields: Fields, layout: Layout) -> ColumnNames:
    with decompressed(piece) as file:
        return ColumnNames(set(_begun(file, piece, fields, layout)[0].names))


def _begun(file: ByteStream, piece: Piece, fields: Fields, layout: Layout) -> tuple[Form, Iterator[list[str]]]:
    """The form of a file, and the blocks of its lines without those before the first record."""
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
    return form, itertools.chain([head[form.before :]], blocks)


def _bounded(records: Iterable[list[str] | Bad]) -> Iterator[list[list[str] | Bad]]:
    """Records in lists of bounded length and size."""
    held: list[list[str] | Bad] = []
    size = 0
    for record in records:
        held.append(record)
        size += sum(map(len, record))
        if len(held) == BATCH_ROWS or size > BLOCK_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


def _batch(
    records: Sequence[list[str] | Bad],
    header: list[str],
    places: Sequence[int | None],
    fields: Fields,
    layout: Layout,
) -> pa.RecordBatch:
    """Some records as a batch; a header that stands among them, as in files put together, is none."""
    rows: list[list[str] | None] = []
    lines: list[str | None] = [None] * len(records)
    reasons: list[str | None] = [None] * len(records)
    for index, record in enumerate(records):
        if isinstance(record, list) and record != header:
            rows.append(record)
            continue
        bad = record if isinstance(record, Bad) else Bad(",".join(record), REPEATED_HEADER)
        lines[index], reasons[index] = bad.line or None, bad.reason or None
        rows.append(None)
    columns = [*(_column(rows, place) for place in places), lines]
    arrays, replaced = zip(*map(without_marks, columns), strict=True)
    texts = [_with_breaks(array) for array in arrays] if layout.escaped_breaks else arrays
    named = dict(zip(fields.names, texts, strict=False))
    return as_batch(named, texts[-1], fields, reasons=reasons, replaced=replaced)


def _column(rows: Sequence[list[str] | None], place: int | None) -> list[str | None]:
    """The fields of one place; empty ones are none."""
    if place is None:
        return [None] * len(rows)
    return [None if row is None else row[place] or None for row in rows]


def _with_breaks(texts: pa.StringArray) -> pa.StringArray:
    """Texts with line breaks and quotes where a backslash and a letter or a quote stand for them."""
    for spelled, meant in (("\\n", "\n"), ('\\"', '"')):
        texts = pc.replace_substring(texts, spelled, meant)
    return texts


# A quoted field may hold line breaks, so records are found only by reading from the beginning.
CSV = Format(endings=("csv",), rows=_rows, names=_names, cut=Cut.TURNS, is_text=True)
TSV = dataclasses.replace(CSV, endings=("tsv", "tab"))
