"""All ways of inference are measured, and their costs follow from two numbers of rows."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from sentispark.bench import inference
from sentispark.bench.inference import Cost, cost_of, untrained_net
from sentispark.nn.options import NetOptions

L = 6


def test_an_untrained_net_is_the_same_every_time():
    options = NetOptions(embedding_size=4, hidden_size=3, wide_size=20)
    first, again = (untrained_net(options, vocabulary_size=30, sequence_length=L) for _ in range(2))
    assert again.weights == first.weights
    with torch.inference_mode():
        assert np.isfinite(again.module()(torch.ones(2, L, dtype=torch.long), torch.tensor([L, 0])).numpy()).all()


def test_a_cost_is_the_line_through_two_numbers_of_rows():
    assert cost_of(100, 3.0, 300, 5.0) == Cost(call_seconds=2.0, row_seconds=0.01)
    assert cost_of(100, 4.0, 100, 5.0) == Cost(call_seconds=0.0, row_seconds=0.05)
    assert Cost(2.0, 0.01).seconds(1000) == 12


@pytest.mark.endtoend
def test_all_four_contenders_are_measured(spark, tmp_path, monkeypatch):
    small = NetOptions(embedding_size=4, hidden_size=4, wide_size=20)
    monkeypatch.setattr(inference, "NetOptions", lambda: small)
    found = inference.measure(spark, tmp_path, rows=2000, times=1)
    assert set(found["ratios"]) == {"vs_bare_torch", "vs_predict_batch_udf", "vs_row_udf"}
    assert all(speed > 0 for speed in found["rows_per_second"].values())
    assert found["cost"].keys() == found["rows_per_second"].keys()
    assert all(cost.keys() == {"call_seconds", "microseconds_per_row"} for cost in found["cost"].values())
    assert found["wide_over_text_alone"] > 0 < found["first_call_seconds"]
    assert (tmp_path / "ratios.png").stat().st_size > 1000
    json.dumps(found)
