"""Rows sent to the task of their group in packages, so that Spark moves a few values and not every row.

Spark's own `repartition` makes rows of Arrow's columns, hashes and copies each, and makes columns of them again, which
costs more than most of what is done with them here. And it places a group by the hash of its key, so that some groups
meet in one partition and others stay empty; here each group's key is one that leads to a partition of its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame

__all__ = ["PACKED", "exchanged", "packed", "partition_keys", "unpacked"]

# What is shuffled: where a package goes, and a batch as Arrow's IPC has it, without its schema.
PACKED = "key int, package binary"

# Rows are held until they are enough for large packages, and packages are small enough for Spark to pass on thousands.
_HELD_BYTES = 16 << 20
_PACKAGE_BYTES = 32 << 10

_SEED = 42


def packed(batches: Iterable[tuple[np.ndarray, pa.RecordBatch]], groups: int) -> Iterator[pa.RecordBatch]:
    """Packages of the rows of each group, in the order of the rows, with the columns of `PACKED`.

    Parameters
    ----------
    batches : iterable of (ndarray, RecordBatch)
        The group of each row, int64 of shape (n,), from 0 to `groups` - 1; and n rows, without dictionaries.
    groups : int
        As `exchanged` will be told.
    """
    keys = partition_keys(groups)
    held: list[tuple[np.ndarray, pa.RecordBatch]] = []
    size = 0
    for group, batch in batches:
        held.append((group, batch))
        size += batch.nbytes
        if size >= _HELD_BYTES:
            yield _packages(held, keys)
            held, size = [], 0
    if held:
        yield _packages(held, keys)


def exchanged(packages: DataFrame, groups: int) -> DataFrame:
    """The packages of group i, and no others, in partition i of `groups`; further columns go with them."""
    return packages.repartition(groups, "key")


def unpacked(packages: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The rows of each package; `schema` is that of the batches that were packed. Null is no package."""
    for batch in packages:
        for rows in batch.column("package").drop_null():
            yield pa.ipc.read_record_batch(rows.as_buffer(), schema)


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


def partition_keys(partitions: int) -> np.ndarray:
    """Numbers of which the i-th is sent to partition i, int32 of shape (partitions,)."""
    keys = np.full(partitions, -1, np.int32)
    start, missing = 0, True
    while missing:
        candidates = np.arange(start, start + 4 * partitions + 64, dtype=np.int32)
        places = _murmur3(candidates).astype(np.int64) % partitions
        keys[places[::-1]] = candidates[::-1]
        start, missing = int(candidates[-1]) + 1, bool((keys < 0).any())
    return keys


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
