"""Values sent to tasks: each to exactly one."""

import pyarrow as pa
import pytest
from pyspark import TaskContext

from sentispark.spark.arrow import map_batches
from sentispark.spark.spread import spread, spread_values


@pytest.mark.modern
@pytest.mark.parametrize("values", [[], [b"a"], [b"a", b"", b"a", b"\0" * 1000, bytes(range(256)), b"a" * 2_000_000]])
def test_each_value_arrives_at_the_task_of_its_number(spark, values):
    def seen(batches):
        for number, value in spread_values(batches):
            task = TaskContext.get().partitionId()
            yield pa.RecordBatch.from_pylist([{"task": task, "number": number, "value": repr(value)}])

    frame = spread(spark, values)
    found = map_batches(frame, seen, "task long, number long, value string").collect()
    assert sorted(tuple(row) for row in found) == [(n, n, repr(value)) for n, value in enumerate(values)]
