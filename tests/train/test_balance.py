"""The balancer compared with an exhaustive search, and with the best possible sizes under the same noise."""

import functools
import itertools
import statistics

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sentispark.train.balance import Balancer, EpochBalancer
from sentispark.train.step_cost import equal_finish, fit_cost_line, relative_step_times

NO_BOUNDS = {"low": np.zeros(8, np.int64), "high": np.full(8, 10**6)}


def bounds(ranks):
    return {name: bound[:ranks] for name, bound in NO_BOUNDS.items()}


one_rank = st.tuples(st.floats(0, 9), st.floats(0.1, 9), st.integers(0, 3), st.integers(0, 6))


class TestEqualFinish:
    """The sizes with which the slowest rank is as fast as can be."""

    def test_sizes_that_can_be_checked_by_hand(self):
        found = equal_finish(np.array([0.0, 0.0]), np.array([1.0, 3.0]), 8, **bounds(2))
        assert found.tolist() == [6, 2]
        # 4 + n = 2 + 2n' = 6.67 and n + n' = 5
        assert equal_finish(np.array([4.0, 2.0]), np.array([1.0, 2.0]), 5, **bounds(2)).tolist() == [3, 2]

    @given(st.lists(one_rank, min_size=1, max_size=3), st.integers(0, 30))
    def test_no_other_sizes_within_the_bounds_make_the_slowest_rank_faster(self, ranks, rows):
        fixed, per_row, low, more = np.array(ranks).T
        low, high = low.astype(np.int64), (low + more).astype(np.int64)
        rows = int(np.clip(rows, low.sum(), high.sum()))
        found = equal_finish(fixed, per_row, rows, low=low, high=high)
        assert found.sum() == rows
        assert (low <= found).all()
        assert (found <= high).all()
        tried = itertools.product(*(range(a, b + 1) for a, b in zip(low, high, strict=True)))
        best = min((fixed + per_row * sizes).max() for sizes in map(np.array, tried) if sizes.sum() == rows)
        assert (fixed + per_row * found).max() == pytest.approx(best)

    @given(st.integers(1, 8), st.integers(0, 500), st.floats(0, 5), st.floats(0.1, 5))
    def test_equal_ranks_get_sizes_that_differ_by_at_most_one(self, ranks, rows, fixed, per_row):
        found = equal_finish(np.full(ranks, fixed), np.full(ranks, per_row), rows, **bounds(ranks))
        assert np.ptp(found) <= 1


class TestRelative:
    """The ranks' relative times, and their standard error."""

    def test_steps_of_more_work_count_the_same_as_others(self):
        times, error = relative_step_times(np.array([[1.0, 4.0], [2.0, 8.0], [0.5, 2.0]]))
        assert times.tolist() == pytest.approx([0.5, 2.0])
        assert error == pytest.approx(0)

    def test_the_error_is_that_of_a_median_of_normal_values(self):
        rng = np.random.default_rng(0)
        windows = [relative_step_times(np.exp(rng.normal(0, 0.05, (25, 2)))) for _ in range(2000)]
        medians = [times[0] for times, _ in windows]
        assert np.mean([error for _, error in windows]) == pytest.approx(np.std(medians), rel=0.15)

    def test_an_outlier_does_not_count(self):
        times, error = relative_step_times(np.array([[1.0, 1.0]] * 4 + [[99.0, 1.0]]))
        assert times.tolist() == [1.0, 1.0]
        assert error == 0


class TestFitting:
    """A rank's line through its measured times."""

    @given(st.floats(0, 4), st.floats(0.5, 4), st.integers(10, 50), st.integers(60, 99))
    def test_two_exact_points_give_the_line_unless_it_leaves_the_bounds(self, fixed, per_row, few, many):
        found = fit_cost_line([(few, fixed + per_row * few), (many, fixed + per_row * many)], 1.0)
        assert found == pytest.approx((fixed, per_row))

    def test_for_a_single_size_the_share_decides_the_line(self):
        assert fit_cost_line([(10, 4.0)], 1.0) == pytest.approx((0.0, 0.4))
        assert fit_cost_line([(10, 4.0), (10, 4.4)], 0.25) == pytest.approx((3.3, 0.11))

    def test_a_line_that_falls_counts_as_mostly_fixed(self):
        assert fit_cost_line([(10, 4.0), (20, 3.0)], 1.0) == pytest.approx((2.4, 0.03))


GLOBAL = 2048


