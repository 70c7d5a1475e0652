"""Rows sent to the task of their group in packages, so that Spark moves a few values and not every row.

Spark's own `repartition` makes rows of Arrow's columns, hashes and copies each, and makes columns of them again, which
costs more than most of what is done with them here. And it places a group by the hash of its key, so that some groups
meet in one partition and others stay empty; here each group's key is one that leads to the partition that is meant.

Of partitions there are so many at most, for each task that sends makes a block for each of them: a partition then gets
several groups, one after the other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

__all__ = ["MOST_PARTITIONS", "PACKED", "Groups", "by_group", "exchanged", "groups_of", "packed", "unpacked"]

# What is shuffled: where a package goes, and a batch as Arrow's IPC has it, without its schema.
PACKED = "key int, package binary"

# Rows are held until they are enough for large packages, and packages are small enough for Spark to pass on thousands.
_HELD_BYTES = 16 << 20
_PACKAGE_BYTES = 32 << 10
# Where groups are so many that packages would be smaller than this, more is held, up to a limit.
_LEAST_PACKAGE_BYTES, _MOST_HELD_BYTES = 2 << 10, 64 << 20

# Of one exchange. A shuffle has this many blocks for each task that sends, whatever the number of groups.
MOST_PARTITIONS = 2000

_SEED = 42


class Groups(NamedTuple):
    """Groups of rows, and the partitions that they are sent to: group i to partition i % `partitions`."""

    groups: int
    partitions: int

    def keys(self) -> np.ndarray:
        """A number for each group that Spark sends to its partition: int32 of shape (groups,), all distinct."""
        rounds = math.ceil(self.groups / self.partitions)
        lists: list[np.ndarray] = [np.zeros(0, np.int32)] * self.partitions
        start = 0
        while min(map(len, lists)) < rounds:
            numbers = np.arange(start, start + 2 * self.groups + 64, dtype=np.int32)
            places = _murmur3(numbers).astype(np.int64) % self.partitions
            by_place = np.argsort(places, kind="stable")
            edges = np.searchsorted(places[by_place], np.arange(1, self.partitions))
            lists = [
                np.concatenate([old, new])[:rounds]
                for old, new in zip(lists, np.split(numbers[by_place], edges), strict=True)
            ]
            start = int(numbers[-1]) + 1
        return np.stack(lists, axis=1).ravel()[: self.groups]


def groups_of(number: int, *, most: int = MOST_PARTITIONS) -> Groups:
    """So many groups, in a partition each, or in `most` partitions."""
    return Groups(max(1, number), min(max(1, number), most))


def packed(batches: Iterable[tuple[np.ndarray, pa.RecordBatch]], groups: Groups) -> Iterator[pa.RecordBatch]:
    """Packages of the rows of each group, in the order of the rows, with the columns of `PACKED`.

    Parameters
    ----------
    batches : iterable of (ndarray, RecordBatch)
        The group of each row, int64 of shape (n,), from 0 on; and n rows, without dictionaries.
    groups : Groups
        As `exchanged` will be told.
    """
    keys = groups.keys()
    enough = min(max(_HELD_BYTES, groups.groups * _LEAST_PACKAGE_BYTES), max(_HELD_BYTES, _MOST_HELD_BYTES))
    held: list[tuple[np.ndarray, pa.RecordBatch]] = []
    size = 0
    for group, batch in batches:
        held.append((group, batch))
        size += batch.nbytes
        if size >= enough:
            yield _packages(held, keys)
            held, size = [], 0
    if held:
        yield _packages(held, keys)


def exchanged(packages: DataFrame, groups: Groups) -> DataFrame:
    """The packages of each group in its partition, those of one key together; further columns go with them."""
    together = packages.repartition(groups.partitions, "key")
    # Spark sorts on disk what does not fit into memory, so a partition may hold any number of groups.
    return together if groups.partitions == groups.groups else together.sortWithinPartitions("key")


def unpacked(packages: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of each package; `schema` is that of the batches that were packed. Null is no package."""
    for batch in packages:
        for rows in batch.column("package").drop_null():
            yield pa.ipc.read_record_batch(rows.as_buffer(), schema)


def by_group(packages: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.Table]:
    """The rows of a partition of `exchanged`, one group after the other; no more than one of them is held."""
    runs = (run for batch in packages for run in _runs(batch))
    for _, run in itertools.groupby(runs, key=lambda run: run.column("key")[0].as_py()):
        yield pa.Table.from_batches(unpacked(run, schema), schema=schema)


def _runs(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """The packages of a batch, those of one key together."""
    changes = np.flatnonzero(np.diff(batch.column("key").to_numpy())) + 1
    for first, last in itertools.pairwise([0, *changes.tolist(), len(batch)]):
        if last > first:
            yield batch.slice(first, last - first)


def _packages(batches: list[tuple[np.ndarray, pa.RecordBatch]], keys: np.ndarray) -> pa.RecordBatch:
    group = np.concatenate([groups for groups, _ in batches])
    order = np.argsort(group, kind="stable")
    group = group[order]
    rows = pa.Table.from_batches([batch for _, batch in batches]).take(pa.array(order)).combine_chunks()
    most = max(1, len(rows) * _PACKAGE_BYTES // max(1, rows.nbytes))
    edges = [0, *(np.flatnonzero(np.diff(group)) + 1).tolist(), len(rows)]
    starts = [start for first, last in itertools.pairwise(edges) for start in range(first, last, most)]
    packages = [
        package.serialize().to_pybytes()
        for start, stop in itertools.pairwise([*starts, len(rows)])
        for package in rows.slice(start, stop - start).to_batches()
    ]
    return pa.RecordBatch.from_arrays(
        [pa.array(keys[group[starts]]), pa.array(packages, pa.binary())], names=["key", "package"]
    )


def _murmur3(values: np.ndarray) -> np.ndarray:
    """Spark's hash of int values, int32: Murmur3 (x86, 32 bit; Appleby 2011) of their four bytes with seed 42."""
    mixed = _rotated(values.astype(np.uint32) * np.uint32(0xCC9E2D51), 15) * np.uint32(0x1B873593)
    state = _rotated(np.uint32(_SEED) ^ mixed, 13) * np.uint32(5) + np.uint32(0xE6546B64)
    state ^= np.uint32(4)
    for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        state = (state ^ (state >> np.uint32(shift))) * np.uint32(factor)
    return (state ^ (state >> np.uint32(16))).view(np.int32)


def _rotated(values: np.ndarray, bits: int) -> np.ndarray:
    return (values << np.uint32(bits)) | (values >> np.uint32(32 - bits))
