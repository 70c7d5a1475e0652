"""Ranks as the tasks of a barrier stage, compared with the same ranks started without Spark."""

from __future__ import annotations

import dataclasses
import gc
import os
import platform
import shutil
import signal
import threading
import time

import psutil
import pyarrow as pa
import pytest
from py4j.protocol import Py4JError

from sentispark.cluster.barrier import _collected, train_on_cluster
from sentispark.cluster.monitor import RankMonitor
from sentispark.cluster.options import RestartOptions
from sentispark.cluster.restart import train_with_restarts
from sentispark.errors import RankLostError, SetupError, TrainingError
from sentispark.files import Folder
from sentispark.nn.options import NetOptions
from sentispark.train.checkpoint import remove_checkpoints
from sentispark.train.config import TrainConfig
from sentispark.train.options import CheckpointOptions, TrainOptions
from tests.helpers.ranks import train_ranks
from tests.helpers.toy import toy_rows, write_toy

pytestmark = [pytest.mark.spark, pytest.mark.distributed]

NET = NetOptions(embedding_size=8, hidden_size=8, wide_size=50)
OPTIONS = TrainOptions(max_epochs=2, batch_size=50, learning_rate=0.02, reader="arrow", balance="off")
HOST = platform.node()


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    path = tmp_path_factory.mktemp("toy") / "dataset"
    return write_toy(path, {"train": toy_rows(300, seed=1), "validation": toy_rows(100, seed=2)})


def train(spark, path, workers, emit=lambda event: None):
    return train_on_cluster(spark, TrainConfig(path, OPTIONS, NET), RankMonitor(workers, emit))


def failure(spark, path, workers=2):
    with pytest.raises(TrainingError) as caught:
        train(spark, path, workers)
    assert caught.value.__cause__ is not None
    return str(caught.value)


def measured(history):
    """The history without measured times."""
    return [{name: entry[name] for name in ("epoch", "train_loss", "validation", "batch_sizes")} for entry in history]


@pytest.mark.modern
def test_two_tasks_train_the_net_that_two_ranks_train_without_spark(spark, toy):
    found, expected = train(spark, toy, 2), train_ranks(TrainConfig(toy, OPTIONS, NET), 2)
    assert found.weights == expected.weights
    assert measured(found.history) == measured(expected.history)
    assert found.run == expected.run
    assert (found.options, found.vocabulary_size, found.sequence_length) == (NET, 12, 8)


def test_a_net_of_several_pieces_comes_back_whole(spark, tmp_path):
    wide = NetOptions(embedding_size=64, hidden_size=4, wide_size=50)
    path = write_toy(tmp_path, {"train": toy_rows(20)}, vocabulary_size=10_000)
    config = TrainConfig(path, TrainOptions(max_epochs=1, reader="arrow"), wide)
    trained = train_on_cluster(spark, config, RankMonitor(1, lambda event: None))
    assert len(trained.weights) > 10_000 * 64 * 4 > 2 << 20
    assert trained.module().embedding.weight.shape == (10_000, 64)


def test_events_of_the_first_rank_reach_the_driver_while_the_job_runs(spark, toy):
    events, stages = [], []

    def emit(event):
        stages.append(spark.sparkContext.statusTracker().getActiveStageIds())
        events.append(event)

    trained = train(spark, toy, 2, emit)
    assert stages[0], "the first event came when no stage was running"
    assert [event for event in events if event["kind"] == "epoch"] == [
        {"kind": "epoch", **entry} for entry in trained.history
    ]
    progress = [event for event in events if event["kind"] == "progress"]
    assert progress[0] == {"kind": "progress", "epoch": 1, "step": 1, "steps": 6}


def test_more_ranks_than_slots_are_refused_before_anything_starts(spark, toy):
    with pytest.raises(SetupError, match="'numWorkers' must be at most the number of tasks that run at once"):
        train(spark, toy, 3)


@pytest.mark.timeout(60)
def test_ranks_that_find_no_dataset_fail_in_one_sentence_with_rank_and_host(spark, tmp_path):
    message = failure(spark, f"{tmp_path}/none")
    assert message in [
        f"[rank {rank}/2 on {HOST}] '{tmp_path}/none' must be a dataset. Nothing is there. "
        "Run 'sentispark prepare' first."
        for rank in range(2)
    ]


@pytest.mark.timeout(60)
def test_a_chunk_that_a_rank_cannot_read_is_named_with_that_rank(spark, toy, tmp_path):
    path = shutil.copytree(toy, tmp_path / "dataset")
    chunk = path / "train/chunk-000002.parquet"
    chunk.write_bytes(b"x" * chunk.stat().st_size)  # of the same size, so that opening the dataset does not notice it
    message = failure(spark, str(path))
    assert message.startswith(f"[rank 1/2 on {HOST}] '{chunk}' must be a Parquet file. It cannot be read:")


@pytest.mark.timeout(60)
def test_a_loss_of_nan_ends_the_stage(spark, toy):
    options = dataclasses.replace(OPTIONS, optimizer="sgd", learning_rate=1e30, gradient_clip=None)
    with pytest.raises(TrainingError) as caught:
        train_on_cluster(spark, TrainConfig(toy, options, NET), RankMonitor(2, lambda event: None))
    assert str(caught.value).endswith(
        f"/2 on {HOST}] The loss of epoch 1 is nan. Lower the learning rate or clip gradients."
    )


