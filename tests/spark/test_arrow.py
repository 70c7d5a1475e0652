"""Columns that kernels add: how often rows go to Python for them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql.types import LongType, StructField

from sentispark.spark.arrow import with_columns


def plus_one(frame, column, name):
    return with_columns(
        frame, [column], [StructField(name, LongType())], lambda values: [pc.add(values, pa.scalar(1, pa.int64()))]
    )


def trips(frame):
    return frame._jdf.queryExecution().executedPlan().toString().count("MapInArrow")


@pytest.fixture
def twice(spark):
    once = plus_one(spark.range(5), "id", "one")
    return once, plus_one(once, "one", "two")


def test_columns_added_one_after_another_take_one_trip(spark, twice):
    once, both = twice
    assert trips(both) == 1
    assert both.columns == ["id", "one", "two"]
    assert [tuple(row) for row in both.collect()] == [(value, value + 1, value + 2) for value in range(5)]
    assert [tuple(row) for row in once.collect()] == [(value, value + 1) for value in range(5)]


def test_a_column_may_have_any_name(spark):
    frame = plus_one(spark.range(3).withColumnRenamed("id", "_sentispark_trip"), "_sentispark_trip", "one")
    assert [tuple(row) for row in frame.collect()] == [(0, 1), (1, 2), (2, 3)]


def test_what_was_done_in_between_is_done(twice):
    once, _ = twice
    both = plus_one(once.selectExpr("one * 10 AS ten", "id"), "ten", "eleven")
    assert trips(both) == 2
    assert [tuple(row) for row in both.collect()] == [(10 * value + 10, value, 10 * value + 11) for value in range(5)]


def test_what_was_cached_in_between_is_read_from_there(spark, twice):
    once, _ = twice
    once.cache()
    try:
        assert once.count() == 5
        both = plus_one(once, "one", "two")
        assert "InMemoryTableScan" in both._jdf.queryExecution().executedPlan().toString()
        assert [row.two for row in both.collect()] == [2, 3, 4, 5, 6]
    finally:
        once.unpersist()
