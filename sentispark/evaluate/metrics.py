"""Logits and labels in, the measures of a binary classifier out, added up over batches, ranks and partitions.

A `Tally` counts rows by label and by logit bin, so its size does not grow with the rows. The prediction of a row is 1
where its logit is above the threshold's, 0 (probability above .5) unless another is given; at exactly that it is 0,
Spark ML's choice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike

from sentispark.errors import InputError

__all__ = ["BINS", "F1Scores", "Measures", "Tally", "measures", "tally"]

BINS = 65_536
LARGEST_LOGIT = 16  # beyond it a probability is within 2e-7 of 0 or 1
BINS_PER_LOGIT = BINS // (2 * LARGEST_LOGIT)  # a power of two: scaling a logit by it rounds nothing


@dataclass(frozen=True, eq=False)
class Tally:
    """What is left of the rows that were counted; `a + b` counts the rows of both.

    Parameters
    ----------
    counts : ndarray of shape (2, BINS), dtype=int64
        Rows by label and by logit bin. Bins are uniform on [-16, 16], open at the lower edge; the first and the last
        also hold all rows below and above.
    predicted : ndarray of shape (2,), dtype=int64
        Of these the rows by label that are predicted to be positive.
    log_loss_sum : float
        Sum of the rows' log losses, in nats.
    """

    counts: np.ndarray = field(repr=False)
    predicted: np.ndarray
    log_loss_sum: float

    @classmethod
    def empty(cls) -> Tally:
        """The tally of no rows, where a sum begins."""
        return cls(np.zeros((2, BINS), np.int64), np.zeros(2, np.int64), 0.0)

    @classmethod
    def from_array(cls, array: np.ndarray) -> Tally:
        """The tally whose `to_array`, or whose sum of `to_array`s, is given.

        Parameters
        ----------
        array : ndarray of shape (2 * BINS + 3,), dtype=float64
        """
        counts, predicted, log_loss_sum = np.split(array, [2 * BINS, 2 * BINS + 2])
        return cls(counts.astype(np.int64).reshape(2, BINS), predicted.astype(np.int64), float(log_loss_sum[0]))

    def to_array(self) -> np.ndarray:
        """The tally as one flat array that an all-reduce can add up.

        Returns
        -------
        ndarray of shape (2 * BINS + 3,), dtype=float64
            The counts, exact up to 2**53 rows, those predicted to be positive, then the log loss sum.
        """
        return np.concatenate([self.counts.ravel(), self.predicted, [self.log_loss_sum]])

    def __add__(self, other: Tally) -> Tally:
        if not isinstance(other, Tally):
            return NotImplemented
        return Tally(
            self.counts + other.counts,
            self.predicted + other.predicted,
            self.log_loss_sum + other.log_loss_sum,
        )


def tally(logits: ArrayLike, labels: ArrayLike, *, threshold_logit: float = 0.0) -> Tally:
    """Count rows. It costs a pass over 131,072 counts, so give it a partition's rows at once rather than a batch's.

    Parameters
    ----------
    logits : array_like of shape (n,)
        Finite numbers; n may be 0.
    labels : array_like of shape (n,)
        0 or 1, of any number type.
    threshold_logit : float
        The logit above which a row is predicted to be positive; may be infinite.

    Raises
    ------
    InputError
        The shapes differ, a logit is not finite, or a label is neither 0 nor 1.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    if logits.ndim != 1 or logits.shape != labels.shape:
        raise InputError(f"logits and labels must be of one shape (n,). Got {logits.shape} and {labels.shape}.")
    lost = np.count_nonzero(~np.isfinite(logits))
    if lost:
        raise InputError(
            f"logits must be finite numbers. Got {lost} of {len(logits)} that are not. "
            "Training may have diverged: lower the learning rate."
        )
    positive = labels == 1
    if not np.all(positive | (labels == 0)):
        raise InputError(f"labels must be 0 or 1. Got {labels[~positive & (labels != 0)][0]}.")

    inside = np.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT)
    bins = np.ceil(inside * BINS_PER_LOGIT).astype(np.int64) + (BINS // 2 - 1)
    bins = np.maximum(bins, 0)  # -16 itself, and all that was clipped to it
    counts = np.bincount(bins + BINS * positive, minlength=2 * BINS).reshape(2, BINS)
    predicted = np.bincount(positive[logits > threshold_logit], minlength=2)
    wrongness = np.where(positive, -logits, logits)
    return Tally(counts, predicted, float(np.logaddexp(0.0, wrongness).sum()))


class F1Scores(TypedDict):
    """F1 of each class and their plain mean; None without rows.

    0 for a class that is neither present nor predicted (scikit-learn's `zero_division=0`).
    """

    negative: float | None
    positive: float | None
    macro: float | None


class Measures(TypedDict):
    """The measures of a binary classifier, ready for JSON; no value is ever NaN."""

    rows: int
    # The share of rows predicted rightly, and that of the larger class, which a constant answer would reach. None
    # without rows.
    accuracy: float | None
    majority_accuracy: float | None
    # The mean of the two classes' recalls. None unless both classes are present.
    balanced_accuracy: float | None
    f1: F1Scores
    # The share of (negative, positive) pairs in which the positive row has the larger logit, ties counted half (the
    # Mann–Whitney statistic; Hanley and McNeil 1982, doi:10.1148/radiology.143.1.7063747). Logits in one bin (1/2048
    # wide) count as tied, so the error is at most half the share of pairs that lie in one bin. None unless both classes
    # are present.
    roc_auc: float | None
    # The class of which there is no row, "negative" or "positive", where there is one of the other: accuracy and F1
    # then say nothing about it.
    missing_class: str | None
    # The mean over rows, in nats. None without rows.
    log_loss: float | None
    # [[true negatives, false positives], [false negatives, true positives]]
    confusion: list[list[int]]


def measures(total: Tally) -> Measures:
    """The measures of the rows that were counted."""
    fp, tp = total.predicted.tolist()
    tn, fn = (total.counts.sum(axis=1) - total.predicted).tolist()
    negatives, positives = tn + fp, fn + tp
    rows = negatives + positives
    both = bool(negatives and positives)
    f1_negative, f1_positive = _f1(tn, fn + fp), _f1(tp, fn + fp)
    return {
        "rows": rows,
        "accuracy": (tn + tp) / rows if rows else None,
        "majority_accuracy": max(negatives, positives) / rows if rows else None,
        "balanced_accuracy": (tn / negatives + tp / positives) / 2 if both else None,
        "f1": {
            "negative": f1_negative if rows else None,
            "positive": f1_positive if rows else None,
            "macro": (f1_negative + f1_positive) / 2 if rows else None,
        },
        "roc_auc": _roc_auc(total.counts) if both else None,
        "missing_class": None if both or not rows else "positive" if negatives else "negative",
        "log_loss": total.log_loss_sum / rows if rows else None,
        "confusion": [[tn, fp], [fn, tp]],
    }


def _f1(right: int, wrong: int) -> float:
    return 2 * right / (2 * right + wrong) if right or wrong else 0.0


def _roc_auc(counts: np.ndarray) -> float:
    negative, positive = counts.astype(np.float64)
    below_and_half_of_tied = np.cumsum(negative) - negative / 2
    return float(positive @ below_and_half_of_tied / (negative.sum() * positive.sum()))
