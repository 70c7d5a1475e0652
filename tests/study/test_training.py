"""What training is measured beside does the work that it is said to do, and slow ranks are as slow as stated."""

import json

import pytest

from sentispark.nn.options import NetOptions
from sentispark.study import throughput
from sentispark.study.balance import CASES, best_sizes, measure_balance
from sentispark.study.training import compare_with_bare_loop, double_the_rows
from sentispark.train.config import TrainConfig, TrainOptions
from sentispark.train.slowdown import Slowdown
from tests.helpers.toy import toy_rows, write_toy

NET = NetOptions(embedding_size=8, hidden_size=8, wide_size=50)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    path = tmp_path_factory.mktemp("toy") / "dataset"
    return write_toy(path, {"train": toy_rows(2400, seed=1), "validation": toy_rows(100, seed=2)})


def test_the_best_sizes_of_the_cases_by_hand():
    assert best_sizes(CASES["1:2"], 240) == [160, 80]
    assert best_sizes(CASES["1:4"], 240) == [192, 48]
    assert best_sizes(CASES["1:1:1:3"], 240) == [72, 72, 72, 24]
    assert best_sizes(CASES["slows down"], 240) == [120, 120]
    assert best_sizes(CASES["slows down"], 240, later=True) == [180, 60]
    # 50 + n/8 = 75 + n'/2 and n + n' = 240
    assert best_sizes(CASES["mostly fixed"], 240) == [232, 8]


@pytest.mark.distributed
@pytest.mark.endtoend
class TestMeasuring:
    """Ranks that torchrun starts, as the bench runs them."""

    def test_a_bare_loop_takes_turns_with_sentispark(self, toy, tmp_path):
        config = TrainConfig(toy, TrainOptions(batch_size=240, reader="arrow", balance="off"), NET)
        found = compare_with_bare_loop(config, tmp_path, ranks=2, cores=1, times=2)
        assert found["rows"] == 2400
        assert {name: len(seconds) for name, seconds in found["seconds"].items()} == {"bare": 2, "sentispark": 2}
        assert found["ratio"] > 0

    def test_speeds_by_net_and_batch_size_are_lines_of_json(self, toy, capsys):
        assert throughput.main([toy, "--batches", "1200", "--ranks", "1", "--times", "1"]) == 0
        lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [(line["net"], line["batch"], line["ranks"]) for line in lines] == [
            ("reference", 1200, 1),
            ("default", 1200, 1),
        ]
        assert all(speed > 0 for line in lines for speed in line["rows_per_second"].values())

    def test_twice_the_rows_are_told_with_the_memory_they_take(self, toy, tmp_path):
        half = write_toy(tmp_path / "half", {"train": toy_rows(1200, seed=1)})
        options = TrainOptions(max_epochs=2, batch_size=240, reader="arrow")
        configs = [TrainConfig(path, options, NET) for path in (half, toy)]
        found = double_the_rows(*configs, tmp_path, ranks=1, cores=1)
        assert [epoch["rows"] for epoch in found["epochs"]] == [1200, 2400]
        assert all(epoch["peak_mib"] > 50 for epoch in found["epochs"])
        assert found["ratio"] > 0

    def test_ranks_are_slowed_down_as_stated_and_balanced(self, toy, tmp_path):
        case = (Slowdown(per_row=0.0005), Slowdown(per_row=0.0015))
        found = measure_balance(toy, tmp_path, cores=1, cases={"1:3": case}, seeds=2)
        assert found["eta"]["1:3"] > found["eta_equal_sizes"]["1:3"]
        assert found["eta_equal_sizes"]["1:3"] == pytest.approx(0.5, abs=0.15)
        assert len(found["runs"]["1:3"]["batch_sizes"]) > 1
        # The same seed, and so the same rows and the same first weights: only dropout differs.
        assert found["loss"]["1:3"] == pytest.approx(found["loss_of_seeds"][0], abs=0.1)
        assert found["loss_of_seeds"][0] != found["loss_of_seeds"][1]
