"""A trained net as a Spark ML model: sequences in, raw predictions, probabilities and predictions out."""

from __future__ import annotations

import html
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyspark.ml import Model
from pyspark.ml.functions import array_to_vector
from pyspark.ml.linalg import DenseVector, Vectors
from pyspark.ml.util import MLWriter
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType, StructField

from sentispark.errors import InputError
from sentispark.evaluate.metrics import Measures, Tally, measures, tally
from sentispark.files import Folder
from sentispark.ml.columns import COLUMN_DEFAULTS, OUTPUT_PARAMS, ClassifierColumns, require_sequences
from sentispark.ml.export import onnx_of, torch_program_of
from sentispark.ml.inference import Predictor
from sentispark.ml.options import PredictOptions
from sentispark.ml.summary import TrainingSummary
from sentispark.outputs import require_writable
from sentispark.spark.arrow import map_batches, plainly_named
from sentispark.spark.causes import collected
from sentispark.spark.columns import keep_recipes, with_columns
from sentispark.spark.folders import spark_folder
from sentispark.spark.params import options_from, params_from, quoted, require_new_columns
from sentispark.spark.persistence import FilesReadable, FilesWritable
from sentispark.spark.schema import LABELS, require_column
from sentispark.text.token_ids import FIRST_WORD

if TYPE_CHECKING:
    from typing_extensions import Self

    from sentispark.nn.net import Net
    from sentispark.train.result import TrainedNet

__all__ = ["LSTMClassificationModel", "TrainingSummary"]

_log = logging.getLogger(__name__)

_LOGIT = "_sentispark_logit"


