"""The bare loop has every encoded row once, trimmed, in processes that end."""

import pytest
from pyspark.sql import functions as F

from sentispark.bench.inference import untrained_net
from sentispark.bench.peers import bare_torch
from sentispark.bench.peers.bare_torch import BareTorch
from sentispark.nn.options import NetOptions

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


def test_the_bare_loop_has_every_row_once_in_trimmed_batches(trained, encoded):
    seen = []
    for core in range(3):
        bare_torch._load(trained, encoded, core, 3, 16)
        assert bare_torch._forward() > 0
        for sequence, length in bare_torch._loaded[1]:
            assert sequence.shape[1] == max(1, int(length.max()))
            assert length.tolist() == sorted(length.tolist())
            seen += [row[row > 0].tolist() for row in sequence]
    expected = [[2 + (number * n) % 28 for n in range(1, number % (L + 1) + 1)] for number in range(100)]
    assert sorted(seen) == sorted(expected)


def test_closing_ends_its_processes(trained, encoded):
    bare = BareTorch(trained, encoded, 2, batch_rows=512)
    assert bare.seconds() > 0
    assert (bare.rows(), bare.rows(share=2)) == (100, 100)  # one batch in each process
    bare.close()
