"""The best batch sizes are right, and slow ranks are as slow as stated."""

import pytest

from sentispark.bench.balance import CASES, best_batch_sizes, measure_cases
from sentispark.bench.slowdown import Slowdown
from tests.helpers.toy import toy_rows, write_toy


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    path = tmp_path_factory.mktemp("toy") / "dataset"
    return write_toy(path, {"train": toy_rows(2400, seed=1), "validation": toy_rows(100, seed=2)})


def test_the_best_batch_sizes_of_the_cases_by_hand():
    assert best_batch_sizes(CASES["1:2"], 240) == [160, 80]
    assert best_batch_sizes(CASES["1:4"], 240) == [192, 48]
    assert best_batch_sizes(CASES["1:1:1:3"], 240) == [72, 72, 72, 24]
    assert best_batch_sizes(CASES["slows down"], 240) == [120, 120]
    assert best_batch_sizes(CASES["slows down"], 240, later=True) == [180, 60]
    # 50 + n/8 = 75 + n'/2 and n + n' = 240
    assert best_batch_sizes(CASES["mostly fixed"], 240) == [232, 8]


@pytest.mark.alone
@pytest.mark.distributed
@pytest.mark.endtoend
def test_ranks_are_slowed_down_as_stated_and_balanced(toy, tmp_path):
    case = (Slowdown(per_row=0.0005), Slowdown(per_row=0.0015))
    found = measure_cases(toy, tmp_path, cores=1, cases={"1:3": case}, seeds=2)
    assert found["eta"]["1:3"] > found["eta_equal_sizes"]["1:3"]
    assert found["eta_equal_sizes"]["1:3"] == pytest.approx(0.5, abs=0.15)
    assert len(found["runs"]["1:3"]["batch_sizes"]) > 1
    # The same seed, and so the same rows and the same first weights: only dropout differs.
    assert found["loss"]["1:3"] == pytest.approx(found["loss_of_seeds"][0], abs=0.1)
    assert found["loss_of_seeds"][0] != found["loss_of_seeds"][1]
