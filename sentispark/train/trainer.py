"""Epochs of steps and evaluations, on one rank among others that do the same."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sentispark.dataset.plan import even_sizes
from sentispark.dataset.store import RowStore
from sentispark.errors import TrainingError
from sentispark.evaluate.metrics import Tally, measures, tally
from sentispark.train.config import TrainOptions
from sentispark.train.data import epoch_steps, evaluation_batches, training_batches
from sentispark.train.events import Emit, Throttle
from sentispark.train.step import Stepper, to_tensors
from sentispark.train.world import World

__all__ = ["evaluate", "train"]

EVALUATION_BATCH = 512


def train(
    net: nn.Module, stepper: Stepper, stores: dict[str, RowStore], options: TrainOptions, world: World, emit: Emit
) -> tuple[list[dict[str, Any]], dict[str, Tensor], int]:
    """Train the net for all epochs.

    Parameters
    ----------
    net : ReviewLSTM
        The same weights on every rank.
    stepper : Stepper
        Made of that net.
    stores : dict of str to RowStore
        `train`, and `validation`, which may have no rows.
    options : TrainOptions
    world : World
        Joined.
    emit : callable
        Takes events; only the first rank's should reach anybody.

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
    for epoch in range(1, options.max_epochs + 1):
        entry = _train_epoch(net, stepper, stores["train"], options, world, emit, epoch)
        entry["validation"] = evaluate(net, stores["validation"], world) if len(stores["validation"]) else None
        history.append(entry)
        emit({"kind": "epoch", **entry})
        loss = entry["validation"]["log_loss"] if entry["validation"] and options.keep == "best" else -epoch
        if loss < best:
            best, kept = loss, epoch
            state = {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}
    return history, state, kept


def _train_epoch(
    net: nn.Module, stepper: Stepper, store: RowStore, options: TrainOptions, world: World, emit: Emit, epoch: int
) -> dict[str, Any]:
    started = time.perf_counter()
    net.train()
    progress = Throttle(emit)
    steps = epoch_steps(len(store), options.batch_size)
    loss_sum = torch.zeros((), dtype=torch.float64, device=world.device)
    batches = training_batches(
        store,
        rank=world.rank,
        ranks=world.size,
        global_batch=options.batch_size,
        seed=options.seed,
        epoch=epoch,
        trim=net.trims,
    )
    for step, (batch, step_rows) in enumerate(batches, start=1):
        loss_sum += stepper(batch, step_rows)
        progress({"kind": "progress", "epoch": epoch, "step": step, "steps": steps})
    loss = float(world.total(np.array([float(loss_sum)]))[0]) / len(store)
    if not math.isfinite(loss):
        raise TrainingError(f"The loss of epoch {epoch} is {loss}. Lower the learning rate or clip gradients.")
    seconds = time.perf_counter() - started
    return {
        "epoch": epoch,
        "train_loss": loss,
        "validation": None,
        "seconds": round(seconds, 3),
        "rows_per_second": round(len(store) / seconds, 1),
        "batch_sizes": even_sizes(options.batch_size, world.size).tolist(),
    }


@torch.no_grad()
def evaluate(net: nn.Module, store: RowStore, world: World) -> dict[str, Any]:
    """The measures of the net on all rows of a store, each rank judging its share; the same on every rank."""
    net.eval()
    own = Tally.empty()
    for batch in evaluation_batches(
        store, rank=world.rank, ranks=world.size, batch_rows=EVALUATION_BATCH, trim=net.trims
    ):
        sequence, length, _, _ = to_tensors(batch, world.device)
        own = own + tally(net(sequence, length).float().cpu().numpy(), batch.label)
    return measures(Tally.from_array(world.total(own.to_array())))
