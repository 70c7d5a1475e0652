"""How the gradients of all ranks are added up: as they are, narrower, by factors of low rank, or row by row.

DDP calls a hook for each bucket of gradients that is ready, while the backward pass goes on. Its own mean over the
ranks would be wrong for unequal batches: the hooks here sum, and losses were divided by the rows of the whole step.
"""

from __future__ import annotations

import contextlib

import torch
from torch import Tensor, distributed, nn
from torch.distributed.algorithms.ddp_comm_hooks import powerSGD_hook
from torch.nn.parallel import DistributedDataParallel

from sentispark.train.clock import StepClock
from sentispark.train.world import World

__all__ = ["Reducer"]

# PowerSGD (Vogels et al. 2019, arXiv:1905.13727): the rank of its factors, and the steps before it sets in.
_POWERSGD_RANK, _POWERSGD_STEPS_BEFORE = 4, 50


class Reducer:
    """A net whose backward pass leaves the sum of all ranks' gradients, on each of them.

    Parameters
    ----------
    net : nn.Module
        The same weights on every rank.
    world : World
        Joined.
    clock : StepClock
        Is told when this rank's own gradients are done, and when the sum is.
    wire : {"float32", "float16", "bfloat16", "powersgd", "rows"}
        What travels: gradients as they are; rounded; low-rank factors of matrices, the error kept for the next step;
        or, of the embedding, the rows of those words alone that occur on any rank, which gives the same sums.

    Attributes
    ----------
    module : nn.Module
        To call in place of the net.
    """

    def __init__(self, net: nn.Module, world: World, clock: StepClock, wire: str) -> None:
        self._clock, self._rows = clock, None
        self.module = net
        if world.size == 1:
            return
        if wire == "rows":
            self._rows = _RowSum(net.embedding.weight, clock)
            DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(net, ["embedding.weight"])
        self.module = DistributedDataParallel(
            net, device_ids=[world.device] if world.device.type == "cuda" else None, gradient_as_bucket_view=True
        )
        self.module.register_comm_hook(*_hook(clock, wire, world.size))

    def begin(self, sequence: Tensor) -> None:
        """A step begins, of these token ids."""
        if self._rows:
            self._rows.begin(sequence)

    def held_back(self) -> contextlib.AbstractContextManager[None]:
        """Backward passes in this context only add to the rank's own gradients."""
        return self.module.no_sync() if isinstance(self.module, DistributedDataParallel) else contextlib.nullcontext()

    def finish(self) -> None:
        """The last backward pass of the step is over."""
        if self._rows:
            self._rows.finish()
        elif not isinstance(self.module, DistributedDataParallel):
            self._clock.computed()
        self._clock.summed()


class _RowSum:
    """The sum of an embedding's gradients over the rows that any rank has a gradient for."""

    def __init__(self, weight: nn.Parameter, clock: StepClock) -> None:
        self._weight = weight
        self._used = torch.zeros(len(weight), dtype=torch.uint8, device=weight.device)
        # The embedding's gradient is the last; the end of the backward pass is later, as it waits for the other ranks.
        weight.register_post_accumulate_grad_hook(lambda _: clock.computed())

    def begin(self, sequence: Tensor) -> None:
        # Which rows these are the ranks tell each other while they compute.
        self._used.zero_()
        self._used[sequence.reshape(-1).long()] = 1
        self._told = distributed.all_reduce(self._used, distributed.ReduceOp.MAX, async_op=True)

    def finish(self) -> None:
        self._told.wait()
        rows = self._used.nonzero().squeeze(1)
        summed = self._weight.grad.index_select(0, rows)
        distributed.all_reduce(summed)
        self._weight.grad.index_copy_(0, rows, summed)


def _hook(clock: StepClock, wire: str, ranks: int):
    """The state and the hook for DDP. Hooks have no annotations: DDP refuses them as text, and asks for no others."""
    if wire == "powersgd":
        state = powerSGD_hook.PowerSGDState(
            None, matrix_approximation_rank=_POWERSGD_RANK, start_powerSGD_iter=_POWERSGD_STEPS_BEFORE
        )

        def factors(state, bucket):
            clock.computed()
            return powerSGD_hook.powerSGD_hook(state, bucket).then(lambda mean: mean.value() * ranks)

        return state, factors

    dtype = {"float16": torch.float16, "bfloat16": torch.bfloat16}.get(wire)

    def plain(_state, bucket):
        clock.computed()
        buffer = bucket.buffer()
        sent = buffer if dtype is None else buffer.to(dtype)
        work = distributed.all_reduce(sent, async_op=True)
        return work.get_future().then(lambda done: _into(buffer, done.value()[0]))

    return None, plain


def _into(buffer: Tensor, summed: Tensor) -> Tensor:
    return summed if summed.data_ptr() == buffer.data_ptr() else buffer.copy_(summed)
