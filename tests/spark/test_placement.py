"""Partitions known beforehand, against Spark's own choice of them."""

import pytest
from pyspark.sql import functions as F

from sentispark.spark.placement import partition_keys, placed


@pytest.mark.parametrize("partitions", [1, 2, 7, 64, 1000])
def test_spark_sends_the_key_of_each_partition_there(spark, partitions):
    keys = partition_keys(partitions).tolist()
    assert len(set(keys)) == partitions
    frame = spark.createDataFrame([(number, key) for number, key in enumerate(keys)], "partition int, key int")
    chosen = frame.select("partition", F.pmod(F.hash("key"), F.lit(partitions)).alias("chosen")).collect()
    assert [row.chosen for row in chosen] == [row.partition for row in chosen]


def test_each_group_has_a_partition_of_its_own(spark):
    rows = spark.range(300).withColumn("group", F.pmod("id", F.lit(10)))
    found = rows.repartition(10, placed(F.col("group"), 10)).withColumn("partition", F.spark_partition_id())
    pairs = {(row.group, row.partition) for row in found.collect()}
    assert sorted(pairs) == [(number, number) for number in range(10)]
