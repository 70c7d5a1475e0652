"""The interface of a net for training, serving and export, and the function that builds every net."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from sentispark.nn.options import NetOptions

__all__ = ["Net", "build_net"]


class Net(Protocol):
    """A torch module: token ids and lengths in, one logit per row out.

    A logit depends only on its own row. All members except the first three are those of `nn.Module`.
    """

    @property
    def trims(self) -> bool:
        """Whether trailing columns that are padding in every row may be cut off without changing a logit."""
        ...

    @property
    def word_vectors(self) -> nn.Parameter | None:
        """The table of word vectors, of shape (vocabulary_size, embedding_size); None for a net without one."""
        ...

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """The parameters by the group they are trained in, "deep" or "wide"; each parameter is in one group."""
        ...

    def rows_used(self, sequence: Tensor) -> dict[str, Tensor]:
        """The rows that a batch uses of each parameter of which it uses only a few, by the parameter's name.

        Parameters
        ----------
        sequence : Tensor of shape (n, T), dtype=int16, int32 or int64

        Returns
        -------
        dict of Tensor, dtype=int64
            Indices along the first axis, of any shape and with repetitions. All other rows' gradients are 0.
        """
        ...

    def forward(self, sequence: Tensor, length: Tensor) -> Tensor:
        """The logits, float32 of shape (n,).

        Parameters
        ----------
        sequence : Tensor of shape (n, T), dtype=int16, int32 or int64
            Token ids, padded on the right; n and T may be 0.
        length : Tensor of shape (n,), dtype=int32 or int64
            Number of valid steps of each row, in [0, T].
        """
        ...

    def __call__(self, sequence: Tensor, length: Tensor) -> Tensor: ...
    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...
    def train(self, mode: bool = True) -> Any: ...
    def eval(self) -> Any: ...
    def to(self, device: torch.device | str) -> Any: ...


def build_net(vocabulary_size: int, options: NetOptions) -> Net:
    """The net that the options describe, with new weights; set `torch.manual_seed` before to repeat them.

    Parameters
    ----------
    vocabulary_size : int
        Number of token ids, padding (0) and unknown (1) included; at least 2.
    options : NetOptions
    """
    from sentispark.nn.recurrent import RecurrentNet

    return RecurrentNet(vocabulary_size, options)
