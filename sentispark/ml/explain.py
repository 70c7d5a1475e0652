"""What each word of a text contributes to its score, by occlusion."""

from __future__ import annotations

import dataclasses
import html
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from sentispark.ml.inference import logits_of
from sentispark.text.token_ids import UNKNOWN

if TYPE_CHECKING:
    from sentispark.nn.net import Net
    from sentispark.train.result import TrainedNet

__all__ = ["Explanation", "explained"]

# A word that changes the logit by this much or more has the full color.
_FULL_COLOR = 2.0
_POSITIVE, _NEGATIVE = "46, 160, 67", "218, 54, 51"


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """A scored text; a notebook shows words that speak for a positive review in green and those against it in red.

    Attributes
    ----------
    words : tuple of str, of length n
        The words that the model reads, cut to its sequence length.
    contributions : ndarray of shape (n,), dtype=float64
        How much the logit falls if the word is replaced by an unknown one (occlusion: Zeiler and Fergus 2014,
        arXiv:1311.2901). The contributions need not add up to the logit.
    probability : float
        The probability that the text is positive.
    """

    words: tuple[str, ...]
    contributions: np.ndarray
    probability: float

    def _repr_html_(self) -> str:
        marked = " ".join(_marked(*each) for each in zip(self.words, self.contributions, strict=True))
        return f"<div><b>{self.probability:.3f}</b> {marked}</div>"


def explained(net: Net, trained: TrainedNet, words: list[str], ids: list[int]) -> Explanation:
    """The explanation of one text.

    Parameters
    ----------
    net : Net
        The module of the trained net.
    trained : TrainedNet
    words : list of str, of length n
    ids : list of int, of length n
        The words' token ids.
    """
    # The whole text, followed by a copy for each word in which that word is unknown.
    occluded = [ids] + [[*ids[:index], UNKNOWN, *ids[index + 1 :]] for index in range(len(ids))]
    logits = logits_of(net, trained, pa.array(occluded, pa.list_(pa.int32())))
    return Explanation(tuple(words), logits[0] - logits[1:], float(np.exp(-np.logaddexp(0, -logits[0]))))


def _marked(word: str, contribution: float) -> str:
    color = _POSITIVE if contribution > 0 else _NEGATIVE
    strength = min(1.0, abs(contribution) / _FULL_COLOR)
    style = f"background: rgba({color}, {strength:.2f})"
    return f'<span style="{style}" title="{contribution:+.3f}">{html.escape(word)}</span>'