def best_sizes(fixed, per_row):
    return equal_finish(fixed, per_row, GLOBAL, low=np.zeros(len(fixed), int), high=np.full(len(fixed), GLOBAL))


def simulated(costs, *, steps=600, noise=0.02, workload=0.0, seed=0, lag=2):
    """The seconds of each step, those with the best sizes under the same noise, and the steps that moved sizes."""
    rng = np.random.default_rng(seed)
    ranks = len(costs(0)[0])
    balancer = Balancer.start(GLOBAL, ranks)
    ideal_sizes = functools.cache(lambda costs: best_sizes(*map(np.array, costs)))
    sizes, waiting, window, moves, took, best = balancer.sizes, None, [], [], [], []
    for step in range(steps):
        fixed, per_row = map(np.array, costs(step))
        factors = rng.lognormal(0, noise, ranks) * rng.lognormal(0, workload)
        seconds = (fixed + per_row * sizes) * factors
        took.append(seconds.max())
        ideal = ideal_sizes((tuple(fixed), tuple(per_row)))
        best.append(((fixed + per_row * ideal) * factors).max())
        if waiting is not None and step >= waiting[0]:
            sizes, waiting, window = waiting[1], None, []
        else:
            window.append(seconds)
        if waiting is None and len(window) == balancer.window:
            balancer, decision = balancer.after(sizes, np.array(window))
            window = []
            if decision.moved:
                moves.append(step)
                waiting = (step + lag - 1, decision.sizes)
    return np.array(took), np.array(best), moves


def steady(fixed, per_row):
    return lambda step: (fixed, per_row)


def slows_down(step):
    return [10.0, 10.0, 10.0, 10.0], [0.1, 0.1, 0.1, 0.1 if step < 300 else 0.3]


CASES = {
    "1:2": steady([0, 0], [0.1, 0.2]),
    "1:4": steady([0, 0], [0.1, 0.4]),
    "1:1:1:3": steady([0, 0, 0, 0], [0.1, 0.1, 0.1, 0.3]),
    "mostly fixed": steady([20, 50], [0.01, 0.04]),
    "three fast": steady([5, 5, 5, 9], [0.1, 0.1, 0.1, 0.18]),
    "1..3": steady([2] * 8, list(np.linspace(0.1, 0.3, 8))),
    "slows down": slows_down,
}
SEEDS = range(12)


class TestConverging:
    """Soon nearly as fast as with the best possible sizes, and stable afterwards."""

    @pytest.mark.parametrize("case", CASES)
    def test_after_forty_steps_sizes_are_as_good_as_the_best(self, case):
        shares = []
        for seed in SEEDS:
            took, best, _ = simulated(CASES[case], seed=seed)
            settled = [slice(40, 300), slice(340, 600)] if case == "slows down" else [slice(40, 600)]
            shares += [best[part].sum() / took[part].sum() for part in settled]
        assert min(shares) > 0.95
        assert statistics.median(shares) > 0.97

    @pytest.mark.parametrize("case", CASES)
    def test_a_steady_state_sees_few_moves(self, case):
        for seed in SEEDS:
            *_, moves = simulated(CASES[case], seed=seed)
            assert len([step for step in moves if step > 40]) <= 3

    @pytest.mark.parametrize("case", ["1:4", "1:1:1:3", "mostly fixed"])
    def test_steps_with_more_or_less_work_for_all_ranks_change_nothing(self, case):
        for seed in SEEDS:
            took, best, moves = simulated(CASES[case], seed=seed, workload=0.3)
            assert best[40:].sum() / took[40:].sum() > 0.95
            assert len([step for step in moves if step > 40]) <= 3

    @pytest.mark.parametrize("noise", [0.02, 0.1, 0.3])
    def test_equal_ranks_keep_equal_sizes(self, noise):
        runs = [simulated(steady([10] * 4, [0.1] * 4), seed=seed, noise=noise) for seed in SEEDS]
        assert sum(bool(moves) for _, _, moves in runs) <= (0 if noise < 0.1 else 2)
        for took, best, _ in runs:
            assert best.sum() / took.sum() > 0.99 - 0.1 * noise

    def test_even_with_much_noise_little_is_lost(self):
        for seed in SEEDS:
            took, best, moves = simulated(CASES["1:4"], seed=seed, noise=0.1)
            assert best[40:].sum() / took[40:].sum() > 0.93
            assert len(moves) <= 12


