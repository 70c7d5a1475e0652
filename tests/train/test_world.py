"""Ranks that are late are waited for, and a launcher's environment describes a world."""

import logging
import threading
from datetime import timedelta

import pytest
import torch.distributed

from sentispark.errors import SetupError
from sentispark.train import world as module
from sentispark.train.cores import cores_here
from sentispark.train.gathering import RankInfo
from sentispark.train.world import World, world_from_environment
from tests.helpers.ranks import all_well, run_ranks

MOMENT = timedelta(milliseconds=200)


def meets(world, slow):
    """Rank 1 comes much later than ranks wait for each other between steps."""
    module.PATIENCE, module.REMINDER, messages = MOMENT, timedelta(milliseconds=50), []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logging.getLogger("sentispark").addHandler(handler)
    logging.getLogger("sentispark").setLevel(logging.INFO)
    if world.rank == 1 and slow == "set-up":
        threading.Event().wait(3 * MOMENT.total_seconds())
    with world.joined():
        for _ in range(2):
            if world.rank == 1 and slow == "evaluation":
                threading.Event().wait(3 * MOMENT.total_seconds())
            world.meet()
        return world.total(torch.ones(1).numpy()).tolist(), messages


@pytest.mark.distributed
@pytest.mark.parametrize("slow", ["set-up", "evaluation"])
def test_a_rank_that_sets_up_or_evaluates_for_longer_than_the_time_out_of_a_step_is_waited_for(slow):
    (total, messages), (other, _) = all_well(run_ranks(meets, 2, slow))
    assert total == other == [2.0]
    assert "[rank 0/2] is waiting for ranks [1]." in messages


def test_one_process_is_a_world_of_its_own():
    world = world_from_environment("auto", {})
    assert (world.rank, world.size, world.store, world.address) == (0, 1, None, None)
    assert world.threads == cores_here()
    assert world_from_environment("cpu", {"OMP_NUM_THREADS": "3"}).threads == 3
    world.meet()


def test_a_world_without_a_launcher_leaves_torchs_threads_unchanged():
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with World().joined():
            assert torch.get_num_threads() == 3
        with World(threads=1).joined():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_cuda_without_a_gpu_is_refused(monkeypatch):
    monkeypatch.setattr(module, "gpus_here", tuple)
    with pytest.raises(SetupError, match=r"Device 'cuda' needs a GPU for each rank. There is none for rank 0 on "):
        world_from_environment("cuda", {})


@pytest.mark.distributed
def test_torchruns_ranks_exchange_their_information_before_they_connect():
    backends = all_well(run_ranks(torchrun_like, 2))
    assert backends == ["gloo", "gloo"]


def torchrun_like(world):
    """Over the store that torchrun's variables name, here that of the helper."""
    module.rendezvous = lambda *_, **__: iter([(world.store, world.rank, world.size)])
    environ = {"RANK": world.rank, "WORLD_SIZE": 2, "LOCAL_WORLD_SIZE": 2, "LOCAL_RANK": world.rank, "GROUP_RANK": 0}
    found = world_from_environment("auto", {name: str(value) for name, value in environ.items()})
    assert RankInfo.from_json(found.store.get("sentispark/rank-info/0").decode()).host.endswith("(host 0)")
    return found.backend
