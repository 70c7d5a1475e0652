"""The times of steps against a clock that is set by hand."""

import numpy as np
import pytest
import torch

from sentispark.train import clock as clock_module
from sentispark.train.clock import StepClock
from sentispark.train.config import TrainOptions
from sentispark.train.pace import Pace
from sentispark.train.slowdown import Slowdown
from sentispark.train.world import World


def test_a_step_is_cut_where_the_last_gradients_are_done(monkeypatch):
    moments = iter([10.0, 11.0, 13.0, 14.0, 20.0, 20.5, 20.75])
    monkeypatch.setattr(clock_module.time, "perf_counter", lambda: next(moments))
    clock = StepClock(torch.device("cpu"))
    clock.begin()
    clock.computed()
    clock.computed()
    clock.summed()
    clock.begin()
    clock.computed()
    clock.summed()
    np.testing.assert_array_equal(clock.read(), [[3.0, 1.0], [0.5, 0.25]])
    assert clock.read().shape == (0, 2)


def test_a_slowdown_grows_with_the_rows_and_from_a_step_on():
    slowdown = Slowdown(fixed=0.5, per_row=0.01, later_factor=3.0, later=7)
    assert slowdown.seconds(6, 10) == pytest.approx(0.6)
    assert slowdown.seconds(7, 10) == pytest.approx(3 * 0.6)
    assert Slowdown().seconds(0, 1000) == 0.0


def test_the_noise_of_a_slowdown_is_the_same_with_the_same_seed():
    one, again, other = (
        [Slowdown(fixed=1.0, noise=0.1, seed=seed).seconds(step, 5) for step in range(200)] for seed in (1, 1, 2)
    )
    assert one == again != other
    assert np.std(np.log(one)) == pytest.approx(0.1, rel=0.2)


def test_an_epoch_of_many_steps_is_timed_whole_without_holding_all_of_its_moments():
    clock = StepClock(torch.device("cpu"))
    pace, held = Pace(TrainOptions(), World(), clock), 0
    for step in range(2500):
        clock.begin()
        clock.computed()
        clock.summed()
        held = max(held, len(clock._steps))
        pace.stepped(8, epoch_ends=step == 2499)
    assert held == 1000
    assert clock._steps == pace._rows == []
    assert pace.seconds[0] > 0