@params_from(PredictOptions, **COLUMN_DEFAULTS)
class LSTMClassificationModel(ClassifierColumns, Model, FilesWritable, FilesReadable):
    """Adds `rawPrediction` (-logit, logit), `probability` (1 - p, p) and `prediction` (1.0 where p > threshold).

    A row's prediction depends only on its own sequence. Saved as Spark ML's metadata, safetensors and JSON.
    """

    _trained: TrainedNet | None = None

    @classmethod
    def from_trained(cls, trained: TrainedNet, **params: Any) -> Self:
        """A model of a trained net, with Params by name."""
        model = cls(**params)
        model._trained = trained
        return model

    @property
    def trained(self) -> TrainedNet:
        """The trained net. Raises `InputError` if the model holds none."""
        if self._trained is None:
            raise InputError("This model holds no trained net. Fit an LSTMClassifier or load a saved model.")
        return self._trained

    @property
    def summary(self) -> TrainingSummary:
        """How the model was trained; saved with it."""
        return TrainingSummary(self.trained.history, self.trained.run)

    @property
    def numClasses(self) -> int:
        """Two: negative and positive."""
        return 2

    def toTorch(self) -> Net:
        """The net as a torch module on the CPU, in evaluation mode."""
        return self.trained.module()

    def exportOnnx(self, path: str) -> None:
        """Write the net as an ONNX file; see `sentispark.ml.export` for its inputs and outputs.

        Parameters
        ----------
        path : str
            The file; an existing one is replaced. As with `save`, a path without a scheme is on Spark's default file
            system.

        Raises
        ------
        InputError
            If the path is empty or a folder.
        SetupError
            If the file cannot be written, or the package 'onnx' is not installed.
        """
        _write(path, lambda: onnx_of(self.trained))

    def exportTorch(self, path: str) -> None:
        """Write the net as a file for `torch.export.load`; see `exportOnnx` for the path."""
        _write(path, lambda: torch_program_of(self.trained))

    def _repr_html_(self) -> str:
        net = self._trained
        if net is None:
            return f"<div>{html.escape(self.uid)}: no trained net</div>"
        shape = f"{net.options.num_layers} × LSTM({net.options.hidden_size})"
        read = f"{net.vocabulary_size - FIRST_WORD:,} words, sequences of {net.sequence_length}"
        shown = html.escape(f"{shape}, {read}, trained by {net.run['workers']} ranks")
        return f"<div><b>{html.escape(self.uid)}</b>: {shown}</div>{self.summary._repr_html_()}"

    def predict(self, value: Sequence[int]) -> float:
        """The prediction of one sequence of token ids, 0.0 or 1.0, without a Spark job.

        For texts see `sentispark.TextPredictor`.
        """
        return float(self._logit(value) > self._threshold_logit)

    def predictRaw(self, value: Sequence[int]) -> DenseVector:
        """The raw prediction of one sequence, (-logit, logit)."""
        logit = self._logit(value)
        return Vectors.dense(-logit, logit)

    def predictProbability(self, value: Sequence[int]) -> DenseVector:
        """The probability of each class for one sequence, (1 - p, p)."""
        logit = self._logit(value)
        return Vectors.dense(_sigmoid(-logit), _sigmoid(logit))

    def _logit(self, sequence: Sequence[int]) -> float:
        return float(Predictor(self.trained)(pa.array([sequence], pa.list_(pa.int64())))[0])

    def evaluate(self, dataset: DataFrame) -> Measures:
        """The measures of the model on labeled sequences; see `sentispark.evaluate.metrics.measures`.

        Predictions use `threshold`. Rows are counted on the executors, so the result's size does not depend on their
        number.

        Raises
        ------
        InputError
            If a column is missing or of another type, or a label is not 0 or 1.
        """
        require_column(dataset, self.getLabelCol(), LABELS, stage=self)
        predict, threshold_logit = self._predictor(dataset), self._threshold_logit

        def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            total, wrong = Tally.empty(), 0
            for batch in batches:
                label = batch.column(1).to_numpy(zero_copy_only=False)
                valid = np.isin(label, (0, 1))
                wrong += int(np.sum(~valid))
                logits = predict(batch.column(0).filter(pa.array(valid)))
                total = total + tally(logits, label[valid].astype(int), threshold_logit=threshold_logit)
            values = np.append(total.to_array(), wrong)
            filled = np.flatnonzero(values)
            yield pa.RecordBatch.from_pydict({"index": filled, "value": values[filled]})

        label = F.expr(f"try_cast({quoted(self.getLabelCol())} AS double)")
        labeled = dataset.select(quoted(self.getFeaturesCol()), label.alias("label"))
        partial = map_batches(plainly_named(labeled), run, "index long, value double")
        values = np.append(Tally.empty().to_array(), 0.0)
        for row in collected(partial.groupBy("index").agg(F.sum("value").alias("value"))):
            values[row["index"]] = row["value"]
        if values[-1]:
            raise InputError(
                f"Column '{self.getLabelCol()}' must hold 0 or 1. {values[-1]:.0f} rows hold something else."
            )
        found = measures(Tally.from_array(values[:-1]))
        if missing := found["missing_class"]:
            _log.warning("None of the %d rows is %s, so the measures do not cover that class.", found["rows"], missing)
        return found

    def _transform(self, dataset: DataFrame) -> DataFrame:
        predict = self._predictor(dataset)
        require_new_columns(dataset, *OUTPUT_PARAMS, stage=self, optional=True)
        if not any(self.getOrDefault(param) for param in OUTPUT_PARAMS):
            return dataset
        scored = with_columns(
            dataset,
            self.getFeaturesCol(),
            [StructField(_LOGIT, DoubleType())],
            lambda sequences: [pa.array(predict(sequences))],
            deterministic=False,
        )
        logit = F.col(_LOGIT)
        positive = 1 / (1 + F.exp(-logit))
        outputs = {
            self.getRawPredictionCol(): array_to_vector(F.array(-logit, logit)),
            self.getProbabilityCol(): array_to_vector(F.array(1 / (1 + F.exp(logit)), positive)),
            self.getPredictionCol(): (logit > self._threshold_logit).cast("double"),
        }
        result = scored.withColumns({name: value for name, value in outputs.items() if name}).drop(_LOGIT)
        return keep_recipes(dataset, result)

    def _predictor(self, dataset: DataFrame) -> Predictor:
        require_sequences(dataset, self.getFeaturesCol(), stage=self)
        return Predictor(self.trained, options_from(self, PredictOptions).prediction_batch_size)

    def write(self) -> MLWriter:
        """A writer: `.overwrite().save(path)`. Raises `InputError` if the model holds no trained net."""
        _ = self.trained
        return super().write()

    def _save_files(self, folder: Folder) -> None:
        self.trained.save(folder)

    def _load_files(self, folder: Folder) -> None:
        from sentispark.train.result import TrainedNet

        self._trained = TrainedNet.load(folder)


def _write(path: str, content: Callable[[], bytes]) -> None:
    """Write a file; whether it can be written is checked before its content is made, which takes seconds."""
    target = spark_folder(path)
    parent, _, name = target.url.rpartition("/")
    folder = Folder(parent or "/")
    if path.endswith("/") or (target.exists() and not target.is_file()):
        raise InputError(f"'path' must name a file. Got '{path}', a folder.")
    require_writable(folder, name=path)
    folder.write(name, content())


def _sigmoid(logit: float) -> float:
    # exp of a negative number does not overflow.
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))
