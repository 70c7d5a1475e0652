"""Trainings whose executors, ranks and driver are killed: they finish, with the net of one that nobody disturbed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sentispark.files import Folder
from sentispark.text.wordlist import WordList
from sentispark.train.result import TrainedNet
from tests.helpers.toy import VOCABULARY, toy_rows, write_toy

pytestmark = [pytest.mark.distributed, pytest.mark.endtoend, pytest.mark.alone]

ROOT = Path(__file__).parents[2]


def command(*arguments):
    """`sentispark` as a process of its own, in a session of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "sentispark", *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def result(process):
    out, err = process.communicate(timeout=580)
    assert process.returncode == 0, err[-3000:]
    return json.loads(out.splitlines()[-1]), err


@pytest.mark.timeout(600)
def test_killed_executors_and_ranks_change_nothing(tmp_path):
    master = "local-cluster[3,1,1024]"
    flags = ["--kills", 2, "--times", 0, "--output", tmp_path, "--master", master]
    found, _ = result(command("bench", "faults", *flags))
    assert found["kills"] == found["finished"] == found["bitwise_equal"] == found["rows_counted_once"] == 2
    assert found["noticed_seconds"]["max"] <= 15
    # A checkpoint is written every 20 steps; the one that is being written when the fault comes may be lost.
    assert all(trial["wasted_steps"] <= 40 for trial in found["trials"])


@pytest.mark.timeout(600)
def test_a_driver_that_was_killed_goes_on_when_the_command_is_given_again(tmp_path):
    rows = {"train": toy_rows(2000, seed=1), "validation": toy_rows(200, seed=2)}
    words = WordList(tuple(f"word{number}" for number in range(2, VOCABULARY)))
    dataset = write_toy(tmp_path / "dataset", rows, words=words)
    options = ["--workers", 2, "--batch-size", 20, "--balance", "off", "--reader", "arrow", "--master", "local[2]"]
    net = ["--wide-size", 100, "--embedding-size", 8, "--hidden-size", 8]
    checkpoints = tmp_path / "run"
    resumable = ["--checkpoint-dir", checkpoints, "--checkpoint-interval", 30]
    result(command("train", dataset, "--output", tmp_path / "expected", *options, *net))
    first = command("train", dataset, "--output", tmp_path / "model", *options, *net, *resumable)
    ends = time.monotonic() + 120
    while not any(path.name > "step-0000000130" for path in checkpoints.glob("step-*")):
        assert time.monotonic() < ends
        assert first.poll() is None, first.communicate()
        time.sleep(0.05)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    assert not (tmp_path / "model").exists()
    _, log = result(command("train", dataset, "--output", tmp_path / "model", *options, *net, *resumable))
    assert "resuming after step" in log
    assert net_of(tmp_path / "model").weights == net_of(tmp_path / "expected").weights


def net_of(model):
    (stage,) = (model / "stages").glob("1_*")
    return TrainedNet.load(Folder(str(stage)))
