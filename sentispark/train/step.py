"""One step: the loss of the local rows, gradients summed over the ranks, and the same change of weights on each.

Every rank divides the sum of its rows' losses by the rows of the whole step, and gradients are added up.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from sentispark.dataset.batches import Batch
from sentispark.nn.net import Net
from sentispark.train.clock import StepClock
from sentispark.train.loss import WeightedLoss
from sentispark.train.optim import Optimizers
from sentispark.train.options import TrainOptions
from sentispark.train.precision import autocast
from sentispark.train.reduce import Reducer
from sentispark.train.state import State
from sentispark.train.world import World

__all__ = ["StepHook", "Stepper", "Tensors", "step_seed", "to_tensors"]

# A batch's sequence, length, label and weight.
Tensors = tuple[Tensor, Tensor, Tensor, Tensor]

# Called with a step, counted over the whole training from 0, and this rank's batch.
StepHook = Callable[[int, Tensors], None]


def to_tensors(batch: Batch, device: torch.device) -> Tensors:
    """A batch as tensors on a device; copies to a GPU are asynchronous."""
    sequence, length, label, weight = (_on(torch.from_numpy(column), device) for column in batch)
    return sequence, length, label, weight


def _on(column: Tensor, device: torch.device) -> Tensor:
    return column if device.type == "cpu" else column.pin_memory().to(device, non_blocking=True)


class Stepper:
    """Takes the steps of a training.

    Parameters
    ----------
    net : Net
        The same weights on every rank.
    options : TrainOptions
    world : World
        Joined.
    steps : int
        Steps of the whole training.
    loss : WeightedLoss
    before_step : callable, optional
        Called at the beginning of each step, within the time that counts as this rank's own.

    Attributes
    ----------
    clock : StepClock
        The clock of all steps that were taken.
    step : int
        The number of steps that were taken, over all epochs.
    """

    def __init__(
        self,
        net: Net,
        options: TrainOptions,
        world: World,
        *,
        steps: int,
        loss: WeightedLoss | None = None,
        before_step: StepHook | None = None,
    ) -> None:
        self.clock = StepClock(world.device)
        self._net, self._world, self.step = net, world, 0
        self._reducer = Reducer(net, world, self.clock, options.gradient_wire)
        self._optimizers = Optimizers(net, options, batch_size=options.batch_size, steps=steps)
        self._loss, self._before_step = loss or WeightedLoss(), before_step
        self._precision, self._seed = options.precision, options.seed
        self._micro_batch_rows = options.micro_batch_size or options.batch_size

    def __call__(self, batch: Tensors, step_rows: int) -> Tensor:
        """Take one step.

        Parameters
        ----------
        batch : tuple of Tensor
            This rank's rows, possibly none, from `to_tensors`.
        step_rows : int
            The rows of all ranks in this step.

        Returns
        -------
        Tensor of shape (), on the rank's device
            The sum of the weighted losses of this rank's rows.
        """
        self.clock.begin()
        if self._before_step:
            self._before_step(self.step, batch)
        torch.manual_seed(step_seed(self._seed, self.step, self._world.rank))
        self._reducer.begin(batch[0])
        self._optimizers.zero_grad()
        *first, last = zip(*(torch.split(column, self._micro_batch_rows) for column in batch), strict=True)
        with self._reducer.no_sync():
            sums = [self._backward(micro_batch, step_rows) for micro_batch in first]
        sums.append(self._backward(last, step_rows))
        self._reducer.finish()
        self._optimizers.step(self.step)
        self.step += 1
        return torch.stack(sums).sum()

    def _backward(self, micro_batch: Tensors, step_rows: int) -> Tensor:
        """Add the gradients of some rows; returns the sum of their losses."""
        sequence, length, label, weight = micro_batch
        with autocast(sequence.device, self._precision):
            logits = self._reducer.module(sequence, length)
        loss_sum = self._loss(logits, label, weight)
        (loss_sum / step_rows).backward()  # type: ignore[no-untyped-call]
        return loss_sum.detach()

    def state(self) -> State:
        """The weights, the states of optimizers and reducer, and the number of steps that were taken."""
        weights = {name: tensor.detach() for name, tensor in self._net.state_dict().items()}
        parts = {
            "weights": State({"step": self.step}, weights),
            "optimizers": self._optimizers.state(),
            "reducer": self._reducer.state(),
        }
        return State.joined(parts)

    def restore(self, state: State) -> None:
        """Continue from what `state` returned, possibly on another number of ranks."""
        weights = state.part("weights")
        self.step = weights.values["step"]
        self._net.load_state_dict(weights.tensors)
        self._optimizers.restore(state.part("optimizers"))
        self._reducer.restore(state.part("reducer"))


def step_seed(seed: int, step: int, rank: int) -> int:
    """The seed of the randomness in a rank's step, that is, of dropout.

    >>> step_seed(0, 1, 0) != step_seed(0, 0, 1)
    True
    """
    return int(np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)[0])
