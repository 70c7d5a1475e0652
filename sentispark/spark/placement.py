"""Which partition Spark sends a row to, known beforehand: one group of rows a partition, none empty, none doubled.

`repartition(n, column)` places a row by the hash of its column's value, so n groups meet in some partitions and leave
others empty. Here each group gets a value whose hash leads to a partition of its own.
"""

from __future__ import annotations

import numpy as np
from pyspark.sql import Column
from pyspark.sql import functions as F

__all__ = ["partition_keys", "placed"]

_SEED = 42


def placed(group: Column, groups: int) -> Column:
    """The column by which `repartition(groups, …)` gives each group, numbered from 0, a partition of its own."""
    return F.array(*map(F.lit, partition_keys(groups).tolist()))[group.cast("int")]


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
