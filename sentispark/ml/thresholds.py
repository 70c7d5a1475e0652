"""The probability above which a review is positive: `threshold` and `thresholds`, as in LogisticRegression."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pyspark.ml.param import Param, Params

from sentispark.errors import OptionError
from sentispark.options import Rule, between, list_of
from sentispark.spark.params import KeywordParams, converter

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["BinaryThreshold", "binary_threshold"]

# The largest difference between `threshold` and the equivalent of `thresholds` if both are set; the value that Spark's
# LogisticRegression uses.
_TOLERANCE = 1e-5

_numbers = list_of(between(0, math.inf))
_THRESHOLDS_RULE = Rule(
    "two numbers of at least 0, not both 0", lambda value: _numbers.holds(value) and len(value) == 2 and any(value)
)


def binary_threshold(thresholds: Sequence[float]) -> float:
    """The single threshold, in [0, 1], that is equivalent to one for each class.

    Examples
    --------
    >>> binary_threshold([1, 3])
    0.75
    """
    of_negative, of_positive = thresholds
    return of_positive / (of_negative + of_positive)


class BinaryThreshold(KeywordParams):
    """A row is predicted positive where its probability is above `threshold`.

    `thresholds` (t₀, t₁) is Spark ML's form for any number of classes: the class with the largest p / t is predicted,
    which for two classes is a threshold of t₁ / (t₀ + t₁).
    """

    _defaults: ClassVar[Mapping[str, Any]] = {"threshold": 0.5}

    threshold: Param[float] = Param(
        Params._dummy(),
        "threshold",
        "probability above which a row is predicted positive",
        converter("threshold", between(0, 1), default=0.5),
    )
    thresholds: Param[list[float]] = Param(
        Params._dummy(),
        "thresholds",
        "two numbers: the class with the largest ratio of probability to number is predicted",
        converter("thresholds", _THRESHOLDS_RULE),
    )

    def setThreshold(self, value: float) -> Self:
        """Predict positive above this probability, in [0, 1]; clears `thresholds`."""
        self.clear(self.thresholds)
        return self._set(threshold=value)

    def setThresholds(self, value: list[float]) -> Self:
        """Predict the class with the largest p / t for these two t; clears `threshold`."""
        self.clear(self.threshold)
        return self._set(thresholds=value)

    def getThreshold(self) -> float:
        """The threshold, or the equivalent of `thresholds`. Raises `OptionError` if both are set and do not match."""
        if not self.isSet(self.thresholds):
            return self.getOrDefault(self.threshold)
        thresholds = self.getOrDefault(self.thresholds)
        threshold = binary_threshold(thresholds)
        if self.isSet(self.threshold) and abs(self.getOrDefault(self.threshold) - threshold) > _TOLERANCE:
            raise OptionError(
                f"'threshold' must match 'thresholds', which are equivalent to {threshold:g}. "
                f"Got {self.getOrDefault(self.threshold):g}. Set only one of them."
            )
        return threshold

    def getThresholds(self) -> list[float]:
        """The two thresholds, or (1 - threshold, threshold) if only `threshold` is set."""
        threshold = self.getThreshold()
        return self.getOrDefault(self.thresholds) if self.isSet(self.thresholds) else [1 - threshold, threshold]

    @property
    def _threshold_logit(self) -> float:
        """The logit above which a row is predicted positive; -inf and inf for the thresholds 0 and 1."""
        threshold = self.getThreshold()
        if threshold in (0, 1):
            return math.inf if threshold else -math.inf
        return math.log(threshold) - math.log1p(-threshold)
