"""A piece of a Parquet file in, batches of its records out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sentispark.reviews.encoding import marked, replaced_marks
from sentispark.reviews.json_lines import spelled
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import BATCH_ROWS, Fields, Layout, as_batch, opened
from sentispark.text.markup import as_strings

__all__ = ["parquet_columns", "parquet_rows"]


def parquet_rows(piece: Piece, fields: Fields, layout: Layout) -> Iterator[pa.RecordBatch]:
    """The records of a piece, as `read_piece` gives them."""
    partition = _partition_values(piece.path)
    with opened(piece) as file:
        parquet = pq.ParquetFile(file)
        there = [name for name in fields.names if name in parquet.schema_arrow.names]
        groups = range(piece.share, parquet.num_row_groups, piece.shares)
        for batch in parquet.iter_batches(BATCH_ROWS, row_groups=groups, columns=there, use_threads=False):
            nothing = pa.nulls(batch.num_rows, pa.string())
            columns = {name: _as_text(batch.column(name)) for name in there}
            valid = {name: as_strings(column) for name, column in columns.items()}
            replaced = [_replaced(columns[name]) for name in there if valid[name] is not columns[name]]
            arrays = {
                name: valid[name]
                if name in there
                else pc.fill_null(nothing, partition[name])
                if partition.get(name) is not None
                else nothing
                for name in fields.names
            }
            yield as_batch(arrays, nothing, fields, replaced=replaced)


def parquet_columns(piece: Piece) -> list[str]:
    """The names of the file's columns, and of those that stand in its folders' names."""
    with opened(piece) as file:
        return [*pq.ParquetFile(file).schema_arrow.names, *_partition_values(piece.path)]


def _as_text(column: pa.Array) -> pa.StringArray:
    """A column as text; bytes may be among it that are none."""
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return column.cast(pa.binary()).view(pa.string())
    try:
        return column.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # lists, structs
        return pa.array([spelled(_as_json(value)) for value in column.to_pylist()], pa.string())


def _replaced(column: pa.StringArray) -> dict[int, int]:
    """How many characters of each text stand for bytes that are no UTF-8, by the text's place, where there are any."""
    texts = (text or b"" for text in column.cast(pa.binary()).to_pylist())
    counts = (replaced_marks(marked(text, "utf-8"))[1] for text in texts)
    return {place: count for place, count in enumerate(counts) if count}


def _as_json(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value if value is None else str(value)


def _partition_values(path: str) -> dict[str, str | None]:
    """The columns that stand in the names of a partitioned folder: `overall=5/part-0.parquet`."""
    pairs = [part.split("=", 1) for part in path.split("/")[:-1] if "=" in part]
    return {unquote(name): None if value == "__HIVE_DEFAULT_PARTITION__" else unquote(value) for name, value in pairs}
