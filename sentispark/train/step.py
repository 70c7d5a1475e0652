"""One step: the loss of the local rows, gradients summed over the ranks, and the same change of weights on each.

Every rank divides the sum of its rows' losses by the rows of the whole step, and gradients are added up.
"""

from __future__ import annotations

import functools

import torch
from torch import Tensor, nn
from torch.nn import functional

from sentispark.dataset.batches import Batch
from sentispark.train.clock import StepClock
from sentispark.train.config import TrainOptions
from sentispark.train.precision import autocast
from sentispark.train.reduce import Reducer
from sentispark.train.schedule import learning_rate_factor, scaled_to_batch
from sentispark.train.slowdown import Slowdown
from sentispark.train.world import World

__all__ = ["Stepper", "Tensors", "optimizers_of", "takes_fused", "to_tensors"]

# A batch's sequence, length, label and weight.
Tensors = tuple[Tensor, Tensor, Tensor, Tensor]


def to_tensors(batch: Batch, device: torch.device) -> Tensors:
    """A batch as tensors on a device; a GPU fetches them by itself, without anybody waiting."""
    columns = (torch.from_numpy(column) for column in batch)
    if device.type == "cpu":
        return tuple(columns)
    return tuple(column.pin_memory().to(device, non_blocking=True) for column in columns)


class Stepper:
    """The net, its optimizer and its schedule.

    Parameters
    ----------
    net : nn.Module
        `(sequence, length) -> logits`, the same weights on every rank.
    options : TrainOptions
    world : World
        Joined.
    steps : int
        Steps of the whole training.
    positive_weight : float
        Factor of a positive row's loss.
    mean_weight : float
        Mean weight of the dataset's rows; weights are divided by it, so that their scale does not matter.
    slowdown : Slowdown, optional
        For measuring: what steps take longer.

    Attributes
    ----------
    clock : StepClock
        Of all steps that were taken.
    """

    def __init__(
        self,
        net: nn.Module,
        options: TrainOptions,
        world: World,
        *,
        steps: int,
        positive_weight: float = 1.0,
        mean_weight: float = 1.0,
        slowdown: Slowdown | None = None,
    ) -> None:
        self.clock = StepClock(world.device)
        self._reducer = Reducer(net, world, self.clock, options.wire)
        rate, warmup_share = scaled_to_batch(
            options.learning_rate,
            options.warmup_share,
            batch_size=options.batch_size,
            base_batch_size=options.base_batch_size,
            scaling=options.learning_rate_scaling,
        )
        self._optimizers = optimizers_of(net, options, rate)

        def factor(step: int) -> float:
            return learning_rate_factor(
                min(step, steps - 1), steps, schedule=options.schedule, warmup_share=warmup_share
            )

        self._schedules = [torch.optim.lr_scheduler.LambdaLR(each, factor) for each in self._optimizers]
        self._clip = None if options.gradient_clip == "none" else options.gradient_clip
        self._positive_weight = torch.tensor(positive_weight, device=world.device)
        self._mean_weight, self._smoothing = mean_weight, options.label_smoothing
        self._slowdown, self._step = slowdown or Slowdown(), 0
        self._precision = options.precision
        self._part_rows = options.batch_size if options.part_size == "none" else options.part_size

    def __call__(self, batch: Tensors, step_rows: int) -> Tensor:
        """Take one step.

        Parameters
        ----------
        batch : tuple of Tensor
            This rank's rows, maybe none, from `to_tensors`.
        step_rows : int
            The rows of all ranks in this step.

        Returns
        -------
        Tensor of shape (), on the rank's device
            The sum of the weighted losses of this rank's rows.
        """
        self.clock.begin()
        self._slowdown.wait(self._step, len(batch[0]))
        self._reducer.begin(batch[0])
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
        *first, last = zip(*(column.split(self._part_rows) for column in batch), strict=True)
        with self._reducer.held_back():
            sums = [self._backward(part, step_rows) for part in first]
        sums.append(self._backward(last, step_rows))
        self._reducer.finish()
        if self._clip is not None:
            nn.utils.clip_grad_norm_(self._reducer.module.parameters(), self._clip)
        for optimizer, schedule in zip(self._optimizers, self._schedules, strict=True):
            optimizer.step()
            schedule.step()
        self._step += 1
        return torch.stack(sums).sum()

    def _backward(self, part: Tensors, step_rows: int) -> Tensor:
        """Add the gradients of some rows; gives the sum of their losses."""
        sequence, length, label, weight = part
        label = label * (1 - self._smoothing) + 0.5 * self._smoothing
        with autocast(sequence.device, self._precision):
            logits = self._reducer.module(sequence, length)
        losses = functional.binary_cross_entropy_with_logits(
            logits.to(label.dtype), label, reduction="none", pos_weight=self._positive_weight
        )
        loss_sum = (losses * weight).sum() / self._mean_weight
        (loss_sum / step_rows).backward()
        return loss_sum.detach()


def optimizers_of(net: nn.Module, options: TrainOptions, rate: float) -> list[torch.optim.Optimizer]:
    """One for the net, and Adagrad for its linear part: few steps have a gradient for most of its weights.

    AdamW goes on moving a weight for many steps after its only gradient, some 30 times as far as Adagrad (Duchi et al.
    2011) with the same learning rate.
    """
    wide = [parameter for name, parameter in net.named_parameters() if name.startswith("wide.")]
    deep = [parameter for name, parameter in net.named_parameters() if not name.startswith("wide.")]
    if options.optimizer == "sgd":
        first = torch.optim.SGD(deep, lr=rate, momentum=options.momentum, weight_decay=options.weight_decay)
    else:
        first = _fastest(torch.optim.AdamW, deep, lr=rate, weight_decay=options.weight_decay)
    scale = rate / options.learning_rate
    return [first, *([_fastest(torch.optim.Adagrad, wide, lr=options.wide_learning_rate * scale)] if wide else [])]


def _fastest(kind: type[torch.optim.Optimizer], parameters: list[nn.Parameter], **options) -> torch.optim.Optimizer:
    fused = all(takes_fused(kind, device) for device in {parameter.device for parameter in parameters})
    return kind(parameters, fused=fused, **options)


@functools.cache
def takes_fused(kind: type[torch.optim.Optimizer], device: torch.device) -> bool:
    """Whether this torch has an optimizer in one kernel for a device: it says so at a step, and not before."""
    one = nn.Parameter(torch.zeros(1, device=device))
    one.grad = torch.zeros_like(one)
    try:
        kind([one], fused=True).step()
    except (RuntimeError, NotImplementedError, TypeError):
        return False
    return True
