"""Arrow columns of any type to a batch of records; shared by the formats with typed columns."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from sentispark.reviews.encoding import marked, replaced_marks
from sentispark.reviews.records import Fields, as_batch
from sentispark.text.markup import as_strings

__all__ = ["batch_of_columns", "json_default"]

_ARE_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)


def batch_of_columns(columns: Mapping[str, pa.Array], rows: int, fields: Fields) -> pa.RecordBatch:
    """A batch as `read_piece` returns it.

    Parameters
    ----------
    columns : mapping of str to Array of shape (rows,)
        The wanted fields that the file has, of any type. Texts may contain bytes that are not valid UTF-8.
    rows : int
    fields : Fields
    """
    nothing = pa.nulls(rows, pa.string())
    texts = {name: _as_text(column) for name, column in columns.items()}
    valid = {name: as_strings(text) for name, text in texts.items()}
    replaced = [_replaced(texts[name]) for name in texts if valid[name] is not texts[name]]
    return as_batch({name: valid.get(name, nothing) for name in fields.names}, nothing, fields, replaced=replaced)


def json_default(value: Any) -> str:
    """Text for values that JSON cannot encode: bytes are decoded, dates and the like spelled as in Python."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _as_text(column: pa.Array) -> pa.StringArray:
    """A column as text, possibly with bytes that are not valid UTF-8."""
    if any(is_one(column.type) for is_one in _ARE_BYTES):
        return column.cast(pa.binary()).view(pa.string())
    try:
        return column.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # lists, structs
        values = column.to_pylist()
        return pa.array(
            [value if value is None else json.dumps(value, default=json_default) for value in values], pa.string()
        )


def _replaced(column: pa.StringArray) -> dict[int, int]:
    """The number of characters that replace invalid bytes, by the index of the text, where there are any."""
    texts = (text or b"" for text in column.cast(pa.binary()).to_pylist())
    counts = (replaced_marks(marked(text, "utf-8"))[1] for text in texts)
    return {index: count for index, count in enumerate(counts) if count}
