"""The times of steps, measured with a clock that is set by hand."""

import numpy as np
import torch

from sentispark.train import clock as clock_module
from sentispark.train.batch_sizes import BatchSizeController
from sentispark.train.clock import StepClock
from sentispark.train.options import TrainOptions
from sentispark.train.world import World


def test_computing_ends_when_the_last_gradients_are_done(monkeypatch):
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


def test_an_epoch_of_many_steps_is_timed_completely_in_bounded_memory():
    clock = StepClock(torch.device("cpu"))
    controller, held = BatchSizeController(TrainOptions(), World(), clock), 0
    for step in range(2500):
        clock.begin()
        clock.computed()
        clock.summed()
        held = max(held, len(clock._steps))
        controller.after_step(8, epoch_ends=step == 2499)
    assert held == 1000
    assert clock._steps == controller._rows == []
    assert controller.seconds[0] > 0
