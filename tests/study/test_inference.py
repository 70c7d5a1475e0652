"""What inference is measured beside gives the same logits, and the measurement has all of its parts."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from pyspark.sql import functions as F

from sentispark.jobs import bench_inference
from sentispark.nn.options import NetOptions
from sentispark.study import inference
from sentispark.study.inference import BareLoop, Cost, cost_of, untrained_net

L = 6


@pytest.fixture(scope="module")
def trained():
    options = NetOptions(embedding_size=4, hidden_size=3, wide_size=20)
    return untrained_net(options, vocabulary_size=30, sequence_length=L)


@pytest.fixture(scope="module")
def encoded(spark, tmp_path_factory):
    path = str(tmp_path_factory.mktemp("encoded") / "rows")
    rows = spark.range(100).select(
        F.expr(f"transform(sequence(1, {L}), n -> IF(n <= id % {L + 1}, int(2 + (id * n) % 28), 0))").alias("sequence"),
        F.expr(f"int(id % {L + 1})").alias("length"),
    )
    rows.repartition(3).write.parquet(path)
    return path


def test_the_bare_loop_has_every_row_once_and_trimmed(trained, encoded, monkeypatch):
    seen = []
    for core in range(3):
        inference._load(trained, encoded, core, 3)
        assert inference._forward() > 0
        for sequence, length in inference._held[1]:
            assert sequence.shape[1] == max(1, int(length.max()))
            assert length.tolist() == sorted(length.tolist())
            seen += [row[row > 0].tolist() for row in sequence]
    expected = [[2 + (number * n) % 28 for n in range(1, number % (L + 1) + 1)] for number in range(100)]
    assert sorted(seen) == sorted(expected)


def test_its_processes_are_gone_when_it_is_closed(trained, encoded):
    bare = BareLoop(trained, encoded, 2)
    assert bare.seconds() > 0
    assert (bare.rows(), bare.rows(share=2)) == (100, 100)  # a batch a process
    bare.close()


def test_a_net_that_has_learnt_nothing_is_the_same_every_time(trained):
    again = untrained_net(trained.options, vocabulary_size=30, sequence_length=L)
    assert again.weights == trained.weights
    with torch.inference_mode():
        assert np.isfinite(again.module()(torch.ones(2, L, dtype=torch.long), torch.tensor([L, 0])).numpy()).all()


def test_a_cost_is_that_of_a_call_and_that_of_a_row():
    assert cost_of(100, 3.0, 300, 5.0) == Cost(call_seconds=2.0, row_seconds=0.01)
    assert cost_of(100, 4.0, 100, 5.0) == Cost(call_seconds=0.0, row_seconds=0.05)
    assert Cost(2.0, 0.01).seconds(1000) == 12


@pytest.mark.endtoend
def test_all_four_ways_are_measured(spark, tmp_path, monkeypatch):
    small = NetOptions(embedding_size=4, hidden_size=4, wide_size=20)
    monkeypatch.setattr(bench_inference, "NetOptions", lambda: small)
    found = bench_inference.measure(spark, tmp_path, rows=2000, times=1)
    assert set(found["ratios"]) == {"vs_bare_torch", "vs_predict_batch_udf", "vs_row_udf"}
    assert all(speed > 0 for speed in found["rows_per_second"].values())
    assert found["cost"].keys() == found["rows_per_second"].keys()
    assert all(cost.keys() == {"call_seconds", "microseconds_per_row"} for cost in found["cost"].values())
    assert found["wide_over_text_alone"] > 0 < found["first_call_seconds"]
    assert (tmp_path / "ratios.png").stat().st_size > 1000
    json.dumps(found)
