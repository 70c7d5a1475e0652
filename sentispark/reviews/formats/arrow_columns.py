"""Columns of any of Arrow's types to a batch of records: what is shared by the formats whose columns have types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from sentispark.reviews.encoding import marked, replaced_marks
from sentispark.reviews.records import Fields, as_batch
from sentispark.text.markup import as_strings

__all__ = ["batch_of_columns", "plain"]

_ARE_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)


def batch_of_columns(columns: Mapping[str, pa.Array], rows: int, fields: Fields) -> pa.RecordBatch:
    """The batch that `read_piece` gives.

    Parameters
    ----------
    columns : mapping of str to Array of shape (rows,)
        Those of the wanted fields that the file has; of any type, bytes that are not valid UTF-8 among them.
    rows : int
    fields : Fields
    """
    nothing = pa.nulls(rows, pa.string())
    texts = {name: _as_text(column) for name, column in columns.items()}
    valid = {name: as_strings(text) for name, text in texts.items()}
    replaced = [_replaced(texts[name]) for name in texts if valid[name] is not texts[name]]
    return as_batch({name: valid.get(name, nothing) for name in fields.names}, nothing, fields, replaced=replaced)


def plain(value: Any) -> str:
    """What JSON has no spelling for: bytes as the text they are, dates and the like as Python spells them."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _as_text(column: pa.Array) -> pa.StringArray:
    """A column as text; bytes may be among it that are none."""
    if any(is_one(column.type) for is_one in _ARE_BYTES):
        return column.cast(pa.binary()).view(pa.string())
    try:
        return column.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # lists, structs
        values = column.to_pylist()
        return pa.array([value if value is None else json.dumps(value, default=plain) for value in values], pa.string())


def _replaced(column: pa.StringArray) -> dict[int, int]:
    """How many characters of each text stand for bytes that are no UTF-8, by the text's place, where there are any."""
    texts = (text or b"" for text in column.cast(pa.binary()).to_pylist())
    counts = (replaced_marks(marked(text, "utf-8"))[1] for text in texts)
    return {place: count for place, count in enumerate(counts) if count}
