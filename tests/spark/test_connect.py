"""Over Spark Connect a pipeline is fitted, saved and loaded, and gives the predictions that it gives without Spark."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pyspark
import pytest

from sentispark.errors import SetupError
from sentispark.spark.folders import spark_folder

pytestmark = [
    pytest.mark.endtoend,
    pytest.mark.modern,
    pytest.mark.skipif(int(pyspark.__version__.split(".")[0]) < 4, reason="Spark ML is over Connect from Spark 4 on"),
]

SCRIPT = """
import json, sys
from pyspark.ml import Pipeline, PipelineModel
from pyspark.sql import SparkSession
from sentispark import LSTMClassifier, ReviewEncoder, TextPredictor, get_spark

folder = sys.argv[1]
spark = SparkSession.builder.remote("local[2]").config("spark.sql.shuffle.partitions", "2").getOrCreate()
assert type(spark).__module__.startswith("pyspark.sql.connect")
assert get_spark() is spark
texts = [(row, "good " * (row % 7) + "bad " * (row % 3), int(row % 7 > row % 3)) for row in range(200)]
frame = spark.createDataFrame(texts, "id int, text string, label int")
sizes = {"batchSize": 20, "embeddingSize": 4, "hiddenSize": 4, "wideSize": 50}
classifier = LSTMClassifier(numWorkers=2, maxEpochs=1, validationFraction=0.2, cacheDir=folder + "/cache", **sizes)
Pipeline(stages=[ReviewEncoder(sequenceLength=10), classifier]).fit(frame).save(folder + "/model")
loaded = PipelineModel.load(folder + "/model")
encoder, model = loaded.stages
for stage in loaded.stages:
    for _ in range(2):
        stage.write().overwrite().save(folder + "/stage")
print(json.dumps({
    "words": list(encoder.vocabulary),
    "workers": model.summary.run["workers"],
    "predicted": sorted((row.id, row.probability[1], row.prediction) for row in loaded.transform(frame).collect()),
    "evaluated": model.evaluate(encoder.transform(frame)),
    "alone": TextPredictor.load(folder + "/model").probability([text for _, text, _ in texts]).tolist(),
    "labels": [label for _, _, label in texts],
}))
"""


def test_a_client_of_a_remote_server_must_give_paths_with_a_scheme(monkeypatch):
    monkeypatch.setenv("SPARK_CONNECT_MODE_ENABLED", "1")
    monkeypatch.delenv("SPARK_LOCAL_REMOTE", raising=False)
    with pytest.raises(SetupError, match=r"^Over Spark Connect a path must have a scheme.* Got 'models/mine'\.$"):
        spark_folder("models/mine")
    assert spark_folder("s3://bucket/mine").url == "s3://bucket/mine"
    assert spark_folder("file:/shared/mine").url == "/shared/mine"


def test_a_client_of_connect_trains_and_predicts(tmp_path):
    pytest.importorskip("grpc_status")
    environ = {name: value for name, value in os.environ.items() if name != "SPARK_REMOTE"}
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    run = subprocess.run(
        command, capture_output=True, text=True, env={**environ, "PYSPARK_PYTHON": sys.executable}, check=False
    )
    assert run.returncode == 0, run.stderr[-4000:]
    report = json.loads(run.stdout.strip().splitlines()[-1])
    assert (report["words"], report["workers"]) == (["good", "bad"], 2)
    assert [probability for _, probability, _ in report["predicted"]] == pytest.approx(report["alone"], abs=1e-6)
    right = sum(
        prediction == label for (_, _, prediction), label in zip(report["predicted"], report["labels"], strict=True)
    )
    assert report["evaluated"]["accuracy"] == right / 200
