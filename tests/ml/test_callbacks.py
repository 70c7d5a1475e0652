"""Callbacks receive the epochs that the model's history has."""

from __future__ import annotations

import contextlib
import struct
import sys
import threading
from types import SimpleNamespace

import pytest

from sentispark import LSTMClassifier
from sentispark.errors import OptionError, SetupError
from sentispark.ml.callbacks import Callback, CallbackList, MLflow, TensorBoard, metrics_of

EPOCH = {"epoch": 2, "train_loss": 0.5, "validation": {"log_loss": 0.25, "confusion": [[1]]}, "balance": []}


class Recorder(Callback):
    """Records the calls."""

    def __init__(self):
        self.calls = []

    def on_start(self, params):
        self.calls.append(("start", params))

    def on_epoch(self, epoch):
        self.calls.append(("epoch", epoch))

    def on_end(self, model):
        self.calls.append(("end", model))

    def on_error(self, error):
        self.calls.append(("error", error))


class Broken(Callback):
    def on_epoch(self, epoch):
        raise ValueError("no disk")

    on_end = on_error = on_epoch


@pytest.fixture
def classifier(settings):
    return LSTMClassifier(**{**settings, "maxEpochs": 2})


def test_they_are_called_at_the_start_after_each_epoch_and_at_the_end(classifier, frame, caplog):
    recorder = Recorder()
    model = classifier.setCallbacks(Broken(), recorder).copy().fit(frame)
    assert [kind for kind, _ in recorder.calls] == ["start", "epoch", "epoch", "end"]
    assert recorder.calls[0][1]["maxEpochs"] == 2
    assert [epoch for kind, epoch in recorder.calls if kind == "epoch"] == model.summary.history
    assert recorder.calls[-1][1] is model
    assert caplog.text.count("failed. The training goes on.") == 3


def test_epochs_that_ranks_could_not_send_are_passed_on_at_the_end(classifier, frame, monkeypatch):
    @contextlib.contextmanager
    def unreachable(emit, *, host, bind):
        yield None

    monkeypatch.setattr("sentispark.cluster.barrier.listening", unreachable)
    recorder = Recorder()
    model = classifier.setCallbacks(recorder).fit(frame)
    assert [kind for kind, _ in recorder.calls] == ["start", "epoch", "epoch", "end"]
    assert [epoch for kind, epoch in recorder.calls if kind == "epoch"] == model.summary.history


def test_each_epoch_is_passed_on_once_and_none_after_the_end():
    slow, begun = threading.Event(), threading.Event()

    class Slow(Recorder):
        def on_epoch(self, epoch):
            begun.set()
            slow.wait(5)
            super().on_epoch(epoch["epoch"])

    recorder = Slow()
    callbacks = CallbackList([recorder])
    callbacks.start({})
    history = [{"epoch": number} for number in (1, 2, 3)]
    thread = threading.Thread(target=lambda: [callbacks.on_event({"kind": "epoch", **entry}) for entry in history])
    thread.start()
    begun.wait(5)
    ending = threading.Thread(target=callbacks.end, args=[SimpleNamespace(summary=SimpleNamespace(history=history))])
    ending.start()
    slow.set()
    thread.join()
    ending.join()
    kinds = [kind for kind, _ in recorder.calls]
    assert kinds == ["start", "epoch", "epoch", "epoch", "end"]
    assert [number for kind, number in recorder.calls if kind == "epoch"] == [1, 2, 3]


def test_a_failed_fit_calls_on_error(classifier, frame):
    recorder = Recorder()
    with pytest.raises(OptionError) as caught:
        classifier.setEmbeddingPath("nowhere").setCallbacks(Broken(), recorder).fit(frame)
    assert recorder.calls[-1] == ("error", caught.value)


def test_a_failed_start_calls_on_error_of_those_that_have_started(classifier, frame):
    class Refusing(Recorder):
        def on_start(self, params):
            raise ValueError("not today")

    recorder, refusing = Recorder(), Refusing()
    with pytest.raises(ValueError, match="not today"):
        classifier.setCallbacks(recorder, refusing).fit(frame)
    assert [kind for kind, _ in recorder.calls] == ["start", "error"]
    assert refusing.calls == []


