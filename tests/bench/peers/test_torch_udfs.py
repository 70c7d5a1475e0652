"""Both kinds of UDF compute the logits of the net."""

import numpy as np
import pytest
import torch

from sentispark.bench.inference import untrained_net
from sentispark.bench.peers.torch_udfs import predict_by_batch, predict_by_row
from sentispark.nn.options import NetOptions


def test_both_udfs_compute_the_logits_of_the_net(spark):
    rows = [([2 + number, 3, 0], 2) for number in range(5)]
    options = NetOptions(embedding_size=4, hidden_size=3, wide_size=20)
    trained = untrained_net(options, vocabulary_size=30, sequence_length=3)
    encoded = spark.createDataFrame(rows, "sequence array<int>, length int").coalesce(1)
    sequence, length = (torch.tensor(column) for column in zip(*rows, strict=True))
    with torch.inference_mode():
        logits = trained.module()(sequence, length).numpy()
    assert len(np.unique(logits)) == 5
    by_batch = [row[0] for row in predict_by_batch(trained, encoded, batch_rows=2).collect()]
    assert by_batch == pytest.approx(logits, abs=1e-5)
    assert predict_by_row(trained, encoded).collect() == pytest.approx(logits, abs=1e-5)
