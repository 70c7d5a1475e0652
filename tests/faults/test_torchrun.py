"""`torchrun -m sentispark.train` whose ranks are killed, or told to end: they go on from the newest checkpoint."""

from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sentispark.files import Folder
from sentispark.nn.options import NetOptions
from sentispark.train.config import TrainConfig
from sentispark.train.options import CheckpointOptions, TrainOptions
from sentispark.train.result import TrainedNet
from tests.helpers.ranks import train_ranks
from tests.helpers.toy import toy_rows, write_toy

pytestmark = [pytest.mark.distributed, pytest.mark.endtoend, pytest.mark.alone]

NET = NetOptions(embedding_size=8, hidden_size=8, wide_size=50)
OPTIONS = TrainOptions(max_epochs=6, batch_size=20, reader="arrow", balance="off")


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("toy")
    dataset = write_toy(path / "dataset", {"train": toy_rows(2000, seed=1), "validation": toy_rows(200, seed=2)})
    return TrainConfig(dataset, OPTIONS, NET)


@pytest.fixture(scope="module")
def expected(config):
    return train_ranks(config, 2).weights


class Run:
    """torchrun with two ranks, whose config and output are in a folder."""

    def __init__(self, config, folder, *arguments):
        self.checkpoints, self.output = folder / "run", folder / "net"
        saved = dataclasses.replace(config, checkpoints=CheckpointOptions(str(self.checkpoints), 30))
        (folder / "job.json").write_text(saved.to_json())
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", *arguments]
        command = [*torchrun, "-m", "sentispark.train", "--config", folder / "job.json", "--output", self.output]
        self.process = subprocess.Popen(
            list(map(str, command)), stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2]
        )

    def wait_for_step(self, step):
        ends = time.monotonic() + 100
        while not any(path.name > f"step-{step:010d}" for path in self.checkpoints.glob("step-*")):
            assert time.monotonic() < ends
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.02)

    def ranks(self):
        children = psutil.Process(self.process.pid).children()
        return sorted((one for one in children if "sentispark.train" in one.cmdline()), key=lambda one: one.pid)

    def end(self):
        _, log = self.process.communicate(timeout=120)
        return self.process.returncode, log


def test_ranks_of_which_one_was_killed_are_restarted_and_train_the_same_net(config, expected, tmp_path):
    run = Run(config, tmp_path, "--max-restarts=1")
    run.wait_for_step(200)
    run.ranks()[0].kill()
    status, log = run.end()
    assert status == 0, log
    assert "resuming after step" in log
    assert TrainedNet.load(Folder(str(run.output))).weights == expected
    assert sorted(os.listdir(tmp_path)) == ["job.json", "net", "run"], "no draft of the killed rank is left"


def test_ranks_that_are_told_to_end_save_what_they_have_done(config, expected, tmp_path):
    run = Run(config, tmp_path)
    run.wait_for_step(100)
    os.kill(run.process.pid, signal.SIGTERM)
    status, log = run.end()
    assert status != 0
    assert "The training was saved after step" in log
    again = Run(config, tmp_path)
    status, log = again.end()
    assert status == 0, log
    assert TrainedNet.load(Folder(str(run.output))).weights == expected
