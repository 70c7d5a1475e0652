"""One optimizer for each of a net's parameter groups, and the learning rate of every step."""

from __future__ import annotations

import functools
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from sentispark.nn.net import Net
from sentispark.train.options import OptimizerOptions
from sentispark.train.schedule import learning_rate_factor, scaled_to_batch
from sentispark.train.state import State

__all__ = ["Optimizers", "optimizers_of", "takes_fused"]


class Optimizers:
    """The optimizers of a net and their schedule.

    Parameters
    ----------
    net : Net
    options : OptimizerOptions
    batch_size : int
        The rows of a step, over all ranks.
    steps : int
        Steps of the whole training.
    """

    def __init__(self, net: Net, options: OptimizerOptions, *, batch_size: int, steps: int) -> None:
        rate, self._warmup_share = scaled_to_batch(
            options.learning_rate,
            options.warmup_share,
            batch_size=batch_size,
            base_batch_size=options.base_batch_size,
            scaling=options.learning_rate_scaling,
        )
        self._net, self._schedule, self._clip, self._steps = net, options.schedule, options.gradient_clip, steps
        self._each = optimizers_of(net, options, rate)
        self._highest_rates = [each.param_groups[0]["lr"] for each in self._each]

    def zero_grad(self) -> None:
        """Drop the gradients."""
        for each in self._each:
            each.zero_grad(set_to_none=True)

    def step(self, step: int) -> None:
        """Clip the gradients and change the weights; `step` counts over the whole training from 0."""
        if self._clip is not None:
            nn.utils.clip_grad_norm_(self._net.parameters(), self._clip)
        factor = learning_rate_factor(
            min(step, self._steps - 1), self._steps, schedule=self._schedule, warmup_share=self._warmup_share
        )
        for each, highest in zip(self._each, self._highest_rates, strict=True):
            each.param_groups[0]["lr"] = highest * factor
            each.step()

    def state(self) -> State:
        """What the optimizers have accumulated for each parameter: averages, sums and counts of steps."""
        names = {parameter: name for name, parameter in self._net.named_parameters()}
        return State(
            tensors={
                f"{names[parameter]}:{key}": tensor.detach()
                for each in self._each
                for parameter, slots in _slots(each).items()
                for key, tensor in slots.items()
                if tensor is not None
            }
        )

    def restore(self, state: State) -> None:
        """Continue from what `state` returned."""
        slots: dict[str, dict[str, Tensor]] = {}
        for key_of_tensor, tensor in state.tensors.items():
            name, key = key_of_tensor.rsplit(":", 1)
            slots.setdefault(name, {})[key] = tensor
        names = {parameter: name for name, parameter in self._net.named_parameters()}
        for each in self._each:
            group = each.state_dict()["param_groups"]
            own: list[str] = [names[parameter] for parameter in each.param_groups[0]["params"]]
            each.load_state_dict(
                {
                    "state": {index: _copied(slots[name]) for index, name in enumerate(own) if name in slots},
                    "param_groups": group,
                }
            )


def _slots(optimizer: Optimizer) -> dict[nn.Parameter, dict[str, Tensor | None]]:
    """What an optimizer has accumulated for each parameter; momentum is None before the first step."""
    return cast("dict[nn.Parameter, dict[str, Tensor | None]]", optimizer.state)


def _copied(slots: dict[str, Tensor]) -> dict[str, Tensor]:
    return {key: tensor.clone() for key, tensor in slots.items()}


def optimizers_of(net: Net, options: OptimizerOptions, rate: float) -> list[Optimizer]:
    """One optimizer for each parameter group: Adagrad for "wide", as most of its weights rarely have a gradient.

    AdamW keeps moving a weight for many steps after its only gradient, about 30 times as far as Adagrad (Duchi et al.
    2011) with the same learning rate.

    Parameters
    ----------
    net : Net
    options : OptimizerOptions
    rate : float
        The highest learning rate of the group "deep"; that of "wide" keeps its ratio to it.
    """
    return [_optimizer(name, parameters, options, rate) for name, parameters in net.parameter_groups().items()]


def _optimizer(group: str, parameters: list[nn.Parameter], options: OptimizerOptions, rate: float) -> Optimizer:
    if group == "wide":
        return _fastest(torch.optim.Adagrad, parameters, lr=options.wide_learning_rate * rate / options.learning_rate)
    if options.optimizer == "sgd":
        return torch.optim.SGD(parameters, lr=rate, momentum=options.momentum, weight_decay=options.weight_decay)
    return _fastest(torch.optim.AdamW, parameters, lr=rate, weight_decay=options.weight_decay)


def _fastest(kind: type[Optimizer], parameters: list[nn.Parameter], **options: Any) -> Optimizer:
    devices = {parameter.device for parameter in parameters}
    fused = all(takes_fused(kind, device) for device in devices)  # type: ignore[arg-type]  # the class has a hash
    return kind(parameters, fused=fused, **options)  # type: ignore[call-arg]  # subclasses have it


@functools.cache
def takes_fused(kind: type[Optimizer], device: torch.device) -> bool:
    """Whether this torch has a fused kernel of an optimizer for a device: only taking a step shows it."""
    one = nn.Parameter(torch.zeros(1, device=device))
    one.grad = torch.zeros_like(one)
    try:
        kind([one], fused=True).step()  # type: ignore[call-arg]
    except (RuntimeError, NotImplementedError, TypeError):
        return False
    return True
