"""Each row is scored once, by one rank."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sentispark.train.evaluation import evaluation_batches, shares
from tests.dataset.test_batches import Rows
from tests.train.test_prefetch import numbers


class TestEvaluation:
    """Each row is scored once, by one rank."""

    @given(
        rows=st.integers(0, 200),
        sizes=st.lists(st.integers(0, 300), min_size=1, max_size=5).filter(any).map(np.array),
        batch_rows=st.integers(1, 50),
        trim=st.booleans(),
    )
    def test_every_row_is_scored_once_whatever_the_batch_sizes(self, rows, sizes, batch_rows, trim):
        batches = [
            batch
            for rank in range(len(sizes))
            for batch in evaluation_batches(Rows(rows), rank=rank, sizes=sizes, batch_rows=batch_rows, trim=trim)
        ]
        assert sorted(numbers(batches)) == list(range(rows))
        assert all(1 <= len(batch.length) <= batch_rows for batch in batches)

    def test_rows_beyond_a_window_are_scored_once_too(self, monkeypatch):
        monkeypatch.setattr("sentispark.train.evaluation._WINDOW_ROWS", 16)
        batches = [
            batch
            for rank in range(2)
            for batch in evaluation_batches(Rows(101), rank=rank, sizes=np.array([1, 1]), batch_rows=7, trim=True)
        ]
        assert sorted(numbers(batches)) == list(range(101))

    @given(rows=st.integers(0, 200), ranks=st.integers(1, 5))
    def test_ranks_of_equal_batches_share_the_rows_evenly(self, rows, ranks):
        found = [
            len(numbers(evaluation_batches(Rows(rows), rank=rank, sizes=np.full(ranks, 8), batch_rows=50, trim=True)))
            for rank in range(ranks)
        ]
        assert max(found) - min(found) <= 1

    @given(rows=st.integers(0, 10**9), sizes=st.lists(st.integers(0, 10**6), min_size=1, max_size=9).filter(any))
    def test_shares_are_proportional_to_batch_sizes(self, rows, sizes):
        edges = shares(rows, np.array(sizes))
        assert (edges[0], edges[-1]) == (0, rows)
        for share, size in zip(np.diff(edges).tolist(), sizes, strict=True):
            assert abs(share - rows * size / sum(sizes)) < 1 + 1e-6 * rows
