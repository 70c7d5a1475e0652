"""Logits and labels in, the measures of a binary classifier out, added up over batches, ranks and partitions.

A `Tally` counts rows by label and by logit bin, so its size does not grow with the rows. A row is predicted to be
positive if its logit is above the threshold's, which is 0 (probability 0.5) by default. A logit equal to it means
negative, as in Spark ML.
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
    """Counts from which all measures follow; `a + b` counts the rows of both.

    Parameters
    ----------
    counts : ndarray of shape (2, BINS), dtype=int64
        Rows by label and by logit bin. Bins are uniform on [-16, 16], open at the lower edge; the first and the last
        also count all rows below and above that range.
    predicted : ndarray of shape (2,), dtype=int64
        The rows that are predicted to be positive, by label.
    log_loss_sum : float
        Sum of the rows' log losses, in nats.
    """

    counts: np.ndarray = field(repr=False)
    predicted: np.ndarray
    log_loss_sum: float

    @classmethod
    def empty(cls) -> Tally:
        """The tally of no rows, the start of a sum."""
        return cls(np.zeros((2, BINS), np.int64), np.zeros(2, np.int64), 0.0)

    @classmethod
    def from_array(cls, array: np.ndarray) -> Tally:
        """The tally of an array from `to_array`, or of a sum of such arrays.

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
            The counts (exact up to 2**53 rows), the rows predicted to be positive, and the log loss sum.
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
    """Count rows. A call costs a pass over 131,072 counts, so call it for each partition instead of each batch.

    Parameters
    ----------
    logits : array_like of shape (n,)
        Finite numbers; n may be 0.
    labels : array_like of shape (n,)
        0 or 1, of any number type.
    threshold_logit : float
        The logit above which a row is predicted to be positive; it may be infinite.

    Raises
    ------
    InputError
        The shapes differ, a logit is not finite, or a label is neither 0 nor 1.
    """
    logits, labels = np.asarray(logits, np.float64), np.asarray(labels)
    if logits.ndim != 1 or logits.shape != labels.shape:
        raise InputError(f"'logits' and 'labels' must have the same shape (n,). Got {logits.shape} and {labels.shape}.")
    infinite = np.count_nonzero(~np.isfinite(logits))
    if infinite:
        raise InputError(
            f"'logits' must be finite numbers. Got {infinite} of {len(logits)} that are not. "
            "If training diverged, lower the learning rate."
        )
    positive = labels == 1
    if not np.all(positive | (labels == 0)):
        raise InputError(f"'labels' must be 0 or 1. Got {labels[~positive & (labels != 0)][0]}.")

    inside = np.clip(logits, -LARGEST_LOGIT, LARGEST_LOGIT)
    bins = np.ceil(inside * BINS_PER_LOGIT).astype(np.int64) + (BINS // 2 - 1)
    bins = np.maximum(bins, 0)  # for -16, and for all logits clipped to it
    counts = np.bincount(bins + BINS * positive, minlength=2 * BINS).reshape(2, BINS)
    predicted = np.bincount(positive[logits > threshold_logit], minlength=2)
    wrongness = np.where(positive, -logits, logits)
    return Tally(counts, predicted, float(np.logaddexp(0.0, wrongness).sum()))


class F1Scores(TypedDict):
    """F1 of each class and their unweighted mean; None without rows.

    F1 is 0 for a class that is neither present nor predicted (scikit-learn's `zero_division=0`).
    """

    negative: float | None
    positive: float | None
    macro: float | None


class Measures(TypedDict):
    """The measures of a binary classifier, ready for JSON; no value is ever NaN."""

    rows: int
    # The share of rows that are predicted correctly, and the accuracy of always predicting the majority class. None
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
    # "negative" or "positive" if all rows are of the other class, about which accuracy and F1 then say nothing; None
    # otherwise.
    missing_class: str | None
    # The mean over rows, in nats. None without rows.
    log_loss: float | None
    # [[true negatives, false positives], [false negatives, true positives]]
    confusion: list[list[int]]


def measures(total: Tally) -> Measures:
    """The measures of the rows in a tally.

    >>> found = measures(tally([2.0, -1.0, 3.0, -2.0], [1, 0, 0, 1]))
    >>> found["accuracy"], found["roc_auc"], found["confusion"]
    (0.5, 0.25, [[1, 1], [1, 1]])
    """
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
