"""The LSTM classifier as a Spark ML estimator: checks, encoded rows on disk, ranks, model."""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, overload

from pyspark.ml import Estimator
from pyspark.ml.param import Param
from pyspark.ml.param.shared import HasValidationIndicatorCol, HasWeightCol
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame

from sentispark.cluster.console import reporting
from sentispark.cluster.options import RestartOptions
from sentispark.cluster.preflight import require_shared, require_slots
from sentispark.cluster.restart import train_with_restarts
from sentispark.dataset import manifest as manifest_file
from sentispark.dataset.dataset import Dataset, open_dataset
from sentispark.dataset.readers import choose_reader
from sentispark.files import Folder
from sentispark.ml.cache import MAX_UNUSED_DAYS, cache_folder, clean_cache, kept_net
from sentispark.ml.callbacks import Callback, CallbackList
from sentispark.ml.columns import COLUMN_DEFAULTS, OUTPUT_PARAMS, ClassifierColumns, require_sequences
from sentispark.ml.materialize import materialize
from sentispark.ml.model import LSTMClassificationModel
from sentispark.ml.options import FitOptions, PredictOptions
from sentispark.nn.options import NetOptions
from sentispark.outputs import require_writable
from sentispark.spark.folders import spark_folder
from sentispark.spark.params import options_from, params_from, require_new_columns
from sentispark.spark.schema import FLAGS, LABELS, WEIGHTS, require_column
from sentispark.spark.session import get_spark
from sentispark.train.checkpoint import newest_checkpoint, remove_checkpoints
from sentispark.train.config import TrainConfig, check_batch_size, check_trainable, one_class_sentence
from sentispark.train.identity import identity_of, require_same
from sentispark.train.options import CheckpointOptions, TrainOptions

if TYPE_CHECKING:
    from typing_extensions import Self

    from sentispark.train.events import Event
    from sentispark.train.result import TrainedNet

__all__ = ["LSTMClassifier"]

ParamMap = dict[Param[Any], Any]
TrainingRows = DataFrame | Dataset | str | os.PathLike[str]

_log = logging.getLogger(__name__)

_FORMER_NAMES = {"partSize": "microBatchSize", "wire": "gradientWire"}


