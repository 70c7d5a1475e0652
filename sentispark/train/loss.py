"""Logits, labels and weights in, the sum of the rows' losses out."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["WeightedLoss"]


@dataclasses.dataclass(frozen=True)
class WeightedLoss:
    """The binary cross-entropy of rows that have weights.

    Attributes
    ----------
    positive_weight : float
        Factor of a positive row's loss.
    mean_weight : float
        Mean weight of the dataset's rows; weights are divided by it, so that their scale does not matter.
    label_smoothing : float
        How far labels are moved from 0 and 1 toward 0.5, in [0, 1).
    """

    positive_weight: float = 1.0
    mean_weight: float = 1.0
    label_smoothing: float = 0.0

    def __call__(self, logits: Tensor, label: Tensor, weight: Tensor) -> Tensor:
        """The sum of the rows' losses, of shape (); all arguments are floats of shape (n,) on one device."""
        label = label * (1 - self.label_smoothing) + 0.5 * self.label_smoothing
        losses = functional.binary_cross_entropy_with_logits(
            logits.to(label.dtype),
            label,
            reduction="none",
            pos_weight=torch.full((), self.positive_weight, device=label.device),
        )
        return (losses * weight).sum() / self.mean_weight
