"""Columns added to a DataFrame by a function of Arrow arrays, in one trip to Python and back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import StructField, StructType

__all__ = ["plainly_named", "with_columns"]


def with_columns(
    dataset: DataFrame,
    inputs: Sequence[str],
    fields: Sequence[StructField],
    kernel: Callable[..., Sequence[pa.Array]],
) -> DataFrame:
    """The DataFrame with the kernel's columns after its own; a column of the same name is replaced.

    Parameters
    ----------
    dataset : DataFrame
    inputs : sequence of str
        The columns that the kernel takes.
    fields : sequence of StructField
        Names and types of the new columns; the types must be Arrow's exactly.
    kernel : callable
        From the arrays of the inputs to those of the new columns, all of one length. Runs on executors, so it must not
        refer to Spark.
    """
    places = [dataset.columns.index(name) for name in inputs]
    added = {field.name for field in fields}
    kept = [place for place, name in enumerate(dataset.columns) if name not in added]
    schema = StructType([*(dataset.schema.fields[place] for place in kept), *fields])
    names = schema.names

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            new = kernel(*(batch.column(place) for place in places))
            yield pa.RecordBatch.from_arrays([*(batch.column(place) for place in kept), *new], names=names)

    return plainly_named(dataset).mapInArrow(run, schema)


def plainly_named(dataset: DataFrame) -> DataFrame:
    """The columns by names that Spark never takes for an expression, as it does those with a dot in them."""
    return dataset.toDF(*(f"c{place}" for place in range(len(dataset.columns))))
