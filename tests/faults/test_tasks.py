"""Tasks that are killed, or run twice at once, change nothing in a dataset, in a fit's rows, or in predictions."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
from pyspark.ml import Pipeline

from sentispark.bench.reviews import write_many_reviews
from sentispark.ml.classifier import LSTMClassifier
from sentispark.text.encoder import ReviewEncoder
from tests.helpers.standalone import standalone

pytestmark = [pytest.mark.distributed, pytest.mark.endtoend, pytest.mark.alone]

# Once some file exists, kills one executor, or stops the Python workers of one and lets them continue later.
DISTURBED = """
import contextlib, json, signal, sys, threading, time
from pathlib import Path
import psutil
import pyspark.sql.functions as F
from sentispark import get_spark
from sentispark.bench.sabotage import executors_of
from sentispark.files import Folder
from sentispark.jobs.predict import predict
from sentispark.ml import materialize
from sentispark.prepare import prepare
from sentispark.reviews import tasks

master, folder, reviews = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
# Spark starts the speculative attempt of a task only on another host.
speculation = {"interval": "50ms", "multiplier": "1.1", "quantile": "0.5", "minTaskRuntime": "1s"}
conf = {f"spark.speculation.{name}": value for name, value in speculation.items()} | {"spark.speculation": "true"}
java = {f"spark.{side}.extraJavaOptions": "-XX:TieredStopAtLevel=1" for side in ("driver", "executor")}
spark = get_spark(master=master, conf=conf | java | {"spark.executor.memory": "700m"})
tasks._SMALLEST = 1000
prepare.rows_per_chunk_of = materialize.rows_per_chunk_of = lambda length: 400

def executors():
    return sorted(executors_of(spark.sparkContext.applicationId), key=lambda one: one.pid)

@contextlib.contextmanager
def disturbed(pattern, action):
    stopped, ended, acted = [], threading.Event(), threading.Event()

    def act():
        while not any(folder.glob(pattern)):
            if ended.wait(0.002):
                return
        executor = executors()[0]
        if action == "kill":
            executor.kill()
        else:
            workers = [worker for daemon in executor.children() for worker in daemon.children()]
            for worker in workers:
                worker.send_signal(signal.SIGSTOP)
            stopped.extend(workers)
        acted.set()

    thread = threading.Thread(target=act)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for worker in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                worker.send_signal(signal.SIGCONT)
        time.sleep(2 * bool(stopped))  # time to write what they were about to write
    assert acted.is_set(), pattern
    until = time.monotonic() + 30
    while len(executors()) < 2:
        assert time.monotonic() < until
        time.sleep(0.1)

def prepared(name):
    prepare.prepare_dataset(spark, reviews, str(folder / name))

prepared("expected")
with disturbed("_killed.draft-*/_draft/spill/0000001/*.arrow", "kill"):
    prepared("killed")
with disturbed("_twice.draft-*/train/*.parquet", "stop"):
    prepared("twice")

number = F.col("id")
rows = spark.range(0, 4000, 1, 8).select(
    F.transform(F.sequence(F.lit(1), 1 + number % 20), lambda place: 2 + place * number % 97).alias("sequence"),
    (number % 2).alias("label"),
)
fitted = dict(features_col="sequence", label_col="label", weight_col=None, validation_col=None)
for name in ("cache-expected", "cache-killed"):
    killed = name != "cache-expected"
    with disturbed(f"{name}/rows-*/train/*", "kill") if killed else contextlib.nullcontext():
        materialize.materialize(rows, Folder(str(folder / name)), **fitted, validation_fraction=0.1, seed=0)

model = str(folder / "model")
predict(spark, model, reviews, str(folder / "predicted"))
with disturbed("_predicted-killed.draft-*/_temporary/0/_temporary/attempt_*", "kill"):
    predict(spark, model, reviews, str(folder / "predicted-killed"))
"""


@pytest.mark.timeout(600)
def test_killed_tasks_and_tasks_that_run_twice_change_no_byte_and_leave_nothing(spark, tmp_path):
    (tmp_path / "reviews").mkdir()
    reviews = write_many_reviews(tmp_path / "reviews", 6000, files=16, processes=1)
    texts = spark.createDataFrame([("good", 1.0), ("bad", 0.0)] * 20, "text string, label double")
    encoder = ReviewEncoder(inputCol="text", outputCol="sequence", minCount=1)
    net = LSTMClassifier(numWorkers=1, embeddingSize=4, hiddenSize=4, maxEpochs=1)
    Pipeline(stages=[encoder, net]).fit(texts).save(str(tmp_path / "model"))
    (tmp_path / "cluster").mkdir()
    with standalone(2, tmp_path / "cluster") as master:
        command = [sys.executable, "-c", DISTURBED, master, tmp_path, *reviews]
        environ = {**os.environ, "PYSPARK_PYTHON": sys.executable}
        done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    expected = files_of(tmp_path / "expected")
    assert len([file for file in expected if file.startswith("train/")]) > 10
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "twice") == expected
    assert files_of(tmp_path / "cache-killed") == files_of(tmp_path / "cache-expected")
    assert predictions_in(tmp_path / "predicted-killed") == predictions_in(tmp_path / "predicted")
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("_")]


def files_of(folder):
    """The bytes of each file below a folder, without what is random in its path; empty folders are empty files."""
    paths = (path for path in folder.rglob("*") if path.is_file() or not any(path.iterdir()))
    files = {re.sub("(rows-[0-9a-f]+)-[0-9a-f]+", r"\1", str(path.relative_to(folder))): path for path in paths}
    return {name: path.read_bytes() if path.is_file() else b"" for name, path in files.items()}


def predictions_in(folder):
    """The rows that each task wrote; there are no other files."""
    names = sorted(path.name for path in folder.iterdir() if not path.name.endswith(".crc"))
    assert names.pop(0) == "_SUCCESS"
    assert names.pop(0) == "_sentispark.json"
    return [(name.split("-")[1], pq.read_table(folder / name).to_pylist()) for name in names]
