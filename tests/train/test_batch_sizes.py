"""How many rows a GPU has memory for, according to the peak memory of a window of steps."""

import numpy as np
import pytest
import torch

from sentispark.train.balance import Balancer
from sentispark.train.batch_sizes import BatchSizeController, rows_with_room
from sentispark.train.clock import StepClock
from sentispark.train.options import TrainOptions
from sentispark.train.world import World


def test_rows_grow_with_free_memory_up_to_nine_tenths_of_it():
    assert rows_with_room(100, peak=10.0, room=100.0) == pytest.approx(900)
    assert rows_with_room(100, peak=100.0, room=100.0) == pytest.approx(90)
    assert rows_with_room(100, peak=0.0, room=100.0) == np.inf


class Gpus:
    """Two simulated GPUs: what each holds is a fixed part and one that grows with the rows of its batch."""

    def __init__(self, *, room, fixed, per_row):
        self.room, self.fixed, self.per_row = (np.array(each, float) for each in (room, fixed, per_row))

    def most_rows(self, sizes):
        held = self.fixed + self.per_row * sizes
        assert (held <= self.room).all(), "a GPU ran out of memory"
        return np.array([rows_with_room(n, peak=h, room=r) for n, h, r in zip(sizes, held, self.room, strict=True)])


def sizes_over(decisions, gpus, seconds, *, batch=256, noise=0.02):
    """The batch sizes after each decision, for ranks that take a + b * n seconds."""
    rng, balancer = np.random.default_rng(0), Balancer.start(batch, 2)
    fixed, per_row = (np.array(each, float) for each in seconds)
    found = [balancer.sizes]
    for _ in range(decisions):
        times = (fixed + per_row * balancer.sizes) * rng.lognormal(0, noise, (5, 2))
        balancer, _ = balancer.after(balancer.sizes, times, gpus.most_rows(balancer.sizes))
        found.append(balancer.sizes)
    return np.array(found)


def test_a_rank_whose_memory_is_full_keeps_its_rows_over_fifty_decisions():
    # Nearly all of the memory is used from the beginning, mostly by what does not depend on rows.
    found = sizes_over(50, Gpus(room=[100, 1000], fixed=[85, 85], per_row=[0.1, 0.1]), ([0, 0], [0.1, 0.1]))
    assert found.tolist() == [[128, 128]] * 51


def test_a_fast_rank_with_little_memory_grows_until_it_is_full_and_stays():
    gpus = Gpus(room=[24, 1000], fixed=[4, 4], per_row=[0.1, 0.1])
    found = sizes_over(50, gpus, ([0, 0], [0.1, 0.4]))
    assert (found[:, 0] >= 128).all()
    assert found[-1, 0] > 128
    assert (np.ptp(found[-20:], axis=0) <= 8).all()


def test_ranks_with_enough_memory_find_the_same_sizes_as_without_a_bound():
    found = sizes_over(50, Gpus(room=[1e6, 1e6], fixed=[1, 1], per_row=[0.1, 0.1]), ([0, 0], [0.1, 0.3]))
    assert found[-1].tolist() == pytest.approx([192, 64], abs=10)


def test_each_window_measures_its_own_peak(monkeypatch):
    """A fake of torch.cuda: the peak is that since it was last reset."""
    peak, resets = [900.0], []
    fakes = {
        "max_memory_allocated": lambda device: peak[0],
        "mem_get_info": lambda device: (500, 2000),
        "memory_reserved": lambda device: 1000,
        "reset_peak_memory_stats": resets.append,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    device = torch.device("cuda", 0)
    controller = BatchSizeController(TrainOptions(), World(device=device), StepClock(torch.device("cpu")))
    assert controller._most_rows(100) == pytest.approx(100 * 0.9 * 1500 / 900)
    peak[0] = 300.0
    assert controller._most_rows(100) == pytest.approx(100 * 0.9 * 1500 / 300)
    assert resets == [device, device]
