"""Values of the driver → a DataFrame of which each task gets exactly one value.

A function's closure is sent to every task, so it must not grow with files or rows; a row is sent to one task only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
from pyspark.serializers import NoOpSerializer
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.utils import is_remote

from sentispark.spark.exchange import Groups
from sentispark.spark.session import jvm_of

__all__ = ["spread", "spread_values"]


_NUMBER_BYTES = 8


def spread(spark: SparkSession, values: Sequence[bytes]) -> DataFrame:
    """A DataFrame with a partition for each value, for `spread_values`; without values, one empty partition."""
    partitions = max(1, len(values))
    numbered = [number.to_bytes(_NUMBER_BYTES, "big") + value for number, value in enumerate(values)]
    if is_remote():
        # A client cannot choose the partitions of its rows, so they are shuffled.
        keys = Groups(partitions, partitions).keys().tolist()
        rows = [(bytearray(value), key) for value, key in zip(numbered, keys, strict=False)]
        return spark.createDataFrame(rows, "value binary, key int").repartition(partitions, "key").select("value")
    # Spark partitions local rows by the number of cores; the number of an RDD's partitions can be chosen. This is
    # `parallelize` with another serializer, which leaves bytes unchanged.
    context, jvm = spark.sparkContext, jvm_of(spark)
    elements = context._serialize_to_jvm(
        numbered,
        NoOpSerializer(),
        lambda file: jvm.PythonRDD.readRDDFromFile(context._jsc, file, partitions),
        lambda: jvm.PythonParallelizeServer(context._jsc.sc(), partitions),
    )
    binary = jvm.org.apache.spark.sql.Encoders.BINARY()
    return DataFrame(spark._jsparkSession.createDataset(elements.rdd(), binary).toDF(), spark)


def spread_values(batches: Iterable[pa.RecordBatch]) -> Iterator[tuple[int, bytes]]:
    """The values of a task and their numbers, from the batches of its partition of `spread`."""
    for batch in batches:
        for value in batch.column(0).to_pylist():
            yield int.from_bytes(value[:_NUMBER_BYTES], "big"), value[_NUMBER_BYTES:]
