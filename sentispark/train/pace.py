"""The ranks' batch sizes over a training: steps are timed, times are exchanged, and sizes follow from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from sentispark.dataset.plan import even_sizes
from sentispark.train.balance import Balancer, EpochBalancer
from sentispark.train.clock import StepClock
from sentispark.train.config import TrainOptions
from sentispark.train.events import Event
from sentispark.train.world import World

__all__ = ["Pace", "Sizes", "rows_with_room"]

# From which step on, counted over all epochs from 0, which batch sizes hold.
Sizes = Sequence[tuple[int, Sequence[int]]]

# The first steps of a training set up memory and kernels: they tell little about those to come.
_STEPS_OF_WARM_UP = 3
# The clock is read after so many steps at the latest, and no rank tells the others the times of more.
_MOST_STEPS = 1000
# The part of a GPU's memory that larger batches may fill.
_MEMORY_SHARE = 0.9


class Pace:
    """The batch sizes of all ranks, on one of them; all ranks make the same decisions after the same steps.

    Parameters
    ----------
    options : TrainOptions
    world : World
        Joined.
    clock : StepClock
        Of this rank's steps.
    replay : sequence of (int, sequence of int), optional
        Recorded sizes that are taken, and nothing is decided.

    Attributes
    ----------
    sizes : ndarray of shape (W,), dtype=int64
        Those for the batches that are made from now on.
    record : list of [int, list of int]
        From which step on which sizes held, for `replay`.
    seconds : ndarray of shape (2,)
        Of this rank's computing and waiting in all steps of which the clock was read.
    """

    def __init__(self, options: TrainOptions, world: World, clock: StepClock, replay: Sizes | None = None) -> None:
        self._world, self._clock, self._step = world, clock, 0
        self._replay = dict(replay or ())
        self.record: list[list] = []
        self._set(self._replay.get(0, even_sizes(options.batch_size, world.size)), 0)
        self._rule = _rule(options, world) if replay is None else None
        self._rows: list[int] = []
        self._times: list[np.ndarray] = []
        self._skip = _STEPS_OF_WARM_UP
        self.seconds = np.zeros(2)

    def stepped(self, rows: int, *, epoch_ends: bool) -> Event | None:
        """This rank has taken a step of so many rows; gives the decision after it, if there is one."""
        self._step += 1
        if self._rule:
            self._rows.append(rows)
        # The batch of the next step is being made already, unless it is another epoch's.
        begin = self._step + (0 if epoch_ends else 1)
        if begin in self._replay:
            self._set(self._replay[begin], begin)
        if self._rule and self._rule.due(len(self._rows) - self._skip, epoch_ends=epoch_ends):
            return self._decide(begin)
        if epoch_ends or self._step % _MOST_STEPS == 0:  # the clock holds no more than that
            self._read()
        return None

    def _decide(self, begin: int) -> Event:
        self._read()
        computing = np.concatenate(self._times)[self._skip :, 0][-_MOST_STEPS:]
        rows = self._rows[-len(computing) :]
        rows, most_rows, *seconds = self._world.gathered(
            np.array([np.mean(rows), self._most_rows(max(rows)), *computing])
        ).T
        self._rule, decision = self._rule.after(rows, np.array(seconds), most_rows)
        self._set(decision.sizes, begin)
        self._rows, self._times = [], []
        self._skip = begin - self._step  # steps that still have the old sizes
        return {
            "step": self._step,
            "rows": rows.round(2).tolist(),
            "seconds": [float(f"{one:.4g}") for one in np.mean(seconds, axis=0)],
            "gain": round(decision.gain, 4),
            "moved": decision.moved,
            "sizes": decision.sizes.tolist(),
        }

    def _read(self) -> None:
        times = self._clock.read()
        self.seconds += times.sum(axis=0)
        self._times = [*self._times, times] if self._rule else []

    def _most_rows(self, rows: float) -> float:
        device = self._world.device
        if device.type != "cuda":
            return np.inf
        peak = torch.cuda.max_memory_allocated(device)
        free, _ = torch.cuda.mem_get_info(device)
        torch.cuda.reset_peak_memory_stats(device)  # else the largest batch that ever was would count for any other
        return rows_with_room(rows, peak=peak, room=free + torch.cuda.memory_reserved(device))

    def _set(self, sizes: Sequence[int] | np.ndarray, begin: int) -> None:
        self.sizes = np.array(sizes, np.int64)
        if not self.record or self.record[-1][1] != self.sizes.tolist():
            self.record.append([begin, self.sizes.tolist()])


def rows_with_room(rows: float, *, peak: float, room: float) -> float:
    """The rows of a batch that a GPU has memory for.

    Parameters
    ----------
    rows : float
        The largest batch of a window of steps.
    peak, room : float
        Bytes: the most that this rank held in that window, and what it could hold.
    """
    # All of it is taken to grow with rows, although weights do not: rather too few than a rank that ends.
    return rows * _MEMORY_SHARE * room / peak if peak > 0 else np.inf


def _rule(options: TrainOptions, world: World) -> Balancer | EpochBalancer | None:
    if options.balance == "off" or world.size == 1:
        return None
    if options.balance == "epoch":
        return EpochBalancer(even_sizes(options.batch_size, world.size))
    return Balancer.start(options.batch_size, world.size, limit=options.balance_limit)
