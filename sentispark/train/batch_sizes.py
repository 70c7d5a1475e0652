"""The ranks' batch sizes over a training: steps are timed, times are exchanged, and sizes follow from them."""

from __future__ import annotations

import bisect
from collections.abc import Sequence

import numpy as np
import torch

from sentispark.dataset.plan import even_sizes
from sentispark.train.balance import Balancer, EpochBalancer, SizeRule
from sentispark.train.clock import StepClock
from sentispark.train.events import BalanceDecision
from sentispark.train.options import BatchOptions
from sentispark.train.state import State
from sentispark.train.world import World

__all__ = ["BatchSizeController", "BatchSizeSchedule", "rows_with_room"]

# Pairs: a step, counted over all epochs from 0, and the batch sizes from that step on.
BatchSizeSchedule = Sequence[tuple[int, Sequence[int]]]

# The first steps of a training set up memory and kernels: their times say little about later steps.
_STEPS_OF_WARM_UP = 3
# The clock is read at least this often, in steps, and no rank sends the times of more steps at once.
_MOST_STEPS = 1000
# The part of a GPU's memory that larger batches may fill.
_MEMORY_SHARE = 0.9


class BatchSizeController:
    """The batch sizes of all ranks, as one rank keeps them; all ranks make the same decisions after the same steps.

    Parameters
    ----------
    options : BatchOptions
    world : World
        Joined.
    clock : StepClock
        The clock of this rank's steps.
    replay : sequence of (int, sequence of int), optional
        A schedule to follow, in the order of its steps; then no decisions are made.

    Attributes
    ----------
    schedule : list of (int, list of int)
        The sizes of all steps so far, and those announced for future steps; can be passed as `replay`.
    seconds : ndarray of shape (2,)
        Seconds that this rank spent computing and waiting, in all steps for which the clock was read.
    """

    def __init__(
        self, options: BatchOptions, world: World, clock: StepClock, replay: BatchSizeSchedule | None = None
    ) -> None:
        self._world, self._clock, self._step = world, clock, 0
        self._even = even_sizes(options.batch_size, world.size).tolist()
        self.schedule = [(begin, [*sizes]) for begin, sizes in replay or ()]
        if not self.schedule or self.schedule[0][0] > 0:
            self.schedule.insert(0, (0, self._even))
        self._rule = _rule(options, world) if replay is None else None
        self._balance, self._replays = options.balance, replay is not None
        self._begin_window(_STEPS_OF_WARM_UP)
        self.seconds = np.zeros(2)

    @property
    def upcoming(self) -> np.ndarray:
        """The sizes of the next step, shape (W,), dtype=int64."""
        return self.sizes_at(self._step)

    def sizes_at(self, step: int) -> np.ndarray:
        """The sizes of a step, counted over all epochs from 0, shape (W,), dtype=int64.

        They are final when the step before it begins.
        """
        return np.array(self._sizes_in(self.schedule, step), np.int64)

    def after_step(self, rows: int, *, epoch_ends: bool) -> BalanceDecision | None:
        """Record that this rank took a step with `rows` rows; returns the decision made after it, if any."""
        self._step += 1
        if self._rule:
            self._rows.append(rows)
        # The batch of the next step is already being made, unless that step belongs to the next epoch.
        begin = self._step + (0 if epoch_ends else 1)
        if self._rule and self._rule.due(len(self._rows) - self._skip, epoch_ends=epoch_ends):
            return self._decide(self._rule, begin)
        if epoch_ends or self._step % _MOST_STEPS == 0:  # the clock holds no more than that
            self._read_clock()
        return None

    def state(self) -> State:
        """The number of steps, the schedule and what the balancer knows; times since its last decision are left out."""
        self._read_clock()
        rule = self._rule.state() if self._rule else None
        return State(
            {
                "step": self._step,
                "schedule": [[begin, [*sizes]] for begin, sizes in self.schedule],
                "balance": self._balance,
                "rule": rule,
            }
        )

    def restore(self, state: State) -> None:
        """Continue from what `state` returned.

        With other ranks, or another value of `balance`, the rule begins anew; the sizes stay if the ranks are as many
        and sizes are balanced. A schedule to follow is followed from the next step on.
        """
        values, given = state.values, self.schedule
        self._step = values["step"]
        self.schedule = [(begin, [*sizes]) for begin, sizes in values["schedule"]]
        same_ranks = len(self.schedule[-1][1]) == self._world.size
        if self._replays:
            now = self._sizes_in(given, self._step)
            self._continue_with([(self._step, now), *(entry for entry in given if entry[0] > self._step)])
        elif not self._rule or not same_ranks:
            self._continue_with([(self._step, self._even)])
        elif values["rule"] is not None and values.get("balance", self._balance) == self._balance:
            self._rule = self._rule.restored(values["rule"])
        else:
            self._rule = self._rule.resized(np.array(self.schedule[-1][1], np.int64))
        self._clock.read()  # of steps that are not part of this training
        self._begin_window(_STEPS_OF_WARM_UP)

    def _continue_with(self, entries: BatchSizeSchedule) -> None:
        """Replace the schedule from the next step on."""
        self.schedule = [entry for entry in self.schedule if entry[0] < self._step]
        for begin, sizes in entries:
            if not self.schedule or self.schedule[-1][1] != [*sizes]:
                self.schedule.append((begin, [*sizes]))

    @staticmethod
    def _sizes_in(schedule: BatchSizeSchedule, step: int) -> list[int]:
        index = bisect.bisect_right([begin for begin, _ in schedule], step) - 1
        return [*schedule[index][1]]

    def _decide(self, rule: SizeRule, begin: int) -> BalanceDecision:
        self._read_clock()
        computing = np.concatenate(self._times)[self._skip :, 0][-_MOST_STEPS:]
        own_rows = self._rows[-len(computing) :]
        rows, most_rows, *seconds = self._world.gathered(
            np.array([np.mean(own_rows), self._most_rows(max(own_rows)), *computing])
        ).T
        self._rule, decision = rule.after(rows, np.array(seconds), most_rows)
        self._announce(decision.sizes.tolist(), begin)
        self._begin_window(begin - self._step)  # steps that still have the old sizes
        return {
            "step": self._step,
            "rows": rows.round(2).tolist(),
            "seconds": [float(f"{one:.4g}") for one in np.mean(seconds, axis=0)],
            "gain": round(decision.gain, 4),
            "moved": decision.moved,
            "sizes": decision.sizes.tolist(),
        }

    def _begin_window(self, skip: int) -> None:
        self._rows: list[int] = []
        self._times: list[np.ndarray] = []
        self._skip = skip

    def _read_clock(self) -> None:
        times = self._clock.read()
        self.seconds += times.sum(axis=0)
        self._times = [*self._times, times] if self._rule else []

    def _most_rows(self, rows: float) -> float:
        device = self._world.device
        if device.type != "cuda":
            return np.inf
        peak = torch.cuda.max_memory_allocated(device)
        free, _ = torch.cuda.mem_get_info(device)
        torch.cuda.reset_peak_memory_stats(device)  # else the peak of the largest batch ever would count for all
        return rows_with_room(rows, peak=peak, room=free + torch.cuda.memory_reserved(device))

    def _announce(self, sizes: list[int], begin: int) -> None:
        if self.schedule[-1][1] != sizes:
            self.schedule.append((begin, sizes))


def rows_with_room(rows: float, *, peak: float, room: float) -> float:
    """The rows of a batch that a GPU has memory for.

    Parameters
    ----------
    rows : float
        The largest batch of a window of steps.
    peak, room : float
        Bytes: the most that this rank used in that window, and the most that it may use.
    """
    # All of it is assumed to grow with rows, although weights do not: better too few rows than to run out of memory.
    return rows * _MEMORY_SHARE * room / peak if peak > 0 else np.inf


def _rule(options: BatchOptions, world: World) -> SizeRule | None:
    if options.balance == "off" or world.size == 1:
        return None
    if options.balance == "epoch":
        return EpochBalancer(even_sizes(options.batch_size, world.size))
    return Balancer.start(options.batch_size, world.size, limit=options.balance_limit)