@params_from(FitOptions, RestartOptions, CheckpointOptions, PredictOptions, TrainOptions, NetOptions, **COLUMN_DEFAULTS)
class LSTMClassifier(
    ClassifierColumns,
    HasWeightCol,
    HasValidationIndicatorCol,
    Estimator[LSTMClassificationModel],
    DefaultParamsReadable["LSTMClassifier"],
    DefaultParamsWritable,
):
    """Trains an LSTM on sequences of token ids with one torch rank in each of `numWorkers` Spark tasks.

    `fit` takes a DataFrame with an array column of token ids (0 is padding) and a label column of 0 and 1, or a
    dataset that `sentispark prepare` wrote: its path, or what `open_dataset` returns.

    Examples
    --------
    >>> LSTMClassifier(numWorkers=2, maxEpochs=3, batchSize=256).fit(encoded)  # doctest: +SKIP
    >>> LSTMClassifier(numWorkers=2).fit("s3://bucket/dataset")  # doctest: +SKIP
    """

    _callbacks: tuple[Callback, ...] = ()

    def getParam(self, paramName: str) -> Param[Any]:
        """The Param of that name, which may be its name in an earlier version, for stages that were saved then."""
        return super().getParam(_FORMER_NAMES.get(paramName, paramName))

    def _setDefault(self, **params: Any) -> Self:
        return super()._setDefault(**{_FORMER_NAMES.get(name, name): value for name, value in params.items()})

    def setWeightCol(self, value: str) -> Self:
        """Name the column of weights; only their ratios matter."""
        return self._set(weightCol=value)

    def setValidationIndicatorCol(self, value: str) -> Self:
        """Name the boolean column that is true for validation rows."""
        return self._set(validationIndicatorCol=value)

    def setCallbacks(self, *callbacks: Callback) -> Self:
        """Set the callbacks of trainings; copies share them. They are not saved with the stage."""
        self._callbacks = callbacks
        return self

    def setInitialModel(self, value: str | LSTMClassificationModel) -> Self:
        """Start trainings from a model's weights: a fitted one, which is kept in the cache, or the folder of one.

        Raises
        ------
        InputError
            For a fitted model on a cluster without a `cacheDir`, which all executors can read.
        """
        if isinstance(value, LSTMClassificationModel):
            cache = cache_folder(options_from(self, FitOptions).cache_dir)
            value = kept_net(cache, value.trained).absolute
        return self._set(initialModel=value)

    def setParams(self, **params: Any) -> Self:
        """Set several Params by name; `initialModel` may be a fitted model."""
        initial = params.get("initialModel")
        if not isinstance(initial, LSTMClassificationModel):
            return super().setParams(**params)
        super().setParams(**{name: value for name, value in params.items() if name != "initialModel"})
        return self.setInitialModel(initial)

    @overload
    def fit(self, dataset: TrainingRows, params: ParamMap | None = None) -> LSTMClassificationModel: ...

    @overload
    def fit(self, dataset: TrainingRows, params: list[ParamMap] | tuple[ParamMap]) -> list[LSTMClassificationModel]: ...

    def fit(self, dataset: TrainingRows, params: ParamMap | list[ParamMap] | tuple[ParamMap] | None = None) -> Any:
        """Fit to rows, with a param map's Params in place of the stage's; a list of maps returns a list of models.

        Parameters
        ----------
        dataset : DataFrame, Dataset, str or path
            Encoded rows, or a dataset that `sentispark prepare` wrote: opened, or its path.
        params : param map, or list or tuple of param maps, optional
        """
        # Spark's own `fit` passes any dataset on to `_fit`.
        return super().fit(dataset, params)  # type: ignore[arg-type]

    def fitDataset(self, path: str | os.PathLike[str] | Dataset) -> LSTMClassificationModel:
        """Fit to a dataset that `sentispark prepare` wrote; the same as `fit`."""
        return self.fit(path)

    def fitMultiple(
        self, dataset: TrainingRows, paramMaps: Sequence[Mapping[Param[Any], Any]]
    ) -> Iterator[tuple[int, LSTMClassificationModel]]:
        """Fit with each of the param maps; maps that do not change the encoded rows share one written dataset.

        Returns
        -------
        iterator of (int, LSTMClassificationModel)
            The index of a param map and its model, in any order; `next` may be called from several threads.
        """
        stages = [self.copy(dict(changes)) for changes in paramMaps]
        lock = threading.Lock()
        written: dict[str, Dataset] = {}

        def fit(index: int) -> LSTMClassificationModel:
            stage, rows = stages[index], dataset
            if isinstance(dataset, DataFrame):
                stage._check()
                with lock:
                    key = str(stage._rows())
                    if key not in written:
                        written[key] = stage._written(dataset)
                    rows = written[key]
            return stage.fit(rows)

        return _Models(fit, len(stages))

    def _fit(self, dataset: TrainingRows) -> LSTMClassificationModel:
        self._check()
        callbacks = CallbackList(self._callbacks)
        try:
            callbacks.start({param.name: self.getOrDefault(param) for param in self.params if self.isDefined(param)})
            if isinstance(dataset, (str, os.PathLike)):
                dataset = open_dataset(spark_folder(os.fspath(dataset)))
            if isinstance(dataset, Dataset):
                require_shared(get_spark(), dataset.folder, workers=self._workers, file=manifest_file.FILE_NAME)
            written = dataset if isinstance(dataset, Dataset) else self._written(dataset)
            model = self._model(self._train(written, callbacks))
        except BaseException as error:
            callbacks.fail(error)
            raise
        callbacks.end(model)
        return model

    def _check(self) -> None:
        """Raise for Params that cannot work with any rows, before the work begins."""
        options = self._options()
        check_batch_size(options, self._workers)
        choose_reader(options.reader)
        require_slots(get_spark(), self._workers)

    @property
    def _workers(self) -> int:
        return options_from(self, FitOptions).num_workers

    def _options(self) -> TrainOptions:
        options = options_from(self, TrainOptions)
        # Made absolute: ranks run in other working directories.
        vectors, model = options.embedding_path, options.initial_model
        return dataclasses.replace(
            options,
            embedding_path=vectors and spark_folder(vectors).url,
            initial_model=model and spark_folder(model).url,
        )

    def _model(self, trained: TrainedNet) -> LSTMClassificationModel:
        return self._fitted(LSTMClassificationModel.from_trained(trained))

    def _train(self, dataset: Dataset, callbacks: CallbackList) -> TrainedNet:
        workers = self._workers
        config = TrainConfig(
            dataset.folder.url, self._options(), options_from(self, NetOptions), checkpoints=self._checkpoints()
        )
        check_trainable(dataset, config, workers)
        self._check_checkpoints(dataset, config)
        if sentence := one_class_sentence(dataset):
            _log.warning(sentence)
        with reporting() as show:

            def emit(event: Event) -> None:
                show(event)
                callbacks.on_event(event)

            return train_with_restarts(get_spark(), config, workers, emit, options_from(self, RestartOptions))

    def _checkpoints(self) -> CheckpointOptions:
        options = options_from(self, CheckpointOptions)
        if not options.checkpoint_dir:
            return options
        return dataclasses.replace(options, checkpoint_dir=spark_folder(options.checkpoint_dir).url)

    def _check_checkpoints(self, dataset: Dataset, config: TrainConfig) -> None:
        """Raise if the folder for checkpoints cannot be used, or holds those of another training, unless `fresh`."""
        if config.checkpoints.checkpoint_dir is None:
            return
        folder = Folder(config.checkpoints.checkpoint_dir)
        require_writable(folder, name=folder.url)
        require_shared(get_spark(), folder, workers=self._workers)
        if config.checkpoints.fresh:
            remove_checkpoints(folder, keep=0)
            return
        found, _ = newest_checkpoint(folder)
        if found:
            epochs = len(found.content["state"]["trainer"]["history"])
            require_same(found.content["identity"], identity_of(dataset, config), epochs=epochs, folder=folder.url)

    def _rows(self) -> dict[str, Any]:
        """Everything that determines how rows are written: the arguments of `materialize`."""
        options = options_from(self, FitOptions)
        return {
            "features_col": self.getFeaturesCol(),
            "label_col": self.getLabelCol(),
            "weight_col": self.getWeightCol() if self.isDefined(self.weightCol) else None,
            "validation_col": self.getValidationIndicatorCol() if self.isDefined(self.validationIndicatorCol) else None,
            "validation_fraction": options.validation_fraction,
            "seed": options_from(self, TrainOptions).seed,
            "max_sequence_length": options.max_sequence_length,
        }

    def _written(self, dataset: DataFrame) -> Dataset:
        """The dataset in the cache that holds the DataFrame's rows."""
        rows = self._rows()
        require_sequences(dataset, rows["features_col"], stage=self)
        for name, kind in (("label_col", LABELS), ("weight_col", WEIGHTS), ("validation_col", FLAGS)):
            if rows[name] is not None:
                require_column(dataset, rows[name], kind, stage=self)
        require_new_columns(dataset, *OUTPUT_PARAMS, stage=self, optional=True)
        cache_dir = options_from(self, FitOptions).cache_dir
        cache = cache_folder(cache_dir)
        require_shared(get_spark(), cache, workers=self._workers)
        require_writable(cache, name=cache.url)
        clean_cache(cache_dir, days=MAX_UNUSED_DAYS)
        return materialize(dataset, cache, **rows)


class _Models:
    """An iterator over the fits of all param maps that several threads may share."""

    def __init__(self, fit: Callable[[int], LSTMClassificationModel], count: int) -> None:
        self._fit, self._indices, self._lock = fit, iter(range(count)), threading.Lock()

    def __iter__(self) -> _Models:
        return self

    def __next__(self) -> tuple[int, LSTMClassificationModel]:
        with self._lock:
            index = next(self._indices)
        return index, self._fit(index)
