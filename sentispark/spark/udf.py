"""A function of one Arrow array as a UDF of one column, with Spark's Arrow UDFs or its pandas UDFs.

Spark has UDFs over Arrow arrays from 4.1 on. Before that, a pandas UDF is used: its input is converted back to Arrow,
and its output, Arrow arrays, bypasses Spark's conversion, which would loop over rows, and over the elements of lists,
in Python.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, BinaryType, DataType, StringType

from sentispark.text.markup import as_strings

__all__ = ["array_udf", "as_array", "sent_column"]


def array_udf(
    function: Callable[[Any], pa.Array], returns: DataType, *, deterministic: bool = True
) -> Callable[[Column], Column]:
    """A UDF: a function from a column to a column.

    Parameters
    ----------
    function : callable
        Runs on executors, batch by batch: from the values that Spark passes (see `as_array`) to an array of the same
        length.
    returns : DataType
        The array's type in Spark.
    deterministic : bool
        Whether Spark may compute the column more than once, for example in a filter and again after it. If not, Spark
        computes it only if a query uses it, and never before a filter that does not need it.
    """
    arrow_udf = getattr(F, "arrow_udf", None)
    udf = _pandas_udf(function, returns) if arrow_udf is None else arrow_udf(_hinted(function, pa.Array), returns)
    column_of: Callable[[Column], Column] = udf if deterministic else udf.asNondeterministic()
    return column_of


def _pandas_udf(function: Callable[[Any], pa.Array], returns: DataType) -> Any:
    import pandas as pd
    from pyspark.sql.pandas.functions import pandas_udf

    run = _hinted(lambda values: _ArrowSeries(function(values)), pd.Series)
    return pandas_udf(run, returns)  # type: ignore[call-overload]  # its stubs want a class in place of type hints


def _hinted(function: Callable[[Any], Any], kind: type) -> Callable[[Any], Any]:
    """The function with the type hints by which Spark chooses the kind of values."""

    def run(values: Any) -> Any:
        return function(values)

    run.__annotations__ = {"values": kind, "return": kind}
    return run


def sent_column(column: Column, kind: DataType) -> tuple[Column, DataType]:
    """The column in the form that is sent to Python, and its type: strings as bytes, as they may not be valid UTF-8."""
    if isinstance(kind, StringType):
        return column.cast(BinaryType()), BinaryType()
    if isinstance(kind, ArrayType) and isinstance(kind.elementType, StringType):
        kind = ArrayType(BinaryType())
        return column.cast(kind), kind
    return column, kind


def as_array(values: Any, kind: pa.DataType) -> pa.Array:
    """The values that Spark passes to a UDF as an array; bytes and lists of bytes become strings by `as_strings`.

    Parameters
    ----------
    values : Array, Series, or the output of another UDF of ours
        Spark chains a UDF of another UDF's column without a conversion between them.
    kind : pa.DataType
        The type of the array; it cannot be inferred from a series of lists.
    """
    if isinstance(values, _ArrowSeries):
        values = values.array_
    elif not isinstance(values, pa.Array):
        values = _from_series(values.to_numpy(), kind)
    return _with_strings(values)


class _ArrowSeries:
    """An Arrow array in the role of a pandas series: it has the attributes that Spark's conversion uses."""

    dtype = np.dtype(object)

    def __init__(self, array: pa.Array) -> None:
        self.array_ = array

    def __len__(self) -> int:
        return len(self.array_)

    @property
    def array(self) -> _ArrowSeries:
        return self

    def apply(self, _: Callable[..., Any]) -> _ArrowSeries:
        return self

    def __arrow_array__(self, type: pa.DataType | None = None) -> pa.Array:
        return self.array_ if type is None or type == self.array_.type else self.array_.cast(type)


def _from_series(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    if not (pa.types.is_list(kind) and pa.types.is_integer(kind.value_type)):
        return pa.array(values, kind, from_pandas=True)
    counts = np.fromiter((0 if row is None else len(row) for row in values), np.int64, len(values))
    offsets = np.concatenate(([0], np.cumsum(counts)))
    flat = np.concatenate([np.empty(0, kind.value_type.to_pandas_dtype()), *(row for row in values if row is not None)])
    # For nulls among the elements pandas has floats.
    flat = pa.array(flat, from_pandas=True).cast(kind.value_type, safe=False)
    missing = pa.array([*(row is None for row in values), False])
    offsets = pa.array(offsets, pa.int32(), mask=missing.to_numpy(zero_copy_only=False))
    return pa.ListArray.from_arrays(offsets, flat)


def _with_strings(array: pa.Array) -> pa.Array:
    if not _is_bytes(getattr(array.type, "value_type", array.type)):
        return array
    if not pa.types.is_nested(array.type):
        return as_strings(array)
    lists = array.cast(pa.list_(pa.binary()))
    rows, words = lists.buffers()[:2], as_strings(lists.values)
    return pa.Array.from_buffers(pa.list_(pa.string()), len(lists), rows, offset=lists.offset, children=[words])


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))
