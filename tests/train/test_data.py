"""What a rank is handed: its part of each step in time, and its share of an evaluation."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.dataset.batches import Epoch
from sentispark.dataset.plan import even_sizes
from sentispark.train.data import Ahead, evaluation_batches, shares
from sentispark.train.world import World
from tests.dataset.test_batches import Rows


def numbers(batches):
    return [int(weight) for batch in batches for weight in batch[3]]


def epoch_of(rows, global_batch):
    return Epoch(Rows(rows), global_batch=global_batch, seed=0, epoch=1)


class TestAhead:
    """The batch of the next step is made while a step is computed."""

    @given(rows=st.integers(0, 400), ranks=st.integers(1, 5), global_batch=st.integers(5, 90))
    def test_all_ranks_together_have_every_row_once_in_the_same_number_of_steps(self, rows, ranks, global_batch):
        sizes, used = even_sizes(global_batch, ranks), []
        for rank in range(ranks):
            steps = list(Ahead(epoch_of(rows, global_batch), World(rank=rank, size=ranks), sizes))
            assert [count for _, count in steps] == [
                epoch_of(rows, global_batch).step_rows(step) for step in range(len(steps))
            ]
            used += numbers(batch for batch, _ in steps)
        assert sorted(used) == list(range(rows))

    def test_new_sizes_hold_from_the_step_after_the_next(self):
        batches, counts = Ahead(epoch_of(10 * 64, 64), World(rank=0, size=2), np.array([32, 32])), []
        for step, (batch, _) in enumerate(batches):
            counts.append(len(batch[0]))
            if step == 3:
                batches.sizes = np.array([48, 16])
        assert counts == [32] * 5 + [48] * 5

    def test_a_batch_is_made_while_the_one_before_it_is_used(self):
        made, epoch = threading.Semaphore(0), epoch_of(8 * 4, 8)
        make, makers = epoch.batch, set()

        def noting(*arguments):
            makers.add(threading.get_ident())
            made.release()
            return make(*arguments)

        epoch.batch = noting
        for step, _ in enumerate(Ahead(epoch, World(), np.array([8]))):
            assert made.acquire(timeout=10)
            if step < 3:
                assert made.acquire(timeout=10), "the next batch is made before it is asked for"
                made.release()
        assert threading.get_ident() not in makers

    def test_what_fails_while_a_batch_is_made_fails_where_it_is_asked_for(self):
        epoch = epoch_of(64, 8)
        epoch.batch = lambda *_: 1 / 0
        with pytest.raises(ZeroDivisionError):
            list(Ahead(epoch, World(), np.array([8])))

    def test_time_without_a_batch_is_counted(self):
        epoch = epoch_of(8 * 3, 8)
        make, pause = epoch.batch, threading.Event()
        epoch.batch = lambda *arguments: (pause.wait(0.05), make(*arguments))[1]
        batches = Ahead(epoch, World(), np.array([8]))
        assert len(list(batches)) == 3
        assert batches.seconds_waited >= 0.14


class TestEvaluation:
    """Each row is judged once, by one rank."""

    @given(
        rows=st.integers(0, 200),
        sizes=st.lists(st.integers(0, 300), min_size=1, max_size=5).filter(any).map(np.array),
        batch_rows=st.integers(1, 50),
        trim=st.booleans(),
    )
    def test_every_row_is_judged_once_whatever_the_batch_sizes(self, rows, sizes, batch_rows, trim):
        batches = [
            batch
            for rank in range(len(sizes))
            for batch in evaluation_batches(Rows(rows), rank=rank, sizes=sizes, batch_rows=batch_rows, trim=trim)
        ]
        assert sorted(numbers(batches)) == list(range(rows))
        assert all(1 <= len(batch.length) <= batch_rows for batch in batches)

    def test_rows_beyond_a_window_are_judged_once_too(self, monkeypatch):
        monkeypatch.setattr("sentispark.train.data.EVALUATION_WINDOW", 16)
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
    def test_a_share_is_to_all_rows_what_a_batch_is_to_all_batches(self, rows, sizes):
        edges = shares(rows, np.array(sizes))
        assert (edges[0], edges[-1]) == (0, rows)
        for share, size in zip(np.diff(edges).tolist(), sizes, strict=True):
            assert abs(share - rows * size / sum(sizes)) < 1 + 1e-6 * rows
