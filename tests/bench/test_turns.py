"""Contenders take turns, and ratios and costs follow from their seconds."""

import pytest

from sentispark.bench.turns import at_two_sizes, in_turns, median_ratio


def test_contenders_run_in_turns_and_the_first_turn_does_not_count():
    done = []
    seconds = in_turns({"a": lambda: done.append("a"), "b": lambda: done.append("b") or 2.0}, times=2)
    assert done == ["a", "b"] * 3
    assert seconds["b"] == [2.0, 2.0]
    assert median_ratio({"slow": [2.0, 9.0, 4.0], "fast": [1.0, 1.0, 2.0]}, "slow", "fast") == 2


def test_the_fixed_cost_is_separated_from_the_cost_of_a_row():
    numbers_of_files = []

    def contender(paths):
        numbers_of_files.append(len(paths))
        return 2 + 0.5 * len(paths)

    seconds, found = at_two_sizes({"a": contender}, [f"{number}" for number in range(16)], 16_000, times=3)
    assert seconds == {"a": [10.0] * 3}
    assert found == {"a": {"fixed_seconds": pytest.approx(2), "microseconds_per_row": pytest.approx(500)}}
    assert numbers_of_files == [2, 16] * 4
