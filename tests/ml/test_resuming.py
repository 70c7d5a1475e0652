"""Checkpoints, restarts and initial models through the estimator."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sentispark.errors import DatasetError, OptionError, SetupError
from sentispark.ml.classifier import LSTMClassifier
from tests.helpers.toy import toy_rows, write_toy

pytestmark = pytest.mark.spark

SETTINGS = {"maxEpochs": 2, "batchSize": 50, "embeddingSize": 8, "hiddenSize": 8, "wideSize": 50, "reader": "arrow"}


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    path = tmp_path_factory.mktemp("prepared") / "dataset"
    return write_toy(path, {"train": toy_rows(300, seed=1), "validation": toy_rows(60, seed=2)})


@pytest.fixture(scope="module")
def plain(spark, toy):
    return LSTMClassifier(**SETTINGS).fit(toy)


def test_a_fit_that_is_given_again_takes_its_model_from_the_checkpoint(spark, toy, plain, tmp_path, caplog):
    classifier = LSTMClassifier(**SETTINGS, checkpointDir=str(tmp_path / "run"))
    first = classifier.fit(toy)
    caplog.set_level("INFO")
    again = classifier.fit(toy)
    assert first.trained.weights == again.trained.weights == plain.trained.weights
    (attempt,) = again.summary.run["attempts"]
    assert (attempt["workers"], attempt["first_step"], attempt["error"]) == (1, 12, None)
    assert "resuming after step 12, 2 epochs complete: '" in caplog.text


def test_a_checkpoint_of_another_training_is_refused_before_a_rank_starts(spark, toy, tmp_path, monkeypatch):
    LSTMClassifier(**SETTINGS, checkpointDir=str(tmp_path / "run")).fit(toy)
    monkeypatch.setattr("sentispark.ml.classifier.train_with_restarts", None)
    other = LSTMClassifier(**{**SETTINGS, "batchSize": 60}, checkpointDir=str(tmp_path / "run"))
    with pytest.raises(
        DatasetError,
        match=r"'batchSize' was 50 and is 60\. Name another folder, or set 'fresh' to delete the checkpoints there",
    ):
        other.fit(toy)


def test_fresh_begins_anew(spark, toy, tmp_path):
    settings = {**SETTINGS, "checkpointDir": str(tmp_path / "run")}
    LSTMClassifier(**settings).fit(toy)
    found = LSTMClassifier(**{**settings, "batchSize": 60}, fresh=True).fit(toy)
    assert found.summary.run["attempts"][0]["first_step"] == 0
    assert {path.name[:15] for path in (tmp_path / "run").iterdir()} == {"step-0000000005", "step-0000000010"}


def test_a_folder_that_cannot_be_written_to_is_refused_before_a_rank_starts(spark, toy, tmp_path, monkeypatch):
    monkeypatch.setattr("sentispark.ml.classifier.train_with_restarts", None)
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match=r"cannot be written to"):
        LSTMClassifier(**SETTINGS, checkpointDir=str(tmp_path / "file" / "run")).fit(toy)


@pytest.mark.parametrize("given", ["model", "folder", "pipeline"])
def test_a_training_starts_from_a_fitted_model_or_its_folder(spark, toy, plain, tmp_path, given):
    still = {**SETTINGS, "learningRate": 1e-12, "wideLearningRate": 1e-12, "weightDecay": 0.0, "maxEpochs": 1}
    initial = plain
    if given != "model":
        initial = str(tmp_path / "model")
        plain.save(initial if given == "folder" else f"{initial}/stages/1_x")
    found = LSTMClassifier(**still, initialModel=initial, cacheDir=str(tmp_path / "cache")).fit(toy)
    expected = plain.trained.history[-1]["validation"]["log_loss"]
    assert found.trained.history[-1]["validation"]["log_loss"] == pytest.approx(expected, abs=1e-5)


def test_a_saved_estimator_keeps_its_initial_model(spark, plain, tmp_path):
    LSTMClassifier(initialModel=plain, cacheDir=str(tmp_path / "cache")).save(str(tmp_path / "stage"))
    path = LSTMClassifier.load(str(tmp_path / "stage")).getOrDefault("initialModel")
    assert re.fullmatch(r"net-[0-9a-f]{32}", Path(path).name)


def test_a_net_of_another_shape_is_refused_before_a_rank_starts(spark, toy, plain, tmp_path, monkeypatch):
    monkeypatch.setattr("sentispark.ml.classifier.train_with_restarts", None)
    classifier = LSTMClassifier(**{**SETTINGS, "hiddenSize": 9}, initialModel=plain, cacheDir=str(tmp_path / "cache"))
    with pytest.raises(OptionError, match="'hiddenSize' is 9, but the model has 8"):
        classifier.fit(toy)
