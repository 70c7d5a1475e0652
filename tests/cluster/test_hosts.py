"""Ranks on several hosts, made of network namespaces: they find each other, and each takes the core it was given."""

from __future__ import annotations

import pytest

from sentispark.nn.options import NetOptions
from sentispark.train.config import TrainConfig, TrainOptions
from tests.helpers.hosts import hosts
from tests.helpers.ranks import train_ranks
from tests.helpers.spark_hosts import spark_hosts
from tests.helpers.toy import toy_rows, write_toy
from tests.helpers.two_hosts import train

pytestmark = pytest.mark.distributed

NET = {"embeddingSize": 4, "hiddenSize": 4, "wideSize": 50}
OPTIONS = {"batchSize": 40, "balance": "off", "reader": "arrow"}


def test_hosts_have_names_and_addresses_of_their_own_and_several_sets_do_not_meet():
    with hosts(2) as (first, second), hosts(1) as (stranger,):
        assert first.run("hostname").strip() == first.name
        look_up = "import socket, sys; print(socket.gethostbyname(sys.argv[1]))"
        assert first.run("python3", "-c", look_up, first.name).strip() == "127.0.1.1"
        assert first.run("python3", "-c", look_up, second.name).strip() == second.address
        assert len({first.address, second.address, stranger.address}) == 3
    with hosts(1) as (again,):
        assert again.address.startswith("10.77.")


@pytest.mark.endtoend
@pytest.mark.timeout(200)
@pytest.mark.parametrize("named", [False, True], ids=["known by address", "known by name"])
def test_two_ranks_on_two_hosts_learn_what_two_ranks_on_one_learn(tmp_path, named):
    rows = {"train": toy_rows(600, seed=1), "validation": toy_rows(100, seed=2)}
    path = write_toy(tmp_path / "toy", rows)
    with spark_hosts(2, tmp_path, named=named) as cluster:
        told = train(cluster, path, epochs=1, options={**NET, **OPTIONS})
    net = NetOptions(embedding_size=4, hidden_size=4, wide_size=50)
    options = TrainOptions(max_epochs=1, batch_size=40, balance="off", reader="arrow", seed=1)
    alone = train_ranks(TrainConfig(path, options, net), 2)
    assert told["threads"] == [1, 1], "each rank takes the one core that Spark gave it"
    assert told["weights"] == alone.fingerprint
