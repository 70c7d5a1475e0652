"""Values of the driver to a DataFrame of which each task gets its own value, and nobody else's.

What a function refers to goes to every task, so it must not grow with files or rows; what is in rows goes to one.
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
    """A partition for each value, for `spread_values`; for no values one without rows."""
    partitions = max(1, len(values))
    numbered = [number.to_bytes(_NUMBER_BYTES, "big") + value for number, value in enumerate(values)]
    if is_remote():
        # A client has no way to say how its rows are cut: they are shuffled.
        keys = Groups(partitions, partitions).keys().tolist()
        rows = [(bytearray(value), key) for value, key in zip(numbered, keys, strict=False)]
        return spark.createDataFrame(rows, "value binary, key int").repartition(partitions, "key").select("value")
    # Spark cuts local rows into as many partitions as it has cores; an RDD is cut into as many as it is told. This is
    # `parallelize`, but for the serializer: bytes stay as they are.
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