def test_metrics_are_the_numbers_of_an_epoch():
    assert metrics_of(EPOCH) == {"train_loss": 0.5, "validation_log_loss": 0.25}
    assert metrics_of({**EPOCH, "validation": None}) == {"train_loss": 0.5}


def test_tensorboard_gets_a_point_a_metric_and_epoch(tmp_path):
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    shared = TensorBoard(str(tmp_path))
    first, second = shared.on_start({"maxEpochs": 2}), shared.on_start({"maxEpochs": 3})  # two fits at once
    first.on_epoch(EPOCH)
    second.on_error(ValueError())
    first.on_end(None)
    file, other = sorted(tmp_path.glob("*/events*"))
    assert b"validation_log_loss" not in other.read_bytes()
    content, found = file.read_bytes(), {}
    while content:
        (size,) = struct.unpack("<Q", content[:8])
        event, content = event_pb2.Event.FromString(content[12 : 12 + size]), content[16 + size :]
        found.update({value.tag: (event.step, value.simple_value) for value in event.summary.value})
    assert {name: value for name, value in found.items() if "params" not in name} == {
        "train_loss": (2, 0.5),
        "validation_log_loss": (2, 0.25),
    }


def test_without_its_package_a_callback_names_the_extra_to_install(classifier, frame, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(SetupError, match=r"pip install 'sentispark\[tensorboard\]'"):
        classifier.setCallbacks(TensorBoard("runs")).fit(frame)


class TestMLflow:
    """Runs of MLflow, in its file store."""

    @pytest.fixture
    def mlflow(self, tmp_path, monkeypatch):
        mlflow = pytest.importorskip("mlflow")
        monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "")  # MLflow sets it itself; undone with the others
        before = mlflow.get_tracking_uri()
        mlflow.set_tracking_uri(f"{tmp_path.as_uri()}/runs")
        yield mlflow
        mlflow.set_tracking_uri(before)

    def test_it_logs_params_metrics_and_the_model(self, mlflow, classifier, frame):
        model = classifier.setValidationFraction(0.25).setCallbacks(MLflow()).fit(frame)
        run = mlflow.last_active_run()
        assert (run.info.status, run.data.params["maxEpochs"]) == ("FINISHED", "2")
        history = mlflow.MlflowClient().get_metric_history(run.info.run_id, "validation_roc_auc")
        assert [(point.step, point.value) for point in history] == [
            (epoch["epoch"], epoch["validation"]["roc_auc"]) for epoch in model.summary.history
        ]
        import mlflow.spark

        loaded = mlflow.spark.load_model(f"runs:/{run.info.run_id}/model")
        assert loaded.stages[-1].trained.weights == model.trained.weights

    def test_within_an_active_run_each_training_has_a_nested_run(self, mlflow, classifier, frame):
        with mlflow.start_run() as run:
            for epochs in (1, 2):
                classifier.setMaxEpochs(epochs).setCallbacks(MLflow(log_model=False)).fit(frame)
            assert mlflow.active_run().info.run_id == run.info.run_id
        own = mlflow.MlflowClient().search_runs(["0"], f"tags.mlflow.parentRunId = '{run.info.run_id}'")
        assert sorted(one.data.params["maxEpochs"] for one in own) == ["1", "2"]

    def test_params_that_cannot_be_logged_leave_no_open_run(self, mlflow, monkeypatch):
        def refuse(params):
            raise ValueError("no server")

        monkeypatch.setattr(mlflow, "log_params", refuse)
        with pytest.raises(ValueError, match="no server"):
            MLflow().on_start({})
        assert mlflow.active_run() is None
        assert mlflow.last_active_run().info.status == "FAILED"

    def test_a_fit_that_fails_is_a_run_that_failed(self, mlflow, classifier, frame):
        with pytest.raises(OptionError):
            classifier.setEmbeddingPath("nowhere").setCallbacks(MLflow()).fit(frame)
        assert mlflow.active_run() is None
        assert mlflow.last_active_run().info.status == "FAILED"
