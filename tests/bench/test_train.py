"""Epochs are compared on ranks that torchrun starts."""

import pytest

from sentispark.bench.train import compare_with_bare_loop, double_the_rows, measure
from sentispark.errors import InputError
from sentispark.nn.options import NetOptions
from sentispark.train.config import TrainConfig
from sentispark.train.options import TrainOptions
from tests.helpers.toy import toy_rows, write_toy

NET = NetOptions(embedding_size=8, hidden_size=8, wide_size=50)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    path = tmp_path_factory.mktemp("toy") / "dataset"
    return write_toy(path, {"train": toy_rows(2400, seed=1), "validation": toy_rows(100, seed=2)})


@pytest.mark.distributed
@pytest.mark.endtoend
def test_a_bare_loop_takes_turns_with_sentispark(toy, tmp_path):
    config = TrainConfig(toy, TrainOptions(batch_size=240, reader="arrow", balance="off"), NET)
    found = compare_with_bare_loop(config, tmp_path, ranks=2, cores=1, times=2)
    assert found["rows"] == 2400
    assert {name: len(seconds) for name, seconds in found["seconds"].items()} == {"bare": 2, "sentispark": 2}
    assert found["ratio"] > 0


@pytest.mark.distributed
@pytest.mark.endtoend
def test_time_and_memory_are_measured_with_twice_the_rows(toy, tmp_path):
    half = write_toy(tmp_path / "half", {"train": toy_rows(1200, seed=1)})
    options = TrainOptions(max_epochs=2, batch_size=240, reader="arrow")
    configs = [TrainConfig(path, options, NET) for path in (half, toy)]
    found = double_the_rows(*configs, tmp_path, ranks=1, cores=1)
    assert [epoch["rows"] for epoch in found["epochs"]] == [1200, 2400]
    assert all(epoch["peak_mib"] > 50 for epoch in found["epochs"])
    assert found["ratio"] > 0


def test_rows_in_too_few_row_groups_are_reported_before_any_training(spark, tmp_path, monkeypatch):
    monkeypatch.setattr("sentispark.bench.train.compare_with_bare_loop", None)
    with pytest.raises(InputError, match=r"'--rows' must fill at least 2 row groups.* Got 400, which fill 1\."):
        measure(spark, tmp_path, rows=400, times=1)
