"""Slowdowns grow with the rows, change at a step, and have repeatable noise."""

import numpy as np
import pytest

from sentispark.bench.slowdown import Slowdown


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
