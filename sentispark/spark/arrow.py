"""Functions of Arrow arrays on Spark: columns added in one trip to Python and back."""

from __future__ import annotations

import functools
import gc
import sys
import zipimport
from collections.abc import Callable, Iterable, Iterator, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import StructField, StructType

__all__ = ["map_batches", "plainly_named", "with_columns"]

BatchStep = Callable[[pa.RecordBatch], pa.RecordBatch]
BatchFunction = Callable[[Iterator[pa.RecordBatch]], Iterable[pa.RecordBatch]]

# Where a DataFrame keeps how `with_columns` made it; what is made of it by other means has no such attribute.
_TRIP = "_sentispark_trip"


def map_batches(dataset: DataFrame, function: BatchFunction, schema: str | StructType) -> DataFrame:
    """`dataset.mapInArrow(function, schema)`, without 0.15 seconds that each task of a used worker costs else."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterable[pa.RecordBatch]:
        _forget_archives()
        _freeze_modules()
        return function(batches)

    return dataset.mapInArrow(run, schema)


def _forget_archives() -> None:
    # Before each task Spark has Python drop its import caches, and for pyspark.zip, from which nothing is imported any
    # more, that means reading the archive's directory anew: 0.1 seconds.
    for path in [path for path, finder in sys.path_importer_cache.items() if _is_archive(finder)]:
        del sys.path_importer_cache[path]


def _is_archive(finder: object) -> bool:
    return isinstance(finder, zipimport.zipimporter)


@functools.cache
def _freeze_modules() -> None:
    # After each task Spark has Python look for garbage in all that was ever imported: 0.06 seconds.
    gc.freeze()


def with_columns(
    dataset: DataFrame,
    inputs: Sequence[str],
    fields: Sequence[StructField],
    kernel: Callable[..., Sequence[pa.Array]],
) -> DataFrame:
    """The DataFrame with the kernel's columns, whose names must be new, after its own.

    On what this function has returned, it adds both kernels' columns in one trip: a pipeline of our stages sends each
    row to Python once. A DataFrame in between that is cached by then is read from its cache.

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
    schema = StructType([*dataset.schema.fields, *fields])
    names = schema.names

    def step(batch: pa.RecordBatch) -> pa.RecordBatch:
        new = kernel(*(batch.column(place) for place in places))
        return pa.RecordBatch.from_arrays([*batch.columns, *new], names=names)

    source, steps = _trip_of(dataset)
    steps = (*steps, step)

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return (functools.reduce(lambda batch, step: step(batch), steps, batch) for batch in batches)

    result = map_batches(plainly_named(source), run, schema)
    setattr(result, _TRIP, (source, steps))
    return result


def _trip_of(dataset: DataFrame) -> tuple[DataFrame, tuple[BatchStep, ...]]:
    """The DataFrame that goes to Python, and what `with_columns` has done to its batches to make this one of it."""
    level = dataset.storageLevel
    # Not by getattr: a DataFrame takes an attribute that it does not have for a column, Connect's since 4.3 any.
    return (dataset, ()) if level.useMemory or level.useDisk else vars(dataset).get(_TRIP, (dataset, ()))


def plainly_named(dataset: DataFrame) -> DataFrame:
    """The columns by names that Spark never takes for an expression, as it does those with a dot in them."""
    return dataset.toDF(*(f"c{place}" for place in range(len(dataset.columns))))
