"""Epochs of steps and evaluations, on one rank among others that do the same."""

from __future__ import annotations

import dataclasses
import math
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sentispark.dataset.batches import Epoch
from sentispark.dataset.store import RowStore
from sentispark.errors import TrainingError
from sentispark.evaluate.metrics import Tally, measures, tally
from sentispark.train.config import TrainOptions
from sentispark.train.data import Ahead, evaluation_batches
from sentispark.train.events import Emit, Throttle
from sentispark.train.pace import Pace
from sentispark.train.step import Stepper, to_tensors
from sentispark.train.world import World

__all__ = ["Trainer", "evaluate"]

EVALUATION_BATCH = 512
# Of an epoch in the history, beside those that moved rows.
DECISIONS_KEPT = 50


@dataclasses.dataclass
class Trainer:
    """One rank's training.

    Attributes
    ----------
    net : ReviewLSTM
        The same weights on every rank.
    stepper : Stepper
        Made of that net.
    pace : Pace
        With the stepper's clock.
    stores : dict of str to RowStore
        `train`, and `validation`, which may have no rows.
    options : TrainOptions
    world : World
        Joined.
    emit : callable
        Takes events; only the first rank's should reach anybody.
    """

    net: nn.Module
    stepper: Stepper
    pace: Pace
    stores: dict[str, RowStore]
    options: TrainOptions
    world: World
    emit: Emit

    def train(self) -> tuple[list[dict[str, Any]], dict[str, Tensor], int]:
        """Train the net for all epochs.

        Returns
        -------
        history : list of dict
            One entry an epoch.
        state : dict of str to Tensor
            The weights that are kept.
        kept : int
            The epoch they are of, from 1.
        """
        history, best, state, kept = [], math.inf, {}, 0
        for epoch in range(1, self.options.max_epochs + 1):
            entry = self.epoch(epoch)
            history.append(entry)
            self.emit({"kind": "epoch", **entry})
            loss = entry["validation"]["log_loss"] if entry["validation"] and self.options.keep == "best" else -epoch
            if loss < best:
                best, kept = loss, epoch
                state = {name: tensor.detach().clone() for name, tensor in self.net.state_dict().items()}
            if self._enough(history):
                break
        return history, state, kept

    def epoch(self, number: int) -> dict[str, Any]:
        """Take the steps of one epoch and judge the net; gives the entry of the history."""
        started, waited_before = time.perf_counter(), self.pace.seconds[1]
        rows = len(self.stores["train"])
        loss_sum, waited_for_data, decisions = self._steps(number)
        loss = float(self.world.total(np.array([float(loss_sum)]))[0]) / rows
        if not math.isfinite(loss):
            raise TrainingError(f"The loss of epoch {number} is {loss}. Lower the learning rate or clip gradients.")
        seconds = time.perf_counter() - started
        waited = np.array([waited_for_data, self.pace.seconds[1] - waited_before]) / seconds
        shares = self.world.total(waited) / self.world.size
        return {
            "epoch": number,
            "train_loss": loss,
            "validation": self._validation(),
            "seconds": round(seconds, 3),
            "rows_per_second": round(rows / seconds, 1),
            "data_wait_share": round(float(shares[0]), 4),
            "rank_wait_share": round(float(shares[1]), 4),
            "batch_sizes": self.pace.sizes.tolist(),
            "balance": decisions,
        }

    def _steps(self, number: int) -> tuple[Tensor, float, list[dict[str, Any]]]:
        """The steps of an epoch: this rank's sum of losses, its seconds without data, and decisions on sizes."""
        self.net.train()
        options, progress, decisions = self.options, Throttle(self.emit), []
        epoch = Epoch(
            self.stores["train"],
            global_batch=options.batch_size,
            seed=options.seed,
            epoch=number,
            trim=self.net.trims,
        )
        batches = Ahead(epoch, self.world, self.pace.sizes)
        loss_sum = torch.zeros((), dtype=torch.float64, device=self.world.device)
        for step, (batch, step_rows) in enumerate(batches, start=1):
            loss_sum += self.stepper(batch, step_rows)
            decision = self.pace.stepped(len(batch[0]), epoch_ends=step == epoch.steps)
            batches.sizes = self.pace.sizes
            if decision:
                self.emit({"kind": "balance", "epoch": number, **decision})
                if decision["moved"] or step * DECISIONS_KEPT >= len(decisions) * epoch.steps:
                    decisions.append(decision)
            progress({"kind": "progress", "epoch": number, "step": step, "steps": epoch.steps})
        return loss_sum, batches.seconds_waited, decisions

    def _enough(self, history: list[dict[str, Any]]) -> bool:
        """Whether the validation loss is low enough, or has not fallen for long enough, to end the training."""
        losses = [entry["validation"]["log_loss"] for entry in history if entry["validation"]]
        target, patience = self.options.target_loss, self.options.patience
        if target != "none" and losses[-1] <= target:
            return True
        return patience != "none" and len(losses) > patience and min(losses[-patience:]) >= min(losses[:-patience])

    def _validation(self) -> dict[str, Any] | None:
        store = self.stores["validation"]
        return evaluate(self.net, store, self.world, sizes=self.pace.sizes) if len(store) else None


@torch.no_grad()
def evaluate(net: nn.Module, store: RowStore, world: World, *, sizes: np.ndarray | None = None) -> dict[str, Any]:
    """The measures of the net on all rows of a store, each rank judging its share; the same on every rank.

    Parameters
    ----------
    net : nn.Module
    store : RowStore
    world : World
        Joined.
    sizes : ndarray of shape (W,), optional
        The ranks' batch sizes, which tell how fast they are; None means equal ones.
    """
    net.eval()
    own = Tally.empty()
    sizes = np.ones(world.size, np.int64) if sizes is None else sizes
    for batch in evaluation_batches(store, rank=world.rank, sizes=sizes, batch_rows=EVALUATION_BATCH, trim=net.trims):
        sequence, length, _, _ = to_tensors(batch, world.device)
        own = own + tally(net(sequence, length).float().cpu().numpy(), batch.label)
    world.meet()  # a share may have to be read first
    return measures(Tally.from_array(world.total(own.to_array())))
