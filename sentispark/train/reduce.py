"""How the gradients of all ranks are added up: as they are, rounded, as low-rank factors, or row by row.

DDP calls a hook for each bucket of gradients that is ready, while the backward pass goes on. Its own mean over the
ranks would be wrong for unequal batches: the hooks here sum, and losses were divided by the rows of the whole step.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Protocol, cast

import torch
from torch import Tensor, distributed, nn
from torch.distributed import GradBucket  # type: ignore[attr-defined]  # torch exports it and does not say so
from torch.distributed.algorithms.ddp_comm_hooks.powerSGD_hook import PowerSGDState, powerSGD_hook
from torch.nn.parallel import DistributedDataParallel

from sentispark.nn.net import Net
from sentispark.train.clock import StepClock
from sentispark.train.row_sums import RowSums, row_tables
from sentispark.train.state import State
from sentispark.train.world import World

__all__ = ["Reducer", "chosen_wire"]

# PowerSGD (Vogels et al. 2019, arXiv:1905.13727): the rank of its factors, and the steps before it starts.
_POWERSGD_RANK, _POWERSGD_STEPS_BEFORE = 4, 50


def chosen_wire(wire: str, backend: str) -> str:
    """What is sent for "auto": rows over gloo, whole gradients over NCCL.

    The choice never depends on timing, so trainings are reproducible. Over gloo, which copies
    everything several times, rows are faster even on one host.
    """
    if wire != "auto":
        return wire
    return "rows" if backend == "gloo" else "float32"


class Reducer:
    """A net whose backward pass leaves the sum of all ranks' gradients, on each of them.

    The sum is taken in the same order in every step, in every run and after a restart. With three ranks or more that
    order depends on where a gradient lies in DDP's buckets, and DDP rebuilds these after its first backward pass. So
    that pass is done on a made-up row, before the first step.

    Parameters
    ----------
    net : Net
        The same weights on every rank.
    world : World
        Joined.
    clock : StepClock
        Records when this rank's own gradients are done, and when the sum is.
    wire : str
        What is sent: gradients as they are ("float32") or rounded; low-rank factors of matrices, with the error kept
        for the next step ("powersgd"); or, of tables with a row for each word or pair, only the rows of those that
        occur on any rank, as they are ("rows", which gives the same sums) or rounded ("rows_bfloat16"); or "auto".

    Attributes
    ----------
    module : Net
        The module to call in place of the net.
    """

    def __init__(self, net: Net, world: World, clock: StepClock, wire: str) -> None:
        self._clock = clock
        self.module: Net = net
        self._rows: RowSums | None = None
        self._hook: _BucketHook | None = None
        if world.size == 1:
            return
        wire = chosen_wire(wire, world.backend)
        dtype, tables = _DTYPES.get(wire.removeprefix("rows_")), row_tables(net) if wire.startswith("rows") else []
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(net, tables)  # type: ignore[no-untyped-call]
        self._hook = _BucketHook(_PowerSgd(world) if wire == "powersgd" else _Plain(dtype), clock)
        self._parallel = DistributedDataParallel(
            cast(nn.Module, net),
            device_ids=[world.device] if world.device.type == "cuda" else None,
            gradient_as_bucket_view=True,
        )
        self._parallel.register_comm_hook(None, self._hook.on_bucket)
        self.module = cast(Net, self._parallel)
        self._settle_buckets(world.device)
        self._hook.settled = True
        if tables:
            self._rows = RowSums(net, tables, clock, dtype)

    def _settle_buckets(self, device: torch.device) -> None:
        one = torch.ones((1, 1), dtype=torch.int32, device=device)
        self.module(one, one[0]).sum().backward()  # type: ignore[no-untyped-call]
        for parameter in self.module.parameters():
            parameter.grad = None

    def begin(self, sequence: Tensor) -> None:
        """A step with these token ids begins."""
        if self._rows:
            self._rows.begin(sequence)

    def no_sync(self) -> contextlib.AbstractContextManager[None]:
        """Backward passes in this context only add to the rank's own gradients."""
        return self._parallel.no_sync() if self._hook else contextlib.nullcontext()

    def finish(self) -> None:
        """The last backward pass of the step is over."""
        if self._rows:
            self._rows.finish()
        elif not self._hook:
            self._clock.computed()
        self._clock.summed()

    def state(self) -> State:
        """What is carried from step to step: the factors of PowerSGD, and each rank's own errors."""
        return self._hook.wire.state() if self._hook else State()

    def restore(self, state: State) -> None:
        """Continue from what `state` returned."""
        if self._hook:
            self._hook.wire.restore(state)


