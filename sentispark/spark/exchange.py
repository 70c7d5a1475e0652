"""Groups of rows shuffled as packets: Spark moves a few binary values instead of every row.

Spark's own `repartition` turns Arrow's columns into rows, hashes and copies each, and turns them into columns again,
which costs more than most of what is done with them here. It also assigns a group by the hash of its key, so that some
partitions get several groups and others none; here each group has a key that hashes to the partition it is meant for.

The number of partitions has a limit, because each sending task writes a block for each partition. Beyond the limit a
partition gets several groups, one after the other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

__all__ = ["MAX_PARTITIONS", "PACKED", "Groups", "by_group", "exchanged", "groups_of", "packed", "unpacked"]

# What is shuffled: the key of a packet's group, and a batch in Arrow's IPC format, without its schema.
PACKED = "key int, packet binary"

# Rows are buffered until they fill large packets; packets are small enough for a task to pass on thousands of them.
_BUFFER_BYTES = 16 << 20
_PACKAGE_BYTES = 32 << 10
# With many groups more is buffered, up to a limit, so that packets do not become smaller than this.
_MIN_PACKAGE_BYTES, _MAX_BUFFER_BYTES = 2 << 10, 64 << 20

# Of one exchange: each sending task writes at most this number of shuffle blocks, whatever the number of groups.
MAX_PARTITIONS = 2000

_SEED = 42


class Groups(NamedTuple):
    """Numbers of groups and of partitions; group i is sent to partition i % `partitions`."""

    groups: int
    partitions: int

    def keys(self) -> np.ndarray:
        """The key of each group, which Spark hashes to the group's partition: int32 of shape (groups,), distinct."""
        rounds = math.ceil(self.groups / self.partitions)
        lists: list[np.ndarray] = [np.zeros(0, np.int32)] * self.partitions
        start = 0
        while min(map(len, lists)) < rounds:
            numbers = np.arange(start, start + 2 * self.groups + 64, dtype=np.int32)
            partition = _murmur3(numbers).astype(np.int64) % self.partitions
            by_partition = np.argsort(partition, kind="stable")
            edges = np.searchsorted(partition[by_partition], np.arange(1, self.partitions))
            lists = [
                np.concatenate([old, new])[:rounds]
                for old, new in zip(lists, np.split(numbers[by_partition], edges), strict=True)
            ]
            start = int(numbers[-1]) + 1
        return np.stack(lists, axis=1).ravel()[: self.groups]


def groups_of(number: int, *, max_partitions: int = MAX_PARTITIONS) -> Groups:
    """That number of groups, at least 1, each in its own partition as long as there are no more than the limit."""
    return Groups(max(1, number), min(max(1, number), max_partitions))


def packed(batches: Iterable[tuple[np.ndarray, pa.RecordBatch]], groups: Groups) -> Iterator[pa.RecordBatch]:
    """Packets of each group's rows, in the order of the rows, with the columns of `PACKED`.

    Parameters
    ----------
    batches : iterable of (ndarray, RecordBatch)
        The group of each row, int64 of shape (n,), counted from 0; and n rows, without dictionary arrays.
    groups : Groups
        The same as for `exchanged`.
    """
    keys = groups.keys()
    enough = min(max(_BUFFER_BYTES, groups.groups * _MIN_PACKAGE_BYTES), max(_BUFFER_BYTES, _MAX_BUFFER_BYTES))
    buffered: list[tuple[np.ndarray, pa.RecordBatch]] = []
    size = 0
    for group, batch in batches:
        buffered.append((group, batch))
        size += batch.nbytes
        if size >= enough:
            yield _packets(buffered, keys)
            buffered, size = [], 0
    if buffered:
        yield _packets(buffered, keys)


def exchanged(packets: DataFrame, groups: Groups) -> DataFrame:
    """The packets moved to their groups' partitions, those of one key together; other columns move with them."""
    together = packets.repartition(groups.partitions, "key")
    # Spark sorts on disk what does not fit into memory, so a partition may hold any number of groups.
    return together if groups.partitions == groups.groups else together.sortWithinPartitions("key")


def unpacked(packets: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of each packet; `schema` is the schema of the batches that were packed. Nulls are skipped."""
    for batch in packets:
        for rows in batch.column("packet").drop_null():
            yield pa.ipc.read_record_batch(rows.as_buffer(), schema)


def by_group(packets: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """The groups of a partition of `exchanged`, one after the other; only one of them is in memory at a time."""
    runs = (run for batch in packets for run in _runs(batch))
    for _, run in itertools.groupby(runs, key=lambda run: run.column("key")[0].as_py()):
        yield pa.Table.from_batches(unpacked(run, schema), schema=schema)


def _runs(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The batch cut into runs of packets with the same key."""
    changes = np.flatnonzero(np.diff(batch.column("key").to_numpy())) + 1
    for first, last in itertools.pairwise([0, *changes.tolist(), len(batch)]):
        if last > first:
            yield batch.slice(first, last - first)


def _packets(batches: list[tuple[np.ndarray, pa.RecordBatch]], keys: np.ndarray) -> pa.RecordBatch:
    group = np.concatenate([groups for groups, _ in batches])
    order = np.argsort(group, kind="stable")
    group = group[order]
    rows = pa.Table.from_batches([batch for _, batch in batches]).take(pa.array(order)).combine_chunks()
    max_rows = max(1, len(rows) * _PACKAGE_BYTES // max(1, rows.nbytes))
    edges = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(rows)]
    starts = [start for first, last in itertools.pairwise(edges) for start in range(first, last, max_rows)]
    packets = [
        packet.serialize().to_pybytes()
        for start, stop in itertools.pairwise([*starts, len(rows)])
        for packet in rows.slice(start, stop - start).to_batches()
    ]
    return pa.RecordBatch.from_arrays(
        [pa.array(keys[group[starts]]), pa.array(packets, pa.binary())], names=["key", "packet"]
    )


def _murmur3(values: np.ndarray) -> np.ndarray:
    """Spark's hash of int values, int32: MurmurHash3_x86_32 (Appleby 2011, SMHasher) of their bytes with seed 42."""
    mixed = _rotated(values.astype(np.uint32) * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)
    state = _rotated(np.uint32(_SEED) ^ mixed, 13) * np.uint32(5) + np.uint32(0xE6546B64)
    state ^= np.uint32(4)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        state = (state ^ (state >> np.uint32(shift))) * np.uint32(factor)
    return (state ^ (state >> np.uint32(16))).view(np.int32)


def _rotated(values: np.ndarray, bits: int) -> np.ndarray:
    return (values << np.uint32(bits)) | (values >> np.uint32(32 - bits))
