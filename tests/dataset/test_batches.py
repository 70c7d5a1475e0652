"""The steps of an epoch compared with the rows of the dataset; row i has weight i, by which it is recognized."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.dataset.batches import SECTION_STEPS, SectionedEpoch, epoch_steps, make_batch
from sentispark.dataset.dataset import open_dataset
from sentispark.dataset.readers import ArrowReader, ChunkArrays
from sentispark.dataset.store import RowStore
from tests.helpers.toy import L, Row, write_toy


class Rows:
    """A store that makes its rows up: row i has i % (L + 1) ids, all of them i + 1, and weight i."""

    def __init__(self, count):
        self._count = count

    def __len__(self):
        return self._count

    def lengths(self, rows):
        assert np.all(np.diff(rows) > 0), "a store is asked for rows in ascending order"
        return (rows % (L + 1)).astype(np.int32)

    def take(self, rows):
        length = self.lengths(rows)
        sequence = np.where(np.arange(L) < length[:, None], rows[:, None] + 1, 0).astype(np.int32)
        return ChunkArrays(sequence, length, (rows % 2).astype(np.int32), rows.astype(np.float64))


def epoch_of(rows, global_batch, *, seed=0, epoch=1, trim=True):
    return SectionedEpoch(Rows(rows), global_batch=global_batch, seed=seed, epoch=epoch, trim=trim)


def numbers(batch):
    return [int(weight) for weight in batch.weight]


def whole_steps(epoch):
    """The row numbers of each step."""
    return [numbers(epoch.batch(step)) for step in range(epoch.steps)]


epochs = {"rows": st.integers(0, 600), "global_batch": st.integers(1, 140)}


@given(**epochs, seed=st.integers(0, 9), epoch=st.integers(1, 9))
def test_every_row_is_used_exactly_once_an_epoch(rows, global_batch, seed, epoch):
    used = itertools.chain(*whole_steps(epoch_of(rows, global_batch, seed=seed, epoch=epoch)))
    assert sorted(used) == list(range(rows))


@given(rows=st.integers(SECTION_STEPS * 2, 600), global_batch=st.integers(1, 2))
def test_every_row_is_used_exactly_once_in_an_epoch_of_many_sections_too(rows, global_batch):
    used = itertools.chain(*whole_steps(epoch_of(rows, global_batch)))
    assert sorted(used) == list(range(rows))


@given(**epochs)
def test_the_number_of_steps_is_the_announced_one_and_none_exceeds_the_global_batch(rows, global_batch):
    epoch = epoch_of(rows, global_batch)
    steps = whole_steps(epoch)
    assert len(steps) == epoch.steps == epoch_steps(rows, global_batch)
    assert [len(step) for step in steps] == [epoch.rows_in_step(step) for step in range(epoch.steps)]
    assert all(1 <= len(step) <= global_batch for step in steps)


@given(**epochs, ranks=st.integers(1, 6), data=st.data())
def test_the_rows_of_a_step_do_not_depend_on_the_ranks_or_their_batch_sizes(rows, global_batch, ranks, data):
    alone = whole_steps(epoch_of(rows, global_batch))
    views = [epoch_of(rows, global_batch) for _ in range(ranks)]
    for step, expected in enumerate(alone):
        cuts = sorted(data.draw(st.lists(st.integers(0, global_batch), min_size=ranks - 1, max_size=ranks - 1)))
        sizes = np.diff([0, *cuts, global_batch])
        parts = [numbers(view.batch(step, sizes, rank)) for rank, view in enumerate(views)]
        assert list(itertools.chain(*parts)) == expected
        assert all(len(part) <= size for part, size in zip(parts, sizes, strict=True))


@given(**epochs, trim=st.booleans())
def test_a_batch_holds_its_rows_as_they_are_in_the_dataset(rows, global_batch, trim):
    epoch = epoch_of(rows, global_batch, trim=trim)
    for step in range(epoch.steps):
        batch = epoch.batch(step)
        assert batch.sequence.shape[1] == (max([1, *batch.length]) if trim else L)
        for sequence, length, label, weight in zip(*batch, strict=True):
            row = int(weight)
            assert (length, label) == (row % (L + 1), row % 2)
            assert sequence.tolist() == [row + 1] * length + [0] * (len(sequence) - length)


@given(**epochs, seed=st.integers(0, 9))
def test_the_same_seed_and_epoch_give_the_same_steps(rows, global_batch, seed):
    first, again = (whole_steps(epoch_of(rows, global_batch, seed=seed, epoch=3)) for _ in range(2))
    assert first == again


def test_epochs_and_seeds_differ_in_their_order():
    orders = {
        str(whole_steps(epoch_of(200, 10, seed=seed, epoch=epoch)))
        for seed, epoch in itertools.product((0, 1), (1, 2, 3))
    }
    assert len(orders) == 6


def test_rows_of_one_length_are_shuffled_again_in_each_epoch():
    meetings = [
        {
            frozenset(pair)
            for step in whole_steps(epoch_of(400, 8, epoch=epoch))
            for pair in itertools.combinations(step, 2)
        }
        for epoch in (1, 2)
    ]
    assert len(meetings[0] & meetings[1]) < 0.3 * len(meetings[0])


def test_all_rows_of_a_step_are_of_about_the_same_length():
    epoch = epoch_of(9 * 64, 64)
    for step in range(epoch.steps):
        assert np.ptp(epoch.batch(step).length) <= 2


def test_long_and_short_steps_come_in_random_order():
    epoch = epoch_of(50 * 16, 16)
    longest = [epoch.batch(step).length.max() for step in range(epoch.steps)]
    changes = np.sign(np.diff(longest))
    assert {-1, 1} <= set(changes.tolist())
    assert longest != sorted(longest)


def test_a_rank_keeps_its_rows_from_epoch_to_epoch():
    held = []
    for number in (1, 2):
        epoch = epoch_of(2000, 64, epoch=number)
        held.append({row for step in range(epoch.steps) for row in numbers(epoch.batch(step, [32, 32]))})
    assert held[0] == held[1] == set(range(1000))


@pytest.mark.parametrize(
    ("rows", "global_batch", "steps"),
    [
        (0, 8, 0),
        (1, 8, 1),
        (64, 8, 8),
        (65, 8, 9),
        (8 * SECTION_STEPS, 8, 128),
        # Two sections of 513 and 512 rows: 65 and 64 steps.
        (8 * SECTION_STEPS + 1, 8, 129),
    ],
)
def test_the_steps_of_an_epoch_counted_by_hand(rows, global_batch, steps):
    assert epoch_steps(rows, global_batch) == steps


def test_a_rank_opens_only_its_own_chunks(tmp_path):
    path = write_toy(
        tmp_path,
        {"train": [Row([2] * (number % L), number % 2, number) for number in range(400)]},
        rows_per_chunk=100,
        weighted=True,
    )
    read = []

    class Noting(ArrowReader):
        def read(self, dataset, chunk):
            read.append(chunk.file)
            return super().read(dataset, chunk)

    used = []
    for rank in range(2):
        read.clear()
        with RowStore(open_dataset(path), "train", Noting()) as store:
            for number in (1, 2):
                epoch = SectionedEpoch(store, global_batch=64, seed=0, epoch=number)
                parts = [epoch.batch(step, [32, 32], rank) for step in range(epoch.steps)]
        used += [row for part in parts for row in numbers(part)]
        assert sorted(read) == [f"train/chunk-{number:06d}.parquet" for number in (2 * rank, 2 * rank + 1)]
    assert sorted(used) == list(range(400))


def rows_of(lengths):
    """One row per length; all ids of row i are i + 1, its label is i's parity, its weight i / 2."""
    lengths, numbers = np.array(lengths, np.int32), np.arange(len(lengths))
    sequence = np.where(np.arange(L) < lengths[:, None], numbers[:, None] + 1, 0).astype(np.int16)
    return ChunkArrays(sequence, lengths, (numbers % 2).astype(np.int32), numbers / 2)


@pytest.mark.parametrize("lengths", [[1, 2], []])
def test_batches_keep_the_stored_width_of_ids(lengths):
    batch = make_batch(rows_of(lengths), trim=True)
    assert [column.dtype for column in batch] == [np.int16, np.int32, np.float32, np.float32]


def test_rows_without_a_word_make_a_batch_of_one_step_of_padding():
    batch = make_batch(rows_of([0, 0]), trim=True)
    assert batch.sequence.tolist() == [[0], [0]]
    assert batch.length.tolist() == [0, 0]


def test_a_slice_makes_a_batch_in_the_order_of_the_rows():
    batch = make_batch(rows_of([1, 3, 2, 6]), slice(1, 3), trim=True)
    assert batch.sequence.tolist() == [[2, 2, 2], [3, 3, 0]]
    assert batch.length.tolist() == [3, 2]