_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


class _Wire(Protocol):
    """How the gradients of a bucket are sent."""

    def sum(self, bucket: GradBucket) -> torch.futures.Future[Tensor]:
        """A future of the sum over all ranks."""
        ...

    def state(self) -> State: ...
    def restore(self, state: State) -> None: ...


class _BucketHook:
    """The hook that DDP calls. It has no reference to DDP, which must be deleted before the process group."""

    def __init__(self, wire: _Wire, clock: StepClock) -> None:
        self.wire, self._clock, self.settled = wire, clock, False

    # DDP refuses annotations that are strings, and does not require any.
    def on_bucket(self, _state, bucket):  # type: ignore[no-untyped-def]
        """The future sum of a bucket's gradients; until the buckets are settled, the bucket unchanged."""
        if not self.settled:
            done: torch.futures.Future[Tensor] = torch.futures.Future()
            done.set_result(bucket.buffer())
            return done
        self._clock.computed()
        return self.wire.sum(bucket)


class _Plain:
    """Gradients as they are, or rounded to a type."""

    def __init__(self, dtype: torch.dtype | None) -> None:
        self._dtype = dtype

    def sum(self, bucket: GradBucket) -> torch.futures.Future[Tensor]:
        buffer = bucket.buffer()
        sent = buffer if self._dtype is None else buffer.to(self._dtype)
        work = distributed.all_reduce(sent, async_op=True)
        sums: torch.futures.Future[Tensor] = work.get_future().then(lambda done: _into(buffer, done.value()[0]))
        return sums

    def state(self) -> State:
        return State()

    def restore(self, state: State) -> None:
        pass


class _PowerSgd:
    """Low-rank factors; what they leave out is added to the next step's gradients."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._state = PowerSGDState(
            None, matrix_approximation_rank=_POWERSGD_RANK, start_powerSGD_iter=_POWERSGD_STEPS_BEFORE
        )

    def sum(self, bucket: GradBucket) -> torch.futures.Future[Tensor]:
        return powerSGD_hook(self._state, bucket).then(lambda mean: mean.value() * self._world.size)

    def state(self) -> State:
        factors = {"p": self._state.p_memory_dict, "q": self._state.q_memory_dict}
        return State(
            {"steps": self._state.iter},
            {f"{kind}{index}": tensor for kind, each in factors.items() for index, tensor in each.items()},
            {str(index): tensor for index, tensor in self._state.error_dict.items()},
        )

    def restore(self, state: State) -> None:
        self._state.iter = state.values.get("steps", 0)
        self._state.p_memory_dict = self._numbered(state.tensors, "p")
        self._state.q_memory_dict = self._numbered(state.tensors, "q")
        self._state.error_dict = self._numbered(state.own, "")

    def _numbered(self, tensors: Mapping[str, Tensor], kind: str) -> dict[int, Tensor]:
        """Copies of the tensors of one kind by the number of their bucket, on this rank's device."""
        return {
            int(name.removeprefix(kind)): tensor.to(self._world.device, copy=True)
            for name, tensor in tensors.items()
            if name.startswith(kind)
        }


def _into(buffer: Tensor, summed: Tensor) -> Tensor:
    return summed if summed.data_ptr() == buffer.data_ptr() else buffer.copy_(summed)
