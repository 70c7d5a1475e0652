"""The LSTM classifier as a Spark ML estimator: checks, encoded rows to disk, ranks, model."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import tempfile
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pyspark.ml import Estimator
from pyspark.ml.param.shared import HasValidationIndicatorCol, HasWeightCol
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame

from sentispark.cluster.barrier import train_on_cluster
from sentispark.cluster.console import reporting
from sentispark.cluster.preflight import require_slots
from sentispark.dataset.dataset import Dataset, open_dataset
from sentispark.dataset.readers import choose_reader
from sentispark.errors import InputError
from sentispark.files import Folder
from sentispark.ml.columns import COLUMN_DEFAULTS, ClassifierColumns, require_sequences
from sentispark.ml.materialize import materialize
from sentispark.ml.model import LSTMClassificationModel
from sentispark.ml.options import FitOptions
from sentispark.nn.options import NetOptions
from sentispark.spark.folders import spark_folder
from sentispark.spark.params import options_from, params_from, require_columns
from sentispark.spark.session import get_spark
from sentispark.train.config import TrainConfig, TrainOptions, check_batch_size, check_trainable

if TYPE_CHECKING:
    from sentispark.train.result import TrainedNet

__all__ = ["LSTMClassifier"]


@params_from(FitOptions, TrainOptions, NetOptions, **COLUMN_DEFAULTS)
class LSTMClassifier(
    ClassifierColumns,
    HasWeightCol,
    HasValidationIndicatorCol,
    Estimator,
    DefaultParamsReadable,
    DefaultParamsWritable,
):
    """Trains an LSTM on sequences of token ids with one torch rank in each of `numWorkers` Spark tasks.

    `fit` takes a DataFrame with an array column of token ids (0 is padding) and a label column of 0 and 1, or a
    dataset that `sentispark prepare` wrote: its path, or what `open_dataset` gives.

    Examples
    --------
    >>> LSTMClassifier(numWorkers=2, maxEpochs=3, batchSize=256).fit(encoded)  # doctest: +SKIP
    >>> LSTMClassifier(numWorkers=2).fit("s3://bucket/dataset")  # doctest: +SKIP
    """

    def setWeightCol(self, value: str) -> LSTMClassifier:
        """Name the column of weights; only their ratios matter."""
        return self._set(weightCol=value)

    def setValidationIndicatorCol(self, value: str) -> LSTMClassifier:
        """Name the boolean column that is true for rows that validate."""
        return self._set(validationIndicatorCol=value)

    def _fit(self, dataset: DataFrame | Dataset | str | os.PathLike) -> LSTMClassificationModel:
        net, options = options_from(self, NetOptions), options_from(self, TrainOptions)
        if options.embedding_path:  # ranks run in folders of their own
            options = dataclasses.replace(options, embedding_path=Folder(options.embedding_path).absolute)
        check_batch_size(options, self.getNumWorkers())
        choose_reader(options.reader)
        require_slots(get_spark(), self.getNumWorkers())
        if isinstance(dataset, (str, os.PathLike)):
            dataset = open_dataset(spark_folder(os.fspath(dataset)))
        if isinstance(dataset, Dataset):
            return self._model(self._train(dataset, options, net))
        with self._materialized(dataset) as written:
            return self._model(self._train(written, options, net))

    def _model(self, trained: TrainedNet) -> LSTMClassificationModel:
        return self._copyValues(LSTMClassificationModel.from_trained(trained))

    def _train(self, dataset: Dataset, options: TrainOptions, net: NetOptions) -> TrainedNet:
        workers = self.getNumWorkers()
        config = TrainConfig(dataset.folder.url, options, net)
        check_trainable(dataset, config, workers)
        with reporting() as emit:
            return train_on_cluster(get_spark(), config, workers, emit)

    @contextlib.contextmanager
    def _materialized(self, dataset: DataFrame) -> Iterator[Dataset]:
        """The DataFrame's rows as a dataset in `cacheDir`, removed when the block ends."""
        columns = [self.getFeaturesCol(), self.getLabelCol()]
        weight = self.getWeightCol() if self.isDefined(self.weightCol) else None
        validation = self.getValidationIndicatorCol() if self.isDefined(self.validationIndicatorCol) else None
        require_sequences(dataset, columns[0], stage=self)
        require_columns(dataset, columns[1], *filter(None, [weight, validation]), stage=self)
        with self._cache() as folder:
            materialize(
                dataset,
                folder,
                features_col=columns[0],
                label_col=columns[1],
                weight_col=weight,
                validation_col=validation,
                validation_fraction=self.getValidationFraction(),
                seed=self.getSeed(),
            )
            yield open_dataset(folder)

    @contextlib.contextmanager
    def _cache(self) -> Iterator[Folder]:
        if not self.getCacheDir():
            if not get_spark().sparkContext.master.startswith("local"):
                raise InputError(
                    "On a cluster 'cacheDir' must name a folder that every executor can read. It is empty."
                )
            with tempfile.TemporaryDirectory(prefix="sentispark-") as temporary:
                yield Folder(temporary).child("dataset")
            return
        folder = spark_folder(self.getCacheDir()).child(f"sentispark-{uuid.uuid4().hex[:12]}")
        try:
            yield folder
        finally:
            folder.remove()
