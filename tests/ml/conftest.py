"""A small task and a model of it that the tests of this folder share."""

import pytest

from tests.helpers.toy import L, toy_rows

SETTINGS = {
    "embeddingSize": 8,
    "hiddenSize": 8,
    "wideSize": 50,
    "maxEpochs": 3,
    "batchSize": 20,
    "learningRate": 0.03,
    "reader": "arrow",
}


@pytest.fixture(scope="session")
def settings():
    """Params with which the task is learned in a second or two."""
    return dict(SETTINGS)


@pytest.fixture(scope="session")
def frame(spark):
    """The rows `id, sequence, label` of the toy task, 400 of them in two partitions."""
    rows = [(number, row.ids + [0] * (L - len(row.ids)), row.label) for number, row in enumerate(toy_rows(400, seed=1))]
    frame = spark.createDataFrame(rows, "id long, sequence array<int>, label int").repartition(2).cache()
    frame.count()
    return frame


@pytest.fixture(scope="session")
def classifier(settings):
    """The estimator that fitted the model."""
    from sentispark import LSTMClassifier

    return LSTMClassifier(validationFraction=0.25, **settings)


@pytest.fixture(scope="session")
def model(frame, classifier):
    """A model that was fitted on the frame, a quarter of it used for validation."""
    return classifier.fit(frame)
