"""A trained net as a Spark ML model: sequences in, raw predictions, probabilities and predictions out."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.ml import Model
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, StructField

from sentispark.errors import InputError
from sentispark.evaluate.metrics import Tally, measures, tally
from sentispark.files import Folder
from sentispark.ml.columns import COLUMN_DEFAULTS, ClassifierColumns
from sentispark.ml.inference import Predictor
from sentispark.spark.arrow import plainly_named, with_columns
from sentispark.spark.params import params_from, quoted, require_columns
from sentispark.spark.persistence import FilesReadable, FilesWritable

if TYPE_CHECKING:
    from sentispark.nn.lstm import ReviewLSTM
    from sentispark.train.result import TrainedNet

__all__ = ["LSTMClassificationModel", "TrainingSummary"]

_LOGIT = "_sentispark_logit"


@dataclasses.dataclass(frozen=True)
class TrainingSummary:
    """How a model was trained.

    Attributes
    ----------
    history : list of dict
        One entry an epoch: `epoch, train_loss, validation, seconds, rows_per_second, batch_sizes`.
    run : dict
        `workers`, `reader`, `backend`, `device`, `kept_epoch` and the training's `options`.
    """

    history: list[dict[str, Any]]
    run: dict[str, Any]


@params_from(**COLUMN_DEFAULTS)
class LSTMClassificationModel(ClassifierColumns, Model, FilesWritable, FilesReadable):
    """Adds `rawPrediction` (-logit, logit), `probability` (1 - p, p) and `prediction` (1.0 where p > .5) to sequences.

    A row's prediction depends on its own sequence alone. Saved as Spark ML's metadata, safetensors and JSON.
    """

    trained: TrainedNet | None = None

    @classmethod
    def from_trained(cls, trained: TrainedNet, **params: Any) -> LSTMClassificationModel:
        """A model of a trained net; its Params by name."""
        model = cls(**params)
        model.trained = trained
        return model

    @property
    def summary(self) -> TrainingSummary:
        """How the model was trained; saved with it."""
        return TrainingSummary(self.trained.history, self.trained.run)

    @property
    def numClasses(self) -> int:
        """Two: negative and positive."""
        return 2

    def toTorch(self) -> ReviewLSTM:
        """The net as a torch module on the CPU, in evaluation mode."""
        return self.trained.module()

    def evaluate(self, dataset: DataFrame) -> dict[str, Any]:
        """The measures of the model on labelled sequences; see `sentispark.evaluate.metrics.measures`.

        Rows are counted where they stand, so what comes back does not grow with them.
        """
        require_columns(dataset, self.getFeaturesCol(), self.getLabelCol(), stage=self)
        predict = Predictor(self.trained)

        def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            total = Tally.empty()
            for batch in batches:
                total = total + tally(predict(batch.column(0)), batch.column(1).to_numpy(zero_copy_only=False))
            label, place = np.nonzero(total.counts)
            parts = {"label": label, "place": place, "rows": total.counts[label, place]}
            loss = {"label": np.array([-1]), "place": np.array([0]), "rows": np.array([0])}
            losses = pa.array([*np.zeros(len(label)), total.log_loss_sum])
            columns = [pa.array(np.concatenate([parts[name], loss[name]]).astype(np.int64)) for name in parts]
            yield pa.RecordBatch.from_arrays([*columns, losses], names=[*parts, "loss"])

        labelled = dataset.select(quoted(self.getFeaturesCol()), F.col(quoted(self.getLabelCol())).cast("int"))
        partial = plainly_named(labelled).mapInArrow(run, "label long, place long, rows long, loss double")
        rows = partial.groupBy("label", "place").agg(F.sum("rows").alias("rows"), F.sum("loss").alias("loss")).collect()
        counts = np.zeros_like(Tally.empty().counts)
        for row in rows:
            if row.label >= 0:
                counts[row.label, row.place] = row.rows
        return measures(Tally(counts, sum(row.loss for row in rows)))

    def _transform(self, dataset: DataFrame) -> DataFrame:
        require_columns(dataset, self.getFeaturesCol(), stage=self)
        if self.trained is None:
            raise InputError("This model holds no trained net. Fit an LSTMClassifier, or load a model that was saved.")
        predict = Predictor(self.trained)
        predicted = with_columns(
            dataset,
            [self.getFeaturesCol()],
            [StructField(_LOGIT, DoubleType())],
            lambda sequences: [pa.array(predict(sequences))],
        )
        logit = F.col(_LOGIT)
        positive = 1 / (1 + F.exp(-logit))
        outputs = {
            self.getRawPredictionCol(): array_to_vector(F.array(-logit, logit)),
            self.getProbabilityCol(): array_to_vector(F.array(1 / (1 + F.exp(logit)), positive)),
            self.getPredictionCol(): (logit > 0).cast("double"),
        }
        return predicted.withColumns({name: value for name, value in outputs.items() if name}).drop(_LOGIT)

    def _save_files(self, folder: Folder) -> None:
        self.trained.save(folder)

    def _load_files(self, folder: Folder) -> None:
        from sentispark.train.result import TrainedNet

        self.trained = TrainedNet.load(folder)
