"""One step: the loss of the local rows, gradients summed over the ranks, and the same change of weights on each.

Every rank divides the sum of its rows' losses by the rows of the whole step, and gradients are added up. DDP's own
mean over the ranks would be wrong for unequal batches; its comm hook is where the sum takes the mean's place.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from sentispark.dataset.batches import Batch
from sentispark.train.config import TrainOptions
from sentispark.train.schedule import learning_rate_factor
from sentispark.train.world import World

__all__ = ["Stepper", "to_tensors"]


def to_tensors(batch: Batch, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A batch as tensors on a device."""
    return tuple(torch.from_numpy(column).to(device, non_blocking=True) for column in batch)


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
    ) -> None:
        self._world = world
        self._net = net if world.size == 1 else _summing(net, world)
        self._optimizer = _optimizer(net, options)
        self._schedule = torch.optim.lr_scheduler.LambdaLR(
            self._optimizer,
            lambda step: learning_rate_factor(
                min(step, steps - 1), steps, schedule=options.schedule, warmup_share=options.warmup_share
            ),
        )
        self._clip = None if options.gradient_clip == "none" else options.gradient_clip
        self._positive_weight = torch.tensor(positive_weight, device=world.device)
        self._mean_weight = mean_weight

    def __call__(self, batch: Batch, step_rows: int) -> Tensor:
        """Take one step.

        Parameters
        ----------
        batch : Batch
            This rank's rows, maybe none.
        step_rows : int
            The rows of all ranks in this step.

        Returns
        -------
        Tensor of shape (), on the rank's device
            The sum of the weighted losses of this rank's rows.
        """
        sequence, length, label, weight = to_tensors(batch, self._world.device)
        losses = functional.binary_cross_entropy_with_logits(
            self._net(sequence, length), label, reduction="none", pos_weight=self._positive_weight
        )
        loss_sum = (losses * weight).sum() / self._mean_weight
        self._optimizer.zero_grad(set_to_none=True)
        (loss_sum / step_rows).backward()
        if self._clip is not None:
            nn.utils.clip_grad_norm_(self._net.parameters(), self._clip)
        self._optimizer.step()
        self._schedule.step()
        return loss_sum.detach()


def _summing(net: nn.Module, world: World) -> DistributedDataParallel:
    parallel = DistributedDataParallel(net, device_ids=[world.device] if world.device.type == "cuda" else None)
    parallel.register_comm_hook(None, _sum_bucket)
    return parallel


def _sum_bucket(_state, bucket):  # without annotations: DDP refuses them as text, and asks for no others
    """DDP's comm hook: the sum of a bucket over the ranks."""
    work = distributed.all_reduce(bucket.buffer(), async_op=True)
    return work.get_future().then(lambda future: future.value()[0])


def _optimizer(net: nn.Module, options: TrainOptions) -> torch.optim.Optimizer:
    if options.optimizer == "sgd":
        return torch.optim.SGD(
            net.parameters(), lr=options.learning_rate, momentum=options.momentum, weight_decay=options.weight_decay
        )
    return torch.optim.AdamW(net.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay, fused=True)
