"""What each word of a text contributes to its judgement, by leaving it out."""

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

# A word that moves the logit by so much, or more, is painted in full colour.
_FULL_COLOUR = 2.0
_POSITIVE, _NEGATIVE = "46, 160, 67", "218, 54, 51"


@dataclasses.dataclass(frozen=True, eq=False)
class Explanation:
    """A judged text; in a notebook its words in green where they speak for a positive review and in red where not.

    Attributes
    ----------
    words : tuple of str, n of them
        As the model reads them, cut to its sequence length.
    contributions : ndarray of shape (n,), dtype=float64
        By how much the logit falls when the word is read as an unknown one (occlusion: Zeiler and Fergus 2014,
        arXiv:1311.2901). They need not add up to the logit.
    probability : float
        That the text is positive.
    """

    words: tuple[str, ...]
    contributions: np.ndarray
    probability: float

    def _repr_html_(self) -> str:
        painted = " ".join(_painted(*each) for each in zip(self.words, self.contributions, strict=True))
        return f"<div><b>{self.probability:.3f}</b> {painted}</div>"


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
    # A text for each word, in which that word is unknown; the whole text comes first.
    occluded = [ids] + [[*ids[:place], UNKNOWN, *ids[place + 1 :]] for place in range(len(ids))]
    logits = logits_of(net, trained, pa.array(occluded, pa.list_(pa.int32())))
    return Explanation(tuple(words), logits[0] - logits[1:], float(np.exp(-np.logaddexp(0, -logits[0]))))


def _painted(word: str, contribution: float) -> str:
    colour = _POSITIVE if contribution > 0 else _NEGATIVE
    strength = min(1.0, abs(contribution) / _FULL_COLOUR)
    style = f"background: rgba({colour}, {strength:.2f})"
    return f'<span style="{style}" title="{contribution:+.3f}">{html.escape(word)}</span>'