def sizes_after(balancer, seconds, **bounds):
    return balancer.after(balancer.sizes, np.array([seconds]), **bounds)[1].sizes.tolist()


speeds = st.lists(st.tuples(st.floats(0, 50), st.floats(0.05, 0.5)), min_size=1, max_size=6)


class TestLaws:
    """Law 5, for any ranks and any times."""

    @example([(0.0, 0.0625), (23.0, 0.5), (24.0, 0.5)], 674)
    @example([(25.712320429681075, 0.25)] * 2 + [(44.28, 0.33834), (25.712320429681075, 0.25), (33.65923, 0.25)], 328)
    @example([(24.0, 0.375)] * 2 + [(46.0, 0.34375), (25.0, 0.375), (33.5, 0.375)], 328)  # half a move is no move
    @example([(7.0, 0.1796875), (19.0, 0.5), (20.0, 0.5), (43.0, 0.125), (9.5, 0.1875)], 376)  # back and forth by a row
    @example([(4.5, 0.3125), (37.0, 0.5), (38.5, 0.28125), (38.5, 0.21875), (31.0, 0.34375), (1.5, 0.375)], 240)
    @given(speeds, st.integers(6, 5000))
    @settings(max_examples=50)
    def test_constant_speeds_reach_a_fixed_point_and_stay(self, ranks, global_batch):
        fixed, per_row = np.array(ranks).T
        balancer, moved, took = Balancer.start(global_batch, len(ranks)), [], []
        for _ in range(40):
            seconds = fixed + per_row * balancer.sizes
            balancer, decision = balancer.after(balancer.sizes, seconds[None])
            moved.append(decision.moved)
            took.append(seconds.max())
        assert not any(moved[20:])
        assert took[12] <= 1.03 * took[-1]  # what may still come after a dozen decisions is little
        assert decision.gain <= 0.03

    @given(st.integers(1, 6), st.integers(6, 500), st.integers(0, 99), st.floats(1, 10))
    def test_sizes_sum_to_the_global_batch_and_keep_to_the_limit(self, ranks, global_batch, seed, limit):
        rng, balancer = np.random.default_rng(seed), Balancer.start(global_batch, ranks, limit=limit)
        for _ in range(10):
            balancer, decision = balancer.after(balancer.sizes, rng.lognormal(0, 2, (3, ranks)))
            assert balancer.sizes.sum() == global_batch
            assert balancer.sizes.min() >= 1
            assert balancer.sizes.max() <= limit * np.ceil(global_batch / ranks)
            assert decision.sizes.tolist() == balancer.sizes.tolist()

    def test_a_rank_grows_at_most_twofold_at_once(self):
        assert sizes_after(Balancer.start(100, 2, limit=100), [1.0, 1000.0]) == [99, 1]
        assert max(sizes_after(Balancer.start(100, 4, limit=100), [1.0, 1000.0, 1000.0, 1000.0])) == 50

    def test_memory_bounds_a_rank_even_where_it_is_the_fastest(self):
        assert sizes_after(Balancer.start(100, 2), [1.0, 3.0], most_rows=np.array([60, 500])) == [60, 40]

    def test_a_memory_estimate_below_the_current_rows_takes_no_rows_away(self):
        assert sizes_after(Balancer.start(100, 2), [1.0, 1.0], most_rows=np.array([45, 500])) == [50, 50]
        assert sizes_after(Balancer.start(100, 2), [1.0, 3.0], most_rows=np.array([45, 500])) == [50, 50]

    def test_a_rank_that_has_had_no_rows_does_not_count(self):
        balancer = Balancer.start(8, 2)
        after, decision = balancer.after(np.array([8, 0]), np.array([[1.0, 0.5]]))
        assert not decision.moved
        assert after.sizes.tolist() == balancer.sizes.tolist()


class TestTheOldRule:
    """Sizes by rows per second, once an epoch."""

    def test_sizes_that_can_be_checked_by_hand(self):
        balancer, decision = EpochBalancer(np.array([4, 4])).after(np.array([4, 4]), np.array([[1.0, 3.0]]))
        assert balancer.sizes.tolist() == decision.sizes.tolist() == [6, 2]
        assert decision.gain == pytest.approx(0.5)

    def test_it_decides_only_at_the_end_of_epochs(self):
        balancer = EpochBalancer(np.array([4, 4]))
        assert [balancer.due(steps, epoch_ends=ends) for steps, ends in [(100, False), (100, True), (0, True)]] == [
            False,
            True,
            False,
        ]
