"""A rank's part of each step, prepared ahead of time."""

import threading

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sentispark.dataset.batches import SectionedEpoch
from sentispark.dataset.plan import even_sizes
from sentispark.train.prefetch import PrefetchedBatches
from sentispark.train.world import World
from tests.dataset.test_batches import Rows


def numbers(batches):
    return [int(weight) for batch in batches for weight in batch[3]]


def always(*sizes):
    return lambda step: np.array(sizes)


def epoch_of(rows, global_batch):
    return SectionedEpoch(Rows(rows), global_batch=global_batch, seed=0, epoch=1)


class TestPrefetchedBatches:
    """The batch of the next step is made while a step is computed."""

    @given(rows=st.integers(0, 400), ranks=st.integers(1, 5), global_batch=st.integers(5, 90))
    def test_all_ranks_together_have_every_row_once_in_the_same_number_of_steps(self, rows, ranks, global_batch):
        sizes, used = even_sizes(global_batch, ranks), []
        for rank in range(ranks):
            steps = list(PrefetchedBatches(epoch_of(rows, global_batch), World(rank=rank, size=ranks), always(*sizes)))
            assert [count for _, count in steps] == [
                epoch_of(rows, global_batch).rows_in_step(step) for step in range(len(steps))
            ]
            used += numbers(batch for batch, _ in steps)
        assert sorted(used) == list(range(rows))

    def test_the_sizes_of_a_step_are_requested_once_and_one_step_ahead(self):
        asked, taken = [], []

        def sizes_at(step):
            asked.append((step, len(taken)))
            return np.array([32, 32] if step < 5 else [48, 16])

        for batch, _ in PrefetchedBatches(epoch_of(10 * 64, 64), World(rank=0, size=2), sizes_at):
            taken.append(len(batch[0]))
        assert taken == [32] * 5 + [48] * 5
        assert asked == [(step, max(0, step - 1)) for step in range(10)]

    @given(rows=st.integers(1, 400), global_batch=st.integers(5, 90), data=st.data())
    def test_batches_from_any_step_on_are_those_of_the_whole_epoch(self, rows, global_batch, data):
        first = data.draw(st.integers(0, epoch_of(rows, global_batch).steps))
        whole, rest = (
            list(PrefetchedBatches(epoch_of(rows, global_batch), World(), always(global_batch), first=begin))
            for begin in (0, first)
        )
        assert len(rest) == len(whole) - first
        for (batch, count), (expected, expected_count) in zip(rest, whole[first:], strict=True):
            assert count == expected_count
            assert all(map(torch.equal, batch, expected))

    def test_a_batch_is_made_while_the_one_before_it_is_used(self):
        made, epoch = threading.Semaphore(0), epoch_of(8 * 4, 8)
        make, makers = epoch.batch, set()

        def noting(*arguments):
            makers.add(threading.get_ident())
            made.release()
            return make(*arguments)

        epoch.batch = noting
        for step, _ in enumerate(PrefetchedBatches(epoch, World(), always(8))):
            assert made.acquire(timeout=10)
            if step < 3:
                assert made.acquire(timeout=10), "the next batch is made before it is asked for"
                made.release()
        assert threading.get_ident() not in makers

    def test_an_error_while_a_batch_is_made_is_raised_where_the_batch_is_used(self):
        epoch = epoch_of(64, 8)
        epoch.batch = lambda *_: 1 / 0
        with pytest.raises(ZeroDivisionError):
            list(PrefetchedBatches(epoch, World(), always(8)))

    def test_time_without_a_batch_is_counted(self):
        epoch = epoch_of(8 * 3, 8)
        make, pause = epoch.batch, threading.Event()
        epoch.batch = lambda *arguments: (pause.wait(0.05), make(*arguments))[1]
        batches = PrefetchedBatches(epoch, World(), always(8))
        assert len(list(batches)) == 3
        assert batches.seconds_waited >= 0.14
