"""A rank's batches of an epoch, each made while the previous step is computed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from sentispark.dataset.batches import Epoch
from sentispark.train.step import Tensors, to_tensors
from sentispark.train.world import World

__all__ = ["PrefetchedBatches"]


class PrefetchedBatches:
    """One rank's parts of the steps of an epoch.

    Parameters
    ----------
    epoch : Epoch
    world : World
    sizes_at : callable
        Takes a step of the epoch; returns the ranks' batch sizes in it, int64 of shape (W,). Called once for each
        step, in order, one step ahead.
    first : int
        The step to begin with, from 0 to `epoch.steps`.

    Attributes
    ----------
    seconds_waited : float
        Seconds spent waiting for batches that were not ready when they were needed.
    """

    def __init__(self, epoch: Epoch, world: World, sizes_at: Callable[[int], np.ndarray], *, first: int = 0) -> None:
        self.seconds_waited = 0.0
        self._epoch, self._world, self._sizes_at, self._first = epoch, world, sizes_at, first

    def __iter__(self) -> Iterator[tuple[Tensors, int]]:
        """The rank's batch of each step, with the rows that all ranks together have in it."""
        steps = range(self._first, self._epoch.steps)
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
            coming = [thread.submit(self._made, step, self._sizes_at(step)) for step in steps[:1]]
            for step in steps:
                started = time.perf_counter()
                batch = coming.pop().result()
                self.seconds_waited += time.perf_counter() - started
                if step + 1 < self._epoch.steps:
                    coming.append(thread.submit(self._made, step + 1, self._sizes_at(step + 1)))
                yield batch

    def _made(self, step: int, sizes: np.ndarray) -> tuple[Tensors, int]:
        batch = self._epoch.batch(step, sizes, self._world.rank)
        return to_tensors(batch, self._world.device), self._epoch.rows_in_step(step)
