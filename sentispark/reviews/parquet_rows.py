"""A piece of a Parquet file in, batches of its records out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from sentispark.reviews.encoding import marked, replaced_marks
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import BATCH_ROWS, Fields, Layout, as_batch, opened, require_each_once
from sentispark.text.markup import as_strings

__all__ = ["parquet_columns", "parquet_rows"]


_ARE_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)


def parquet_rows(piece: Piece, fields: Fields, layout: Layout) -> Iterator[pa.RecordBatch]:
    """The records of a piece, as `read_piece` gives them."""
    with opened(piece) as file:
        parquet = _parquet(file)
        require_each_once(piece.path, parquet.schema_arrow.names, fields.names)
        there = [name for name in fields.names if name in parquet.schema_arrow.names]
        groups = range(piece.share, parquet.num_row_groups, piece.shares)
        for batch in parquet.iter_batches(BATCH_ROWS, row_groups=groups, columns=there, use_threads=False):
            nothing = pa.nulls(batch.num_rows, pa.string())
            columns = {name: _as_text(batch.column(name)) for name in there}
            valid = {name: as_strings(column) for name, column in columns.items()}
            replaced = [_replaced(columns[name]) for name in there if valid[name] is not columns[name]]
            arrays = {name: valid.get(name, nothing) for name in fields.names}
            yield as_batch(arrays, nothing, fields, replaced=replaced)


def parquet_columns(piece: Piece, fields: Fields) -> list[str]:
    """The names of the file's columns. Raises `InputError` if a field is among them more than once."""
    with opened(piece) as file:
        names = _parquet(file).schema_arrow.names
    require_each_once(piece.path, names, fields.names)
    return names


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


def _as_text(column: pa.Array) -> pa.StringArray:
    """A column as text; bytes may be among it that are none."""
    if any(is_one(column.type) for is_one in _ARE_BYTES):
        return column.cast(pa.binary()).view(pa.string())
    try:
        return column.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # lists, structs
        values = column.to_pylist()
        return pa.array(
            [value if value is None else json.dumps(value, default=_plain) for value in values], pa.string()
        )


def _replaced(column: pa.StringArray) -> dict[int, int]:
    """How many characters of each text stand for bytes that are no UTF-8, by the text's place, where there are any."""
    texts = (text or b"" for text in column.cast(pa.binary()).to_pylist())
    counts = (replaced_marks(marked(text, "utf-8"))[1] for text in texts)
    return {place: count for place, count in enumerate(counts) if count}


def _plain(value: Any) -> str:
    """What JSON has no spelling for: bytes as the text they are, dates and the like as Python spells them."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
