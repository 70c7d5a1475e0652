"""The state of a training as a value: everything needed to continue it later with the same result."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from torch import Tensor

__all__ = ["State"]


@dataclasses.dataclass(frozen=True)
class State:
    """The state of one object, or of several objects by name.

    It does not contain what follows from (seed, epoch, step, rank): the rows of a step, their order, and dropout.

    Attributes
    ----------
    values : dict
        Values that JSON can hold; the same on every rank, except measured times.
    tensors : dict of str to Tensor
        The same on every rank. These are the live tensors of the training, not copies: the next step changes them in
        place, so a caller that keeps them must copy them.
    own : dict of str to Tensor
        Live tensors that only this rank has; a different number of ranks continues without them.
    """

    values: dict[str, Any] = dataclasses.field(default_factory=dict)
    tensors: dict[str, Tensor] = dataclasses.field(default_factory=dict)
    own: dict[str, Tensor] = dataclasses.field(default_factory=dict)

    @classmethod
    def joined(cls, parts: Mapping[str, State]) -> State:
        """The states of several objects as one; names must not contain a slash.

        >>> State.joined({"net": State({"step": 3}), "rule": State()}).part("net").values
        {'step': 3}
        """
        return cls(
            {name: part.values for name, part in parts.items()},
            {f"{name}/{key}": tensor for name, part in parts.items() for key, tensor in part.tensors.items()},
            {f"{name}/{key}": tensor for name, part in parts.items() for key, tensor in part.own.items()},
        )

    def part(self, name: str) -> State:
        """The state of one of the objects that were joined."""
        return State(self.values[name], _below(name, self.tensors), _below(name, self.own))


def _below(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{name}/"
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
