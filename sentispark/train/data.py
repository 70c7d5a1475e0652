"""A rank's share of an evaluation, and its batches of a training one step before they are needed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sentispark.dataset.batches import Batch, Epoch, make_batch
from sentispark.dataset.store import RowStore
from sentispark.train.step import Tensors, to_tensors
from sentispark.train.world import World

__all__ = ["Ahead", "evaluation_batches", "shares"]

# Rows that one rank holds at a time while it evaluates.
EVALUATION_WINDOW = 16_384


class Ahead:
    """One rank's parts of the steps of an epoch, each made while the step before it is computed.

    Parameters
    ----------
    epoch : Epoch
    world : World
    sizes : ndarray of shape (W,), dtype=int64
        The ranks' batch sizes, which sum to the global batch. They may be set anew at any time, to the same on all
        ranks after the same step; they hold from the step after the next one.

    Attributes
    ----------
    seconds_waited : float
        For batches that were not ready when they were asked for.
    """

    def __init__(self, epoch: Epoch, world: World, sizes: np.ndarray) -> None:
        self.sizes, self.seconds_waited = sizes, 0.0
        self._epoch, self._world = epoch, world

    def __iter__(self) -> Iterator[tuple[Tensors, int]]:
        """The rank's batch of each step, with the rows that all ranks together have in it."""
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
            coming = thread.submit(self._made, 0, self.sizes) if self._epoch.steps else None
            for step in range(self._epoch.steps):
                started = time.perf_counter()
                batch = coming.result()
                self.seconds_waited += time.perf_counter() - started
                if step + 1 < self._epoch.steps:
                    coming = thread.submit(self._made, step + 1, self.sizes)
                yield batch

    def _made(self, step: int, sizes: np.ndarray) -> tuple[Tensors, int]:
        batch = self._epoch.batch(step, sizes, self._world.rank)
        return to_tensors(batch, self._world.device), self._epoch.step_rows(step)


def shares(rows: int, sizes: np.ndarray) -> np.ndarray:
    """The edges, int64 of shape (W + 1,), of the ranks' contiguous parts of some rows, in proportion to batch sizes."""
    edges = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    return edges * rows // edges[-1]


def evaluation_batches(
    store: RowStore, *, rank: int, sizes: np.ndarray, batch_rows: int, trim: bool
) -> Iterator[Batch]:
    """One rank's share of all rows, as large beside the others' as its batches are, sorted by length within windows."""
    first, last = shares(len(store), sizes)[rank : rank + 2].tolist()
    for start in range(first, last, EVALUATION_WINDOW):
        rows = store.take(np.arange(start, min(start + EVALUATION_WINDOW, last)))
        by_length = np.argsort(rows.length, kind="stable")
        for begin in range(0, len(by_length), batch_rows):
            yield make_batch(rows, by_length[begin : begin + batch_rows], trim=trim)
