"""A linear model of words and of pairs of neighboring words: the wide part of a "wide & deep" net."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from sentispark.text.token_ids import PAD

__all__ = ["WideLinear"]

# Two numbers and a prime below 2³¹: (a · before + b · word) mod p, with ids below 2³¹, stays within 64 bits.
_A, _B, _P = 1_013_904_223, 1_640_531_527, 2_147_483_647


class WideLinear(nn.Module):
    """The sum of a weight for each word and each pair of neighbors of a review, over the square root of its length.

    A linear model learns rare, clear phrases ("not worth", "works great") from far fewer reviews than an LSTM does;
    both together are Cheng et al.'s "wide & deep" (2016, arXiv:1606.07792). Weights are found by hash (Weinberger et
    al. 2009, arXiv:0902.2206), so that pairs need no vocabulary; they start at 0.

    Parameters
    ----------
    size : int
        Number of weights, at least 1, in addition to that of padding, which stays 0.
    """

    def __init__(self, size: int):
        super().__init__()
        self.weights = nn.Embedding(1 + size, 1, padding_idx=PAD)
        nn.init.zeros_(self.weights.weight)

    def forward(self, sequence: Tensor, length: Tensor) -> Tensor:
        """The linear part of the logits.

        Parameters
        ----------
        sequence : Tensor of shape (T, n), dtype=int16, int32 or int64
            Token ids, time first; padding is 0.
        length : Tensor of shape (n,), dtype=int64

        Returns
        -------
        Tensor of shape (n,), dtype=float32
        """
        # One look-up for both, as each look-up's gradient is as large as the table.
        total: Tensor = self.weights(self.rows_used(sequence)).sum(dim=(0, 1, 3))
        return total / length.clamp(min=1).sqrt()

    def rows_used(self, sequence: Tensor) -> Tensor:
        """The indices of the weights of each word and of each pair with the preceding word; padding has index 0.

        Parameters
        ----------
        sequence : Tensor of shape (T, n), dtype=int16, int32 or int64

        Returns
        -------
        Tensor of shape (2, T, n), dtype=int64
        """
        words = sequence.long()
        before = functional.pad(words, (0, 0, 1, 0))[:-1]
        single = self._index(torch.zeros_like(words), words) * (words != PAD)
        paired = self._index(before, words) * ((words != PAD) & (before != PAD))
        return torch.stack([single, paired])

    def _index(self, before: Tensor, words: Tensor) -> Tensor:
        """The index of the weight of a word that follows another; a single word is treated as following padding."""
        return (before * _A + words * _B) % _P % (self.weights.num_embeddings - 1) + 1
