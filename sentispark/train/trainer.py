"""Epochs of steps and evaluations on one rank; all ranks do the same."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sentispark.dataset.batches import Epoch
from sentispark.dataset.store import RowStore
from sentispark.errors import TrainingError
from sentispark.evaluate.metrics import Measures
from sentispark.nn.net import Net
from sentispark.train.batch_sizes import BatchSizeController
from sentispark.train.evaluation import evaluate
from sentispark.train.events import BalanceDecision, Emit, EpochEntry, Throttle
from sentispark.train.options import StoppingOptions
from sentispark.train.prefetch import PrefetchedBatches
from sentispark.train.state import State
from sentispark.train.step import Stepper
from sentispark.train.world import World

__all__ = ["Best", "EpochTotals", "Trainer", "TrainerHook"]

# The most decisions of an epoch in the history, in addition to those that changed sizes.
_DECISIONS_KEPT = 50


@dataclasses.dataclass
class EpochTotals:
    """What this rank has accumulated over the steps of an epoch so far."""

    loss_sum: Tensor  # float64 of shape ()
    step: int = 0
    rows: int = 0  # of all ranks
    seconds: float = 0.0
    seconds_without_data: float = 0.0
    # What the rank had waited for others before the epoch, negative: the controller counts over the whole training.
    rank_wait_offset: float = 0.0
    decisions: list[BalanceDecision] = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True)
class Best:
    """The epoch whose weights are kept, from 1, or 0 before there is one; its loss and its weights."""

    epoch: int = 0
    loss: float = math.inf
    weights: dict[str, Tensor] = dataclasses.field(default_factory=dict)


TrainerHook = Callable[["Trainer"], None]


class Trainer:
    """One rank's training.

    Parameters
    ----------
    net : Net
        The same weights on every rank.
    stepper : Stepper
        The stepper of that net.
    batch_sizes : BatchSizeController
        Has the stepper's clock.
    epoch_of : callable
        Takes an epoch's number, from 1; returns its steps, of which every epoch has the same number.
    validation : RowStore
        May have no rows.
    options : StoppingOptions
    world : World
        Joined.
    emit : callable
        Called with events; those of the first rank are shown.
    after_step, after_epoch : callable, optional
        Called with this trainer after each step and after each epoch; they may call `state`.

    Attributes
    ----------
    history : list of EpochEntry
        One entry for each epoch that has ended.
    best : Best
    batch_sizes : BatchSizeController
    """

    def __init__(
        self,
        net: Net,
        stepper: Stepper,
        batch_sizes: BatchSizeController,
        epoch_of: Callable[[int], Epoch],
        validation: RowStore,
        *,
        options: StoppingOptions,
        world: World,
        emit: Emit = lambda event: None,
        after_step: TrainerHook = lambda trainer: None,
        after_epoch: TrainerHook = lambda trainer: None,
    ) -> None:
        self.net, self.history, self.best = net, list[EpochEntry](), Best()
        self.batch_sizes = batch_sizes
        self._stepper, self._epoch_of, self._validation = stepper, epoch_of, validation
        self._options, self._world, self._emit, self._after_step = options, world, emit, after_step
        self._after_epoch = after_epoch
        self._totals = self._no_totals()

    def train(self) -> None:
        """Train the net for all epochs that are left, or until the validation loss ends the training."""
        while len(self.history) < self._options.max_epochs and not self._is_finished():
            entry = self.epoch()
            self._emit({"kind": "epoch", **entry})
            self._after_epoch(self)

    @property
    def step(self) -> int:
        """The number of steps that were taken, over all epochs."""
        return self._stepper.step

    def epoch(self) -> EpochEntry:
        """Take the remaining steps of the next epoch and evaluate the net; returns the entry of the history."""
        number = len(self.history) + 1
        started = time.perf_counter() - self._totals.seconds
        self._steps(number, started)
        totals, self._totals = self._totals, self._no_totals()
        loss = float(self._world.total(np.array([float(totals.loss_sum)]))[0]) / totals.rows
        if not math.isfinite(loss):
            raise TrainingError(f"The loss of epoch {number} is {loss}. Lower the learning rate or clip gradients.")
        seconds = time.perf_counter() - started
        waited = np.array([totals.seconds_without_data, self._seconds_for_ranks(totals)]) / seconds
        shares = self._world.total(waited) / self._world.size
        entry: EpochEntry = {
            "epoch": number,
            "train_loss": loss,
            "validation": self._evaluated(),
            "seconds": round(seconds, 3),
            "rows_per_second": round(totals.rows / seconds, 1),
            "data_wait_share": round(float(shares[0]), 4),
            "rank_wait_share": round(float(shares[1]), 4),
            "batch_sizes": self.batch_sizes.upcoming.tolist(),
            "balance": totals.decisions,
        }
        self.history.append(entry)
        self._keep_best(entry)
        return entry

    def state(self) -> State:
        """Everything needed to continue after the last step; a collective call: all ranks must make it."""
        totals, batch_sizes = self._totals, self.batch_sizes.state()  # which reads the clock
        sums = self._world.gathered(
            np.array([float(totals.loss_sum), totals.seconds_without_data, self._seconds_for_ranks(totals)])
        )
        values: dict[str, Any] = {
            "step": totals.step,
            "rows": totals.rows,
            "seconds": totals.seconds,
            "sums": sums.tolist(),
            "decisions": [*totals.decisions],
            "history": [*self.history],
            "best": {"epoch": self.best.epoch, "loss": self.best.loss if self.best.epoch else None},
        }
        own = State(values, dict(self.best.weights))
        return State.joined({"trainer": own, "stepper": self._stepper.state(), "batch_sizes": batch_sizes})

    def restore(self, state: State) -> None:
        """Continue from what `state` returned, possibly on another number of ranks."""
        own = state.part("trainer")
        values = own.values
        sums = np.array(values["sums"])
        if len(sums) != self._world.size:  # the loss of all former ranks is the first one's, their mean wait each one's
            means = np.tile(sums.mean(axis=0), (self._world.size, 1))
            means[:, 0] = np.where(np.arange(self._world.size) == 0, sums[:, 0].sum(), 0.0)
            sums = means
        loss_sum, without_data, for_ranks = sums[self._world.rank].tolist()
        self._totals = EpochTotals(
            torch.tensor(loss_sum, dtype=torch.float64, device=self._world.device),
            values["step"],
            values["rows"],
            values["seconds"],
            without_data,
            for_ranks - self.batch_sizes.seconds[1],
            [*values["decisions"]],
        )
        self.history = [*values["history"]]
        weights = {name: tensor.clone() for name, tensor in own.tensors.items()}
        loss = values["best"]["loss"]
        self.best = Best(values["best"]["epoch"], math.inf if loss is None else loss, weights)
        self._stepper.restore(state.part("stepper"))
        self.batch_sizes.restore(state.part("batch_sizes"))

    def _no_totals(self) -> EpochTotals:
        loss_sum = torch.zeros((), dtype=torch.float64, device=self._world.device)
        return EpochTotals(loss_sum, rank_wait_offset=-float(self.batch_sizes.seconds[1]))

    def _seconds_for_ranks(self, totals: EpochTotals) -> float:
        return totals.rank_wait_offset + float(self.batch_sizes.seconds[1])

    def _steps(self, number: int, started: float) -> None:
        """Take the remaining steps of an epoch."""
        self.net.train()
        epoch, totals, progress = self._epoch_of(number), self._totals, Throttle(self._emit)
        before = (number - 1) * epoch.steps
        batches = PrefetchedBatches(
            epoch, self._world, lambda step: self.batch_sizes.sizes_at(before + step), first=totals.step
        )
        without_data = totals.seconds_without_data
        for batch, step_rows in batches:
            totals.loss_sum += self._stepper(batch, step_rows)
            totals.step += 1
            totals.rows += step_rows
            self._decide(number, len(batch[0]), epoch.steps)
            totals.seconds = time.perf_counter() - started
            totals.seconds_without_data = without_data + batches.seconds_waited
            progress({"kind": "progress", "epoch": number, "step": totals.step, "steps": epoch.steps})
            self._after_step(self)

    def _decide(self, number: int, rows: int, steps: int) -> None:
        """Update batch sizes after a step with `rows` rows of this rank; some decisions go into the history."""
        totals = self._totals
        decision = self.batch_sizes.after_step(rows, epoch_ends=totals.step == steps)
        if decision:
            self._emit({"kind": "balance", "epoch": number, **decision})
            if decision["moved"] or totals.step * _DECISIONS_KEPT >= len(totals.decisions) * steps:
                totals.decisions.append(decision)

    def _keep_best(self, entry: EpochEntry) -> None:
        loss = _log_loss(entry)
        if loss is None or self._options.keep == "last":
            loss = -float(entry["epoch"])
        if loss < self.best.loss:
            weights = {name: tensor.detach().clone() for name, tensor in self.net.state_dict().items()}
            self.best = Best(entry["epoch"], loss, weights)

    def _is_finished(self) -> bool:
        """Whether the validation loss is low enough, or has not fallen for long enough, to end the training."""
        losses = [loss for entry in self.history if (loss := _log_loss(entry)) is not None]
        target, patience = self._options.target_loss, self._options.patience
        if not losses:
            return False
        if target is not None and losses[-1] <= target:
            return True
        return patience is not None and len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience])

    def _evaluated(self) -> Measures | None:
        if not len(self._validation):
            return None
        return evaluate(self.net, self._validation, self._world, sizes=self.batch_sizes.upcoming)


def _log_loss(entry: EpochEntry) -> float | None:
    return entry["validation"] and entry["validation"]["log_loss"]
