"""Callbacks of a training: the interface, and implementations for TensorBoard and MLflow."""

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

__all__ = ["Callback", "CallbackList", "MLflow", "TensorBoard", "metrics_of"]

_log = logging.getLogger(__name__)


class Callback:
    """Methods that are called on the driver during a training; override the ones you need.

    An exception in a method is logged and the training goes on; only `on_start` can stop it. Fits in several threads
    share the callback: the state of a single training belongs in the object that `on_start` returns.
    """

    def on_start(self, params: Mapping[str, Any]) -> Callback | None:
        """Called before the ranks start with the estimator's Params by name.

        Returns
        -------
        Callback or None
            The callback for the rest of this training; None for this one.
        """

    def on_epoch(self, epoch: EpochEntry) -> None:
        """Called after each epoch, in order, with its entry in `summary.history`; not in the thread of the fit."""

    def on_end(self, model: LSTMClassificationModel) -> None:
        """Called after the training with the model that `fit` returns."""

    def on_error(self, error: BaseException) -> None:
        """Called when the training has failed."""


def metrics_of(epoch: EpochEntry) -> dict[str, float]:
    """The numbers of an epoch's entry by name; those of the validation are named `validation_log_loss` etc."""
    validation = {f"validation_{name}": value for name, value in (epoch["validation"] or {}).items()}
    return {
        name: float(value)
        for name, value in {**epoch, **validation}.items()
        if isinstance(value, (int, float)) and name != "epoch"
    }


class TensorBoard(Callback):
    """Writes event files for TensorBoard, with the package tensorboardX.

    Parameters
    ----------
    folder : str
        The log directory. Each training writes a run of its own into it, named by its start time.
    clock : callable
        Returns the current time.
    """

    def __init__(self, folder: str, *, clock: Callable[[], datetime] = datetime.now) -> None:
        self._folder, self._clock = folder, clock

    def on_start(self, params: Mapping[str, Any]) -> Callback:
        """Open the run's file."""
        with _required_package("tensorboardX", extra="tensorboard"):
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
    """Logs the params, the metrics of each epoch and the model, in MLflow's Spark flavor, to a run of its own.

    The run is nested in the active one, if any, so that it can hold several trainings.

    Parameters
    ----------
    log_model : bool
        Whether to log the model.
    """

    def __init__(self, *, log_model: bool = True) -> None:
        self._log_model = log_model

    def on_start(self, params: Mapping[str, Any]) -> Callback:
        """Start the run and log the params."""
        with _required_package("mlflow", extra="mlflow"):
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

        # By the run's id: active runs belong to a thread, and this is not the thread that started the run.
        mlflow.log_metrics(metrics_of(epoch), step=epoch["epoch"], run_id=self._run_id)

    def on_end(self, model: LSTMClassificationModel) -> None:
        import mlflow.spark

        try:
            if self._log_model:
                # Explicit, or MLflow starts a process that loads the model to find out what it imports.
                requirements = [f"sentispark=={__version__}", f"pyspark=={pyspark.__version__}"]
                mlflow.spark.log_model(model, "model", pip_requirements=requirements)
        finally:
            mlflow.end_run("FINISHED")

    def on_error(self, error: BaseException) -> None:
        import mlflow

        mlflow.end_run("FAILED")


@contextlib.contextmanager
def _required_package(package: str, *, extra: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise SetupError(
            f"This callback needs the package '{package}'. It cannot be imported ({error}): "
            f"pip install 'sentispark[{extra}]'."
        ) from error


class CallbackList:
    """The callbacks of one training.

    Parameters
    ----------
    callbacks : sequence of Callback
    """

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self._callbacks = callbacks
        self._started: list[Callback] = []
        # Epochs come from the thread that receives progress, and may still arrive when the training has ended.
        self._lock, self._last_epoch, self._closed = threading.Lock(), 0, False

    def start(self, params: Mapping[str, Any]) -> None:
        """The training begins. Exceptions of callbacks are not caught: no work has been done yet."""
        for callback in self._callbacks:
            self._started.append(callback.on_start(params) or callback)

    def on_event(self, event: Event) -> None:
        """Pass the end of an epoch on to the callbacks, once for each epoch; ignore other events.

        Epochs that ended before a training was resumed count too.
        """
        if event["kind"] == "resume":
            with self._lock:
                for epoch in event["history"]:
                    self._epoch(epoch)
        if event["kind"] == "epoch":
            with self._lock:
                self._epoch(cast("EpochEntry", {name: value for name, value in event.items() if name != "kind"}))

    def end(self, model: LSTMClassificationModel) -> None:
        """The training has succeeded. Epochs that the ranks could not report earlier are passed on now."""
        with self._lock:
            for epoch in model.summary.history:
                self._epoch(epoch)
            self._close("on_end", model)

    def fail(self, error: BaseException) -> None:
        """The training has failed; only callbacks that have started are called."""
        with self._lock:
            self._close("on_error", error)

    def _epoch(self, epoch: EpochEntry) -> None:
        if not self._closed and epoch["epoch"] > self._last_epoch:
            self._last_epoch = epoch["epoch"]
            self._call("on_epoch", epoch)

    def _close(self, method: str, argument: Any) -> None:
        self._closed = True
        self._call(method, argument)

    def _call(self, method: str, argument: Any) -> None:
        for callback in self._started:
            try:
                getattr(callback, method)(argument)
            except Exception:
                _log.warning("%s.%s failed. The training goes on.", type(callback).__name__, method, exc_info=True)
