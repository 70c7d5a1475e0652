"""The learning rate's factor at each step, compared with values computed by hand and with torch's schedule."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sentispark.train.schedule import learning_rate_factor, scaled_to_batch

SCHEDULES = ["cosine", "linear", "constant"]


def factors(steps, *, schedule, warmup_share=0.0):
    return [learning_rate_factor(step, steps, schedule=schedule, warmup_share=warmup_share) for step in range(steps)]


shapes = {
    "steps": st.integers(1, 200),
    "schedule": st.sampled_from(SCHEDULES),
    "warmup_share": st.floats(0, 1),
}


@given(**shapes)
def test_a_factor_is_above_0_and_at_most_1(steps, schedule, warmup_share):
    assert all(0 < factor <= 1 for factor in factors(steps, schedule=schedule, warmup_share=warmup_share))


@given(**shapes)
def test_it_rises_to_1_and_never_rises_again(steps, schedule, warmup_share):
    found = factors(steps, schedule=schedule, warmup_share=warmup_share)
    highest = found.index(1.0)
    assert found[: highest + 1] == sorted(set(found[: highest + 1]))
    assert found[highest:] == sorted(found[highest:], reverse=True)


@given(st.sampled_from(SCHEDULES), st.integers(10**6, 10**7))
def test_the_last_step_of_a_long_training_still_has_a_factor_above_0(schedule, steps):
    assert learning_rate_factor(steps - 1, steps, schedule=schedule, warmup_share=0.1) > 0


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("linear", [1.0, 0.75, 0.5, 0.25]),
        ("cosine", [1.0, (2 + 2**0.5) / 4, 0.5, (2 - 2**0.5) / 4]),
        ("constant", [1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_four_steps_without_warm_up(schedule, expected):
    assert factors(4, schedule=schedule) == pytest.approx(expected, abs=1e-15)


def test_a_warm_up_of_a_fifth_takes_two_of_ten_steps_and_the_fall_the_eight_others():
    found = factors(10, schedule="linear", warmup_share=0.2)
    assert found == [0.5, 1.0, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125]


@pytest.mark.parametrize(("steps", "share"), [(10, 0.3), (100, 0.3), (57, 0.1), (20, 0.9)])
def test_one_cycle_equals_torchs(steps, share):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1.0, steps, pct_start=share, cycle_momentum=False)
    expected = []
    for _ in range(steps):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert factors(steps, schedule="one_cycle", warmup_share=share) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_one_cycle_of_a_few_steps_has_factors_too(steps, share):
    assert all(0 < factor <= 1 for factor in factors(steps, schedule="one_cycle", warmup_share=share))


class TestLargerBatches:
    """The rules of the papers, by hand."""

    def scaled(self, batch_size, scaling):
        return scaled_to_batch(0.1, 0.05, batch_size=batch_size, base_batch_size=256, scaling=scaling)

    def test_linear_scales_with_the_batch_and_sqrt_with_its_root(self):
        assert self.scaled(1024, "none") == (0.1, 0.05)
        assert self.scaled(1024, "linear") == pytest.approx((0.4, 0.2))
        assert self.scaled(1024, "sqrt") == pytest.approx((0.2, 0.2))

    def test_the_warm_up_takes_at_most_half_of_the_steps(self):
        assert self.scaled(256 * 100, "sqrt") == pytest.approx((1.0, 0.5))
        assert scaled_to_batch(0.1, 0.7, batch_size=512, base_batch_size=256, scaling="sqrt")[1] == 0.7

    def test_a_smaller_batch_has_a_lower_rate_and_the_same_warm_up(self):
        assert self.scaled(64, "sqrt") == pytest.approx((0.05, 0.05))

    def test_the_base_batch_is_left_as_it_is(self):
        assert self.scaled(256, "linear") == self.scaled(256, "sqrt") == (0.1, 0.05)


def test_a_warm_up_of_all_steps_rises_to_the_end():
    assert factors(4, schedule="cosine", warmup_share=1.0) == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_training_of_one_step_takes_it_at_the_highest_rate(schedule):
    assert factors(1, schedule=schedule, warmup_share=0.1) == [1.0]


def test_the_cosine_equals_torchs():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=30)
    expected = []
    for _ in range(30):
        expected += schedule.get_last_lr()
        optimizer.step()
        schedule.step()
    assert factors(30, schedule="cosine") == pytest.approx(expected, abs=1e-12)
