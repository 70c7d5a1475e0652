"""Ranks on several hosts made of network namespaces: they find each other, and each uses the core it was given."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from sentispark.nn.options import NetOptions
from sentispark.train.config import TrainConfig
from sentispark.train.options import TrainOptions
from tests.helpers.hosts import hosts
from tests.helpers.ranks import train_ranks
from tests.helpers.spark_hosts import ROOT, spark_hosts
from tests.helpers.toy import toy_rows, write_toy
from tests.helpers.two_hosts import train

pytestmark = pytest.mark.distributed

NET = {"embeddingSize": 4, "hiddenSize": 4, "wideSize": 50}
OPTIONS = {"batchSize": 40, "balance": "off", "reader": "arrow"}


def test_each_host_has_its_own_name_and_address_in_all_sets():
    with hosts(2) as (first, second), hosts(1) as (stranger,):
        assert first.run("hostname").strip() == first.name
        look_up = "import socket, sys; print(socket.gethostbyname(sys.argv[1]))"
        assert first.run("python3", "-c", look_up, first.name).strip() == "127.0.1.1"
        assert first.run("python3", "-c", look_up, second.name).strip() == second.address
        assert len({first.address, second.address, stranger.address}) == 3
    with hosts(1) as (again,):
        assert again.address.startswith("10.77.")


_KILLED = """
import os, signal
from pathlib import Path
from tests.helpers.hosts import hosts
with hosts(1) as (host,):
    print(host.start("sleep", "600", log=Path(os.devnull)).pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_hosts_of_a_killed_process_are_removed_by_the_next_one_and_live_hosts_stay():
    with hosts(1) as (living,):
        command = [sys.executable, "-c", _KILLED]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
        left = Path("/proc", done.stdout.strip(), "cmdline")
        # On its way to `sleep` it becomes four other programs, and between two of them it has no command line.
        deadline = time.monotonic() + 20
        while left.read_bytes() != b"sleep\x00600\x00":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with hosts(1) as (again,):
            assert again.name != living.name
        assert not left.exists() or not left.read_bytes(), "without an init process it stays a zombie"
        assert living.run("hostname").strip() == living.name


_AS_TORCHRUN = """
import os, torch
from sentispark.train.world import world_from_environment
with world_from_environment("cpu", os.environ).joined() as world:
    print(world.address, world.total(torch.ones(1).numpy()).tolist())
"""


@pytest.mark.endtoend
def test_ranks_of_torchrun_connect_even_if_the_first_host_resolves_its_name_to_its_loopback(tmp_path):
    with hosts(2) as made:
        common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "1", "MASTER_ADDR": made[0].name, "MASTER_PORT": "29400"}
        common["PYTHONPATH"] = str(ROOT)
        logs, ranks = [tmp_path / host.name for host in made], []
        for rank, (host, log) in enumerate(zip(made, logs, strict=True)):
            env = {**common, "RANK": str(rank), "GROUP_RANK": str(rank)}
            ranks.append(host.start(sys.executable, "-c", _AS_TORCHRUN, log=log, env=env))
        for process, host, log in zip(ranks, made, logs, strict=True):
            process.wait(60)
            assert log.read_text().splitlines()[-1] == f"{host.address} [2.0]"


@pytest.mark.endtoend
@pytest.mark.timeout(400)
@pytest.mark.parametrize("named", [False, True], ids=["known by address", "known by name"])
def test_two_ranks_on_two_hosts_learn_the_same_as_on_one(tmp_path, named):
    rows = {"train": toy_rows(600, seed=1), "validation": toy_rows(100, seed=2)}
    path = write_toy(tmp_path / "toy", rows)
    with spark_hosts(2, tmp_path, named=named) as cluster:
        report = train(cluster, path, epochs=1, options={**NET, **OPTIONS})
    net = NetOptions(embedding_size=4, hidden_size=4, wide_size=50)
    options = TrainOptions(max_epochs=1, batch_size=40, balance="off", reader="arrow", seed=1)
    alone = train_ranks(TrainConfig(path, options, net), 2)
    assert report["threads"] == [1, 1], "each rank takes the one core that Spark gave it"
    assert report["weights"] == alone.fingerprint
