"""Values of the driver to a DataFrame of which each task gets its own value, and nobody else's.

What a function refers to goes to every task, so it must not grow with files or rows; what is in rows goes to one.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.utils import is_remote

from sentispark.spark.exchange import Groups

__all__ = ["spread", "spread_values"]


def spread(spark: SparkSession, values: Sequence[Any]) -> DataFrame:
    """A partition for each value, for `spread_values`; for no values one without rows."""
    partitions = max(1, len(values))
    numbered = list(enumerate(values))
    if is_remote():
        # A client has no way to say how its rows are cut: they are shuffled.
        keys = Groups(partitions, partitions).keys().tolist()
        rows = [(bytearray(pickle.dumps([pair])), key) for pair, key in zip(numbered, keys, strict=False)]
        return spark.createDataFrame(rows, "value binary, key int").repartition(partitions, "key").select("value")
    # Spark cuts local rows into as many partitions as it has cores; an RDD is cut into as many as it is told. Each of
    # its elements, as the JVM sees them, is a list of one value, pickled.
    context = spark.sparkContext
    elements = context.parallelize(numbered, partitions)._jrdd.rdd()
    binary = context._jvm.org.apache.spark.sql.Encoders.BINARY()
    return DataFrame(spark._jsparkSession.createDataset(elements, binary).toDF(), spark)


def spread_values(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, Any]]:
    """The values of a task and their numbers, from the batches of its partition of `spread`."""
    for batch in batches:
        for pickled in batch.column(0):
            yield from pickle.loads(pickled.as_buffer())
