"""The column Params that the classifier and its model share, with setters as Spark ML has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.ml.param.shared import (
    HasFeaturesCol,
    HasLabelCol,
    HasPredictionCol,
    HasProbabilityCol,
    HasRawPredictionCol,
)
from pyspark.sql import DataFrame

from sentispark.ml.thresholds import BinaryThreshold
from sentispark.spark.params import KeywordParams
from sentispark.spark.schema import IDS, require_column

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["COLUMN_DEFAULTS", "OUTPUT_PARAMS", "ClassifierColumns", "require_sequences"]

COLUMN_DEFAULTS = {
    "featuresCol": "sequence",
    "labelCol": "label",
    "predictionCol": "prediction",
    "probabilityCol": "probability",
    "rawPredictionCol": "rawPrediction",
}


# The Params that name the columns a model adds.
OUTPUT_PARAMS = ("rawPredictionCol", "probabilityCol", "predictionCol")


class ClassifierColumns(
    BinaryThreshold, HasFeaturesCol, HasLabelCol, HasPredictionCol, HasProbabilityCol, HasRawPredictionCol
):
    """Sequences and labels in; raw predictions, probabilities and predictions out. An empty name omits a column."""

    def setFeaturesCol(self, value: str) -> Self:
        """Name the column of sequences."""
        return self._set(featuresCol=value)

    def setLabelCol(self, value: str) -> Self:
        """Name the column of labels."""
        return self._set(labelCol=value)

    def setPredictionCol(self, value: str) -> Self:
        """Name the column of predictions, 0.0 or 1.0."""
        return self._set(predictionCol=value)

    def setProbabilityCol(self, value: str) -> Self:
        """Name the column of probabilities, the vector (1 - p, p) of both classes."""
        return self._set(probabilityCol=value)

    def setRawPredictionCol(self, value: str) -> Self:
        """Name the column of raw predictions, the vector (-logit, logit)."""
        return self._set(rawPredictionCol=value)


def require_sequences(dataset: DataFrame, column: str, *, stage: KeywordParams) -> None:
    """Raise `InputError` unless the DataFrame has that column and it holds arrays of whole numbers."""
    require_column(dataset, column, IDS, stage=stage)