@pytest.mark.timeout(120)
def test_ranks_without_the_requested_gpus_are_refused_before_they_connect(spark, toy):
    options = dataclasses.replace(OPTIONS, device="cuda")
    with pytest.raises(TrainingError) as caught:
        train_on_cluster(spark, TrainConfig(toy, options, NET), RankMonitor(2, lambda event: None))
    assert str(caught.value).endswith(
        f"/2 on {HOST}] Device 'cuda' needs a GPU for each rank. There is none for rank 0 on 127.0.0.1 and rank 1 on "
        "127.0.0.1. Give each task a GPU, use fewer ranks, or use device 'cpu'."
    )


def state_of_workers(spark):
    """Torch's threads, its process group and the environment of both of Spark's Python workers, by process id."""

    def look(batches):
        import torch
        from pyspark import BarrierTaskContext

        for _ in batches:
            pass
        BarrierTaskContext.get().barrier()  # so that one worker does not run both tasks
        state = {
            "pid": [os.getpid()],
            "threads": [torch.get_num_threads()],
            "group": [torch.distributed.is_initialized()],
            "environment": [sorted(f"{name}={value}" for name, value in os.environ.items())],
        }
        yield pa.RecordBatch.from_pydict(state)

    schema = "pid long, threads long, group boolean, environment array<string>"
    rows = spark.range(0, 2, 1, 2).mapInArrow(look, schema, barrier=True).collect()
    return {row.pid: (row.threads, row.group, row.environment) for row in rows}


def test_fits_do_not_change_the_state_of_sparks_workers(spark, toy):
    train(spark, toy, 2)  # a warm-up that loads all modules
    before, driver = state_of_workers(spark), dict(os.environ)
    nets = [train(spark, toy, 2) for _ in range(2)]
    after = state_of_workers(spark)
    assert nets[0].weights == nets[1].weights
    assert len(before) == 2
    assert before.keys() & after.keys(), "Spark has not reused a worker, so this test shows nothing"
    for pid in before.keys() & after.keys():
        assert after[pid] == before[pid]
        assert after[pid][1] is False
    assert dict(os.environ) == driver


def test_a_failed_fit_does_not_affect_the_next_one(spark, toy, tmp_path):
    expected = train(spark, toy, 2).weights
    failure(spark, f"{tmp_path}/none")
    assert train(spark, toy, 2).weights == expected


def usage(spark):
    """Threads, open files and children of this process and of both of Spark's Python workers."""
    gc.collect()
    processes = [psutil.Process(), *(psutil.Process(pid) for pid in state_of_workers(spark))]
    return [(process.num_threads(), process.num_fds(), process.memory_info().rss) for process in processes]


def test_many_fits_in_one_session_leave_nothing_behind(spark, toy, tmp_path):
    checkpoints = CheckpointOptions(str(tmp_path / "run"))
    config = TrainConfig(toy, dataclasses.replace(OPTIONS, max_epochs=1), NET, checkpoints=checkpoints)

    def fits(count):
        for _ in range(count):
            remove_checkpoints(Folder(checkpoints.checkpoint_dir), keep=0)
            train_with_restarts(spark, config, 2, lambda event: None, RestartOptions())
        return usage(spark)

    before, after = fits(3), fits(12)
    for (threads, files, memory), (more_threads, more_files, more_memory) in zip(before, after, strict=True):
        assert more_threads <= threads + 1
        assert more_files <= files + 2
        assert more_memory <= memory + (30 << 20)


def test_two_fits_at_once_wait_for_slots_and_both_finish(spark, toy):
    expected = train(spark, toy, 2).weights
    found = []

    def fit():
        config = TrainConfig(toy, OPTIONS, NET)
        found.append(train_with_restarts(spark, config, 2, lambda event: None, RestartOptions()).weights)

    threads = [threading.Thread(target=fit) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert found == [expected] * 3


def test_an_interrupted_fit_ends_its_ranks_and_leaves_the_session_usable(spark, toy):
    """A notebook's Ctrl-C arrives while the driver waits for the job."""
    options = dataclasses.replace(OPTIONS, max_epochs=10_000)
    timer = threading.Timer(6, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        train_with_restarts(spark, TrainConfig(toy, options, NET), 2, lambda event: None, RestartOptions())
    while spark.sparkContext.statusTracker().getActiveStageIds():
        assert time.monotonic() - started < 16
        time.sleep(0.1)
    assert time.monotonic() - started < 16
    train(spark, toy, 2)


def test_the_reason_for_a_lost_rank_is_reported_and_not_the_call_that_failed():
    text = (
        "An error occurred while calling o96.collectToPython.\n: org.apache.spark.SparkException: Job aborted due to "
        "stage failure: Could not recover from a failed barrier ResultStage. Most recent failure reason: Stage failed "
        "because barrier task ResultTask(1, 1) finished unsuccessfully.\nExecutorLostFailure (executor 3 exited caused "
        "by one of the running tasks) Reason: Command exited with code 137\n\tat org.apache.spark.X.y(X.scala:1)"
    )

    class Job:
        def collect(self):
            raise Py4JError(text)

    with pytest.raises(RankLostError, match=r"^A rank failed: Executor 3 was killed \(Command exited with code 137\)"):
        _collected(Job(), RankMonitor(2, lambda event: None))
