"""Above which probability a review is positive: `threshold` and `thresholds`, as LogisticRegression has them."""

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

__all__ = ["BinaryThreshold", "amount"]

# How far `threshold` may be from what `thresholds` amount to where both are set: LogisticRegression's own bound.
_TOLERANCE = 1e-5

_numbers = list_of(between(0, math.inf))
_THRESHOLDS_RULE = Rule(
    "two numbers of at least 0, not both 0", lambda value: _numbers.holds(value) and len(value) == 2 and any(value)
)


def amount(thresholds: Sequence[float]) -> float:
    """The one threshold that two amount to, in [0, 1]."""
    of_negative, of_positive = thresholds
    return of_positive / (of_negative + of_positive)


class BinaryThreshold(KeywordParams):
    """A row is predicted positive where its probability is above `threshold`.

    `thresholds` (t₀, t₁) says the same as Spark ML says it for any number of classes: the class with the largest p / t
    is predicted, which for two classes is a threshold of t₁ / (t₀ + t₁).
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
        "two numbers: the class with the largest probability over its number is predicted",
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
        """The threshold, or what `thresholds` amount to. Raises `OptionError` if both are set and do not match."""
        if not self.isSet(self.thresholds):
            return self.getOrDefault(self.threshold)
        thresholds = self.getOrDefault(self.thresholds)
        threshold = amount(thresholds)
        if self.isSet(self.threshold) and abs(self.getOrDefault(self.threshold) - threshold) > _TOLERANCE:
            raise OptionError(
                f"'threshold' must match 'thresholds', which amount to {threshold:g}. "
                f"Got {self.getOrDefault(self.threshold):g}. Set only one of them."
            )
        return threshold

    def getThresholds(self) -> list[float]:
        """The two thresholds, or (1 - threshold, threshold) where `threshold` stands for them."""
        threshold = self.getThreshold()
        return self.getOrDefault(self.thresholds) if self.isSet(self.thresholds) else [1 - threshold, threshold]

    @property
    def _threshold_logit(self) -> float:
        """The logit above which a row is predicted positive; -inf and inf for the thresholds 0 and 1."""
        threshold = self.getThreshold()
        if threshold in (0, 1):
            return math.inf if threshold else -math.inf
        return math.log(threshold) - math.log1p(-threshold)
