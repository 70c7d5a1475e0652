"""All rows arrive in their group's partition, in order; keys are checked against Spark's own hash."""

from collections import defaultdict
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import functions as F

from sentispark.spark import exchange
from sentispark.spark.arrow import map_batches
from sentispark.spark.exchange import PACKED, Groups, by_group, exchanged, groups_of, packed, unpacked

SCHEMA = pa.schema([("number", pa.int64()), ("name", pa.string()), ("ids", pa.list_(pa.int32()))])
ROWS = st.tuples(st.integers(0, 3), st.integers(), st.none() | st.text(), st.none() | st.lists(st.integers(0, 9)))


def batch_of(rows):
    columns = zip(*(row[1:] for row in rows), strict=True) if rows else [[]] * 3
    return pa.RecordBatch.from_arrays(
        [pa.array(c, t) for c, t in zip(columns, SCHEMA.types, strict=True)], schema=SCHEMA
    )


@given(st.lists(st.lists(ROWS.filter(lambda row: abs(row[1]) < 2**63), max_size=30), max_size=5), st.integers(1, 5000))
def test_each_group_gets_its_rows_in_order_whatever_the_sizes_of_buffer_and_packets(batches, buffer_bytes):
    with mock.patch.multiple(exchange, _BUFFER_BYTES=buffer_bytes, _PACKAGE_BYTES=buffer_bytes // 3):
        given_batches = ((np.array([row[0] for row in rows], np.int64), batch_of(rows)) for rows in batches)
        sent = list(packed(given_batches, groups_of(4)))
    expected, found = defaultdict(list), defaultdict(list)
    for rows in batches:
        for group, *row in rows:
            expected[int(groups_of(4).keys()[group])].append(tuple(row))
    for packets in sent:
        for packet in range(len(packets)):
            one = packets.slice(packet, 1)
            for rows in unpacked([one], SCHEMA):
                found[one.column("key")[0].as_py()] += [tuple(row.values()) for row in rows.to_pylist()]
    assert found == expected


def test_packets_are_small_and_a_large_row_has_its_own():
    names = ["x" * 1000] * 100 + ["y" * 1_000_000]
    rows = pa.RecordBatch.from_pydict({"name": names})
    (packets,) = packed([(np.zeros(101, np.int64), rows)], groups_of(1))
    sizes = packets.column("packet")
    assert sum(batch.num_rows for batch in unpacked([packets], rows.schema)) == 101
    assert len(sizes) > 3


@pytest.mark.parametrize("groups", [Groups(1, 1), Groups(7, 7), Groups(1000, 1000), Groups(7, 2), Groups(1000, 64)])
def test_spark_hashes_the_key_of_each_group_to_its_partition(spark, groups):
    keys = groups.keys().tolist()
    assert len(set(keys)) == groups.groups
    rows = [(number % groups.partitions, key) for number, key in enumerate(keys)]
    frame = spark.createDataFrame(rows, "partition int, key int")
    chosen = frame.select("partition", F.pmod(F.hash("key"), F.lit(groups.partitions)).alias("chosen")).collect()
    assert [row.chosen for row in chosen] == [row.partition for row in chosen]


@given(st.integers(0, 10**6))
def test_the_number_of_partitions_is_bounded_whatever_the_number_of_groups(number):
    groups = groups_of(number)
    assert groups.groups == max(1, number)
    assert groups.partitions == min(groups.groups, exchange.MAX_PARTITIONS) <= 2000


def test_packets_of_many_groups_are_not_tiny():
    rows = pa.RecordBatch.from_pydict({"number": np.arange(1_000_000)})  # 8 MB
    batches = ((np.arange(1_000_000) % 20_000, rows) for _ in range(12))
    sizes = [
        len(value) for packets in packed(batches, groups_of(20_000)) for value in packets.column("packet").to_pylist()
    ]
    assert np.mean(sizes) > 2000


@pytest.mark.modern
@pytest.mark.parametrize("groups", [Groups(12, 12), Groups(12, 5)])
def test_each_group_arrives_whole_in_its_partition_one_after_the_other(spark, groups):
    schema = pa.schema([("id", pa.int64())])

    def send(batches):
        yield from packed(((batch.column(0).to_numpy() % 10, batch) for batch in batches), groups)

    def receive(batches):
        for number, table in enumerate(by_group(batches, schema)):
            yield from table.append_column("group", pa.array([number] * len(table), pa.int64())).to_batches()

    packets = exchanged(map_batches(spark.range(300, numPartitions=3), send, PACKED), groups)
    found = map_batches(packets, receive, "id long, group long").withColumn("partition", F.spark_partition_id())
    rows = found.collect()
    assert sorted(row.id for row in rows) == list(range(300))
    assert all(row.partition == row.id % 10 % groups.partitions for row in rows)
    assert len({(row.partition, row.group, row.id % 10) for row in rows}) == 10  # a group is whole, and alone
