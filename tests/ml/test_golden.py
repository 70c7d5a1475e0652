"""A pipeline that an older version saved still loads and gives the same predictions.

`golden/pipeline-1` was saved by the first version of the format. A change that breaks this test breaks the models that
people have: make the new version read the old format, and add a folder for the new one next to it.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from pyspark.ml import PipelineModel

from sentispark import LSTMClassifier, TextPredictor
from sentispark.ml.options import FitOptions
from sentispark.ml.pipeline import load_pipeline
from sentispark.nn.options import NetOptions
from sentispark.spark.params import options_from
from sentispark.train.options import TrainOptions

GOLDEN = Path(__file__).parent / "golden"
FOLDERS = sorted(path.name for path in GOLDEN.glob("pipeline-*"))


def test_every_format_version_has_a_saved_pipeline():
    from sentispark.train.result import FORMAT_VERSION

    assert [f"pipeline-{version}" for version in range(1, FORMAT_VERSION + 1)] == FOLDERS


@pytest.mark.modern
@pytest.mark.parametrize("name", FOLDERS)
def test_a_saved_pipeline_of_an_older_version_gives_the_same_predictions(spark, name):
    expected = json.loads((GOLDEN / name / "expected.json").read_text())
    texts = spark.createDataFrame([(text,) for text in expected["texts"]], "text string").coalesce(1)
    path = str(GOLDEN / name / "saved")
    for pipeline in (PipelineModel.load(path), load_pipeline(path)):
        found = [row.probability[1] for row in pipeline.transform(texts).collect()]
        np.testing.assert_allclose(found, expected["probability"], rtol=0, atol=1e-6)
        assert pipeline.stages[-1].getThreshold() == expected["threshold"]
        assert len(pipeline.stages[-1].summary.history) == expected["epochs"]
    np.testing.assert_allclose(
        TextPredictor.load(path).probability(expected["texts"]), expected["probability"], atol=1e-6
    )


def test_a_saved_estimator_of_an_older_version_has_the_same_options(spark):
    """Since then Params were renamed, and the notation of some defaults has changed."""
    classifier = LSTMClassifier.load(str(GOLDEN / "estimator-1"))
    assert classifier.getMicroBatchSize() == 8
    assert classifier.getGradientWire() == "rows"
    options, expected = options_from(classifier, TrainOptions), TrainOptions(max_epochs=2, batch_size=20)
    assert options == dataclasses.replace(expected, micro_batch_size=8, gradient_wire="rows")
    assert options_from(classifier, FitOptions) == FitOptions()
    assert options_from(classifier, NetOptions) == NetOptions(
        hidden_size=6, embedding_size=5, wide_size=100, num_layers=2
    )
