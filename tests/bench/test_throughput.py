"""Rows per second are told for each net and batch size."""

import pytest

from sentispark.bench.throughput import measure
from sentispark.errors import DatasetError
from tests.helpers.toy import toy_rows, write_toy


@pytest.mark.distributed
@pytest.mark.endtoend
def test_each_net_and_batch_size_has_its_speed(tmp_path):
    toy = write_toy(tmp_path / "dataset", {"train": toy_rows(2400, seed=1)})
    asked = {"batches": [1200], "ranks": None, "cores": 1, "precision": "float32", "times": 1}
    results = measure(tmp_path, dataset=toy, **asked)["results"]
    assert [(one["net"], one["batch"], one["precision"]) for one in results] == [
        ("reference", 1200, "float32"),
        ("default", 1200, "float32"),
    ]
    assert all(one["ranks"] >= 1 and one["ratio"] > 0 for one in results)
    assert all(set(one["rows_per_second"]) == {"bare", "sentispark"} for one in results)


def test_what_is_no_dataset_is_told_before_any_rank_starts(tmp_path):
    asked = {"batches": [1200], "ranks": None, "cores": 1, "precision": "float32", "times": 1}
    with pytest.raises(DatasetError, match="must be a dataset"):
        measure(tmp_path, dataset=f"{tmp_path}/nothing", **asked)
