"""Rows per second are measured for each net and batch size."""

import pytest

from sentispark.bench.throughput import measure
from sentispark.errors import DatasetError
from tests.helpers.toy import toy_rows, write_toy


@pytest.mark.distributed
@pytest.mark.endtoend
def test_each_net_and_batch_size_has_its_speed(tmp_path):
    toy = write_toy(tmp_path / "dataset", {"train": toy_rows(2400, seed=1)})
    options = {"batches": [1200], "ranks": None, "cores": 1, "precision": "float32", "times": 1}
    results = measure(tmp_path, dataset=toy, **options)["results"]
    assert [(entry["net"], entry["batch"], entry["precision"]) for entry in results] == [
        ("reference", 1200, "float32"),
        ("default", 1200, "float32"),
    ]
    assert all(entry["ranks"] >= 1 and entry["ratio"] > 0 for entry in results)
    assert all(set(entry["rows_per_second"]) == {"bare", "sentispark"} for entry in results)


def test_a_missing_dataset_is_reported_before_any_rank_starts(tmp_path):
    options = {"batches": [1200], "ranks": None, "cores": 1, "precision": "float32", "times": 1}
    with pytest.raises(DatasetError, match="must be a dataset"):
        measure(tmp_path, dataset=f"{tmp_path}/nothing", **options)
