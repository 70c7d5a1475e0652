"""Who is told how a training goes on: a small protocol, and TensorBoard and MLflow that speak it."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pyspark

from sentispark import __version__
from sentispark.errors import SetupError

if TYPE_CHECKING:
    from sentispark.ml.model import LSTMClassificationModel
    from sentispark.train.events import Event

__all__ = ["Audience", "Callback", "MLflow", "TensorBoard", "metrics_of"]

_log = logging.getLogger(__name__)


class Callback:
    """Told on the driver how a training goes on; override what is wanted.

    What a method raises is logged, and the training goes on; `on_start` alone may stop it.
    """

    def on_start(self, params: Mapping[str, Any]) -> None:
        """Before the ranks start: the estimator's Params by name."""

    def on_epoch(self, epoch: Mapping[str, Any]) -> None:
        """After each epoch, in order: its entry in the model's `summary.history`."""

    def on_end(self, model: LSTMClassificationModel) -> None:
        """After the training: what `fit` returns."""

    def on_error(self, error: BaseException) -> None:
        """When the training has failed."""


def metrics_of(epoch: Mapping[str, Any]) -> dict[str, float]:
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
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def on_start(self, params: Mapping[str, Any]) -> None:
        """Open the run's file."""
        with _needed("tensorboardX", extra="tensorboard"):
            from tensorboardX import SummaryWriter
        self._writer = SummaryWriter(f"{self._folder}/{datetime.now():%Y%m%d-%H%M%S-%f}")
        self._writer.add_text("params", "  \n".join(f"{name}: {value}" for name, value in params.items()))

    def on_epoch(self, epoch: Mapping[str, Any]) -> None:
        """A point of each metric."""
        for name, value in metrics_of(epoch).items():
            self._writer.add_scalar(name, value, epoch["epoch"])
        self._writer.flush()

    def on_end(self, model: LSTMClassificationModel) -> None:
        """Close the run's file."""
        self._writer.close()

    def on_error(self, error: BaseException) -> None:
        """Close the run's file."""
        self._writer.close()


class MLflow(Callback):
    """Logs params, the metrics of each epoch and the model, as MLflow's Spark flavour, to the active run or a new one.

    Parameters
    ----------
    log_model : bool
    """

    def __init__(self, *, log_model: bool = True) -> None:
        self._log_model = log_model

    def on_start(self, params: Mapping[str, Any]) -> None:
        """Log the params."""
        with _needed("mlflow", extra="mlflow"):
            import mlflow
        self._mlflow, self._owns_run = mlflow, mlflow.active_run() is None
        self._run = mlflow.active_run() or mlflow.start_run()
        mlflow.log_params(dict(params))

    def on_epoch(self, epoch: Mapping[str, Any]) -> None:
        """Log a point of each metric."""
        # By the run's id: an active run is one of a thread, and this is not the thread that started it.
        self._mlflow.log_metrics(metrics_of(epoch), step=epoch["epoch"], run_id=self._run.info.run_id)

    def on_end(self, model: LSTMClassificationModel) -> None:
        """Log the model and end the run, if it was started here."""
        try:
            if self._log_model:
                import mlflow.spark

                # Named, or MLflow starts a process that loads the model to see what it imports.
                needs = [f"sentispark=={__version__}", f"pyspark=={pyspark.__version__}"]
                mlflow.spark.log_model(model, "model", pip_requirements=needs)
        finally:
            self._end("FINISHED")

    def on_error(self, error: BaseException) -> None:
        """End the run as failed, if it was started here."""
        self._end("FAILED")

    def _end(self, status: str) -> None:
        if self._owns_run:
            self._mlflow.end_run(status)


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
        self._callbacks, self._started, self._epochs = callbacks, [], 0

    def start(self, params: Mapping[str, Any]) -> None:
        """The training begins. Whatever a callback raises comes through: nothing has been done yet."""
        for callback in self._callbacks:
            callback.on_start(params)
            self._started.append(callback)

    def hear(self, event: Event) -> None:
        """An event of the training: of the epochs' ends the callbacks are told."""
        if event["kind"] == "epoch":
            self._epochs += 1
            self._tell("on_epoch", {name: value for name, value in event.items() if name != "kind"})

    def end(self, model: LSTMClassificationModel) -> None:
        """The training has ended well. A driver that ranks could not reach hears of the epochs only now."""
        for epoch in model.summary.history[self._epochs :]:
            self._tell("on_epoch", epoch)
        self._tell("on_end", model)

    def fail(self, error: BaseException) -> None:
        """The training has failed; callbacks that it was not started for do not hear of it."""
        self._tell("on_error", error)

    def _tell(self, method: str, what: Any) -> None:
        for callback in self._started:
            try:
                getattr(callback, method)(what)
            except Exception:
                _log.warning("%s.%s failed; nothing else stops for it.", type(callback).__name__, method, exc_info=True)
