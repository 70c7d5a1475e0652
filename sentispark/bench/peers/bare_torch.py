"""A bare torch loop without Spark: encoded rows in memory, sorted by length, each batch trimmed."""

from __future__ import annotations

import multiprocessing
import time
from multiprocessing.pool import Pool
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sentispark.train.result import TrainedNet

__all__ = ["BareTorch"]


class BareTorch:
    """The net on encoded rows in memory, in a process of one thread for each core.

    Parameters
    ----------
    trained : TrainedNet
    encoded : str
        Path of Parquet files with `sequence` and `length`.
    cores : int
    batch_rows : int
    """

    def __init__(self, trained: TrainedNet, encoded: str, cores: int, *, batch_rows: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pools: list[Pool] = [
            context.Pool(1, _load, (trained, encoded, core, cores, batch_rows)) for core in range(cores)
        ]

    def seconds(self, share: int = 1) -> float:
        """The seconds of the slowest process for every `share`-th batch."""
        return max(float(result.get()) for result in [pool.apply_async(_forward, (share,)) for pool in self._pools])

    def rows(self, share: int = 1) -> int:
        """The rows in every `share`-th batch, summed over the processes."""
        return sum(pool.apply(_rows, (share,)) for pool in self._pools)

    def close(self) -> None:
        """End the processes."""
        for pool in self._pools:
            pool.terminate()
            pool.join()


# The net and the batches of this process.
_loaded: list[Any] = []


def _load(trained: TrainedNet, encoded: str, core: int, cores: int, batch_rows: int) -> None:
    """Load the net and this process's batches, for `_rows` and `_forward`."""
    import torch

    torch.set_num_threads(1)
    table = pq.read_table(encoded, columns=["sequence", "length"])
    table = table.take(np.arange(core, len(table), cores)).combine_chunks()
    length = table.column("length").to_numpy()
    flat = pc.list_flatten(table.column("sequence")).to_numpy()
    order = np.argsort(length, kind="stable")
    sequence, length = flat.reshape(len(length), -1)[order].astype(np.int64), length[order].astype(np.int64)
    batches = []
    for start in range(0, len(length), batch_rows):
        rows = slice(start, start + batch_rows)
        steps = max(1, int(length[rows][-1]))
        batches.append((torch.from_numpy(sequence[rows, :steps].copy()), torch.from_numpy(length[rows])))
    _loaded[:] = [trained.module(), batches]


def _rows(share: int) -> int:
    return sum(len(length) for _, length in _loaded[1][::share])


def _forward(share: int = 1) -> float:
    import torch

    net, batches = _loaded
    started = time.perf_counter()
    with torch.inference_mode():
        for sequence, length in batches[::share]:
            net(sequence, length)
    return time.perf_counter() - started
