"""Who is told how a training goes on: a small protocol, and TensorBoard and MLflow that speak it."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import pyspark

from sentispark import __version__
from sentispark.errors import SetupError

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter

    from sentispark.ml.model import LSTMClassificationModel
    from sentispark.train.events import EpochEntry, Event

__all__ = ["Audience", "Callback", "MLflow", "TensorBoard", "metrics_of"]

_log = logging.getLogger(__name__)


class Callback:
    """Told on the driver how a training goes on; override what is wanted.

    What a method raises is logged, and the training goes on; `on_start` alone may stop it. Fits in several threads
    share the callback: what is kept of one training alone belongs into the object that `on_start` returns.
    """

    def on_start(self, params: Mapping[str, Any]) -> Callback | None:
        """Before the ranks start: the estimator's Params by name. Returns whom to tell of the rest, None for self."""

    def on_epoch(self, epoch: EpochEntry) -> None:
        """After each epoch, in order: its entry in the model's `summary.history`. Not in the thread of the fit."""

    def on_end(self, model: LSTMClassificationModel) -> None:
        """After the training: what `fit` returns."""

    def on_error(self, error: BaseException) -> None:
        """When the training has failed."""


def metrics_of(epoch: EpochEntry) -> dict[str, float]:
    """The numbers of an epoch's entry by name, those of the validation as `validation_log_loss` and so on."""
    validation = {f"validation_{name}": value for name, value in (epoch["validation"] or {}).items()}
    return {
        name: float(value)
        for name, value in {**epoch, **validation}.items()
        if isinstance(value, (int, float)) and name != "epoch"
    }


class TensorBoard(Callback):
    """Writes what TensorBoard shows, with the package tensorboardX.

    Parameters
    ----------
    folder : str
        Each training writes a run of its own into it, named by the time at which it starts.
    clock : callable
        The time of day.
    """

    def __init__(self, folder: str, *, clock: Callable[[], datetime] = datetime.now) -> None:
        self._folder, self._clock = folder, clock

    def on_start(self, params: Mapping[str, Any]) -> Callback:
        """Open the run's file."""
        with _needed("tensorboardX", extra="tensorboard"):
            from tensorboardX import SummaryWriter
        writer = SummaryWriter(f"{self._folder}/{self._clock():%Y%m%d-%H%M%S-%f}")
        writer.add_text("params", "  \n".join(f"{name}: {value}" for name, value in params.items()))
        return _Board(writer)


class _Board(Callback):
    def __init__(self, writer: SummaryWriter) -> None:
        self._writer = writer

    def on_epoch(self, epoch: EpochEntry) -> None:
        for name, value in metrics_of(epoch).items():
            self._writer.add_scalar(name, value, epoch["epoch"])
        self._writer.flush()

    def on_end(self, model: LSTMClassificationModel) -> None:
        self._writer.close()

    def on_error(self, error: BaseException) -> None:
        self._writer.close()


class MLflow(Callback):
    """Logs params, the metrics of each epoch and the model, as MLflow's Spark flavour, to a run of its own.

    The run is nested in the one that is active, so that several trainings may go on within it.

    Parameters
    ----------
    log_model : bool
    """

    def __init__(self, *, log_model: bool = True) -> None:
        self._log_model = log_model

    def on_start(self, params: Mapping[str, Any]) -> Callback:
        """Start the run and log the params."""
        with _needed("mlflow", extra="mlflow"):
            import mlflow
        run = mlflow.start_run(nested=True)
        try:
            mlflow.log_params(dict(params))
        except BaseException:
            mlflow.end_run("FAILED")
            raise
        return _MLflowRun(run.info.run_id, log_model=self._log_model)


class _MLflowRun(Callback):
    def __init__(self, run_id: str, *, log_model: bool) -> None:
        self._run_id, self._log_model = run_id, log_model

    def on_epoch(self, epoch: EpochEntry) -> None:
        import mlflow

        # By the run's id: an active run is one of a thread, and this is not the thread that started it.
        mlflow.log_metrics(metrics_of(epoch), step=epoch["epoch"], run_id=self._run_id)

    def on_end(self, model: LSTMClassificationModel) -> None:
        import mlflow.spark

        try:
            if self._log_model:
                # Named, or MLflow starts a process that loads the model to see what it imports.
                needs = [f"sentispark=={__version__}", f"pyspark=={pyspark.__version__}"]
                mlflow.spark.log_model(model, "model", pip_requirements=needs)
        finally:
            mlflow.end_run("FINISHED")

    def on_error(self, error: BaseException) -> None:
        import mlflow

        mlflow.end_run("FAILED")


@contextlib.contextmanager
def _needed(package: str, *, extra: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise SetupError(
            f"This callback needs the package '{package}'. It cannot be imported ({error}): "
            f"pip install 'sentispark[{extra}]'."
        ) from error


class Audience:
    """The callbacks of one training.

    Parameters
    ----------
    callbacks : sequence of Callback
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._callbacks = callbacks
        self._listeners: list[Callback] = []
        # Epochs come from the thread that hears of progress, and may still be under way when the training has ended.
        self._lock, self._last_epoch, self._closed = threading.Lock(), 0, False

    def start(self, params: Mapping[str, Any]) -> None:
        """The training begins. Whatever a callback raises comes through: nothing has been done yet."""
        for callback in self._callbacks:
            self._listeners.append(callback.on_start(params) or callback)

    def hear(self, event: Event) -> None:
        """An event of the training: of the epochs' ends the callbacks are told, of each once."""
        if event["kind"] == "epoch":
            with self._lock:
                self._epoch(cast("EpochEntry", {name: value for name, value in event.items() if name != "kind"}))

    def end(self, model: LSTMClassificationModel) -> None:
        """The training has ended well. A driver that ranks could not reach hears of the epochs only now."""
        with self._lock:
            for epoch in model.summary.history:
                self._epoch(epoch)
            self._close("on_end", model)

    def fail(self, error: BaseException) -> None:
        """The training has failed; callbacks that it was not started for do not hear of it."""
        with self._lock:
            self._close("on_error", error)

    def _epoch(self, epoch: EpochEntry) -> None:
        if not self._closed and epoch["epoch"] > self._last_epoch:
            self._last_epoch = epoch["epoch"]
            self._tell("on_epoch", epoch)

    def _close(self, method: str, what: Any) -> None:
        self._closed = True
        self._tell(method, what)

    def _tell(self, method: str, what: Any) -> None:
        for listener in self._listeners:
            try:
                getattr(listener, method)(what)
            except Exception:
                _log.warning("%s.%s failed; nothing else stops for it.", type(listener).__name__, method, exc_info=True)
