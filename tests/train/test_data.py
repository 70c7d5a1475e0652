"""The batches of all ranks together against the rows of the dataset; row i weighs i, so that it is known again."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.dataset.dataset import open_dataset
from sentispark.dataset.readers import ArrowReader, ChunkArrays
from sentispark.dataset.store import RowStore
from sentispark.train.data import SECTION_STEPS, epoch_steps, evaluation_batches, training_batches
from tests.helpers.toy import L, Row, write_toy


class Rows:
    """A store that makes its rows up: row i has i % (L + 1) ids, all of them i + 1, and weighs i."""

    def __init__(self, count):
        self._count = count

    def __len__(self):
        return self._count

    def take(self, rows):
        assert np.all(np.diff(rows) > 0), "a store is asked for rows in ascending order"
        length = (rows % (L + 1)).astype(np.int32)
        sequence = np.where(np.arange(L) < length[:, None], rows[:, None] + 1, 0).astype(np.int32)
        return ChunkArrays(sequence, length, (rows % 2).astype(np.int32), rows.astype(np.float64))


def epoch_of(rows, ranks, global_batch, *, seed=0, epoch=1, trim=True):
    """What each rank gets: a list of (batch, rows of the step) a rank."""
    store = rows if isinstance(rows, RowStore) else Rows(rows)
    options = {"ranks": ranks, "global_batch": global_batch, "seed": seed, "epoch": epoch, "trim": trim}
    return [list(training_batches(store, rank=rank, **options)) for rank in range(ranks)]


def numbers(batches):
    return [int(weight) for batch in batches for weight in batch.weight]


def row_numbers(one_rank):
    return numbers(batch for batch, _ in one_rank)


worlds = {"rows": st.integers(0, 400), "ranks": st.integers(1, 5), "global_batch": st.integers(1, 90)}
few_rows_a_step = {"rows": st.integers(150, 400), "ranks": st.integers(1, 3), "global_batch": st.integers(1, 2)}


class TestTraining:
    """An epoch is a partition of the rows, in steps that all ranks take together."""

    @given(**worlds, seed=st.integers(0, 9), epoch=st.integers(1, 9))
    def test_every_row_is_used_exactly_once_an_epoch(self, rows, ranks, global_batch, seed, epoch):
        used = [
            number
            for rank in epoch_of(rows, ranks, global_batch, seed=seed, epoch=epoch)
            for number in row_numbers(rank)
        ]
        assert sorted(used) == list(range(rows))

    @given(**few_rows_a_step)
    def test_every_row_is_used_exactly_once_in_an_epoch_of_many_sections_too(self, rows, ranks, global_batch):
        assert rows / global_batch > SECTION_STEPS
        used = [number for rank in epoch_of(rows, ranks, global_batch) for number in row_numbers(rank)]
        assert sorted(used) == list(range(rows))

    @given(**worlds)
    def test_all_ranks_take_the_same_number_of_steps_and_it_is_the_one_that_was_announced(
        self, rows, ranks, global_batch
    ):
        steps = {len(rank) for rank in epoch_of(rows, ranks, global_batch)}
        assert steps == {epoch_steps(rows, global_batch)}

    @given(**worlds)
    def test_a_steps_rows_are_those_of_all_ranks_and_at_most_the_global_batch(self, rows, ranks, global_batch):
        for step in zip(*epoch_of(rows, ranks, global_batch), strict=True):
            announced = {step_rows for _, step_rows in step}
            assert announced == {sum(len(batch.length) for batch, _ in step)}
            assert 1 <= announced.pop() <= global_batch

    @given(**worlds)
    def test_no_rank_has_more_rows_in_a_step_than_its_share_of_the_batch_rounded_up(self, rows, ranks, global_batch):
        for rank in epoch_of(rows, ranks, global_batch):
            assert all(len(batch.length) <= -(-global_batch // ranks) for batch, _ in rank)

    @given(**worlds, trim=st.booleans())
    def test_a_batch_holds_its_rows_as_they_are_in_the_dataset(self, rows, ranks, global_batch, trim):
        for batch, _ in (step for rank in epoch_of(rows, ranks, global_batch, trim=trim) for step in rank):
            assert trim or batch.sequence.shape[1] == L
            for sequence, length, label, weight in zip(*batch, strict=True):
                row = int(weight)
                assert (length, label) == (row % (L + 1), row % 2)
                assert sequence.tolist() == [row + 1] * length + [0] * (len(sequence) - length)

    @given(**worlds, seed=st.integers(0, 9))
    def test_the_same_seed_and_epoch_give_the_same_batches(self, rows, ranks, global_batch, seed):
        first, again = (epoch_of(rows, ranks, global_batch, seed=seed, epoch=3) for _ in range(2))
        assert list(map(row_numbers, first)) == list(map(row_numbers, again))

    def test_epochs_and_seeds_differ_in_their_order(self):
        orders = {
            tuple(row_numbers(epoch_of(200, 1, 10, seed=seed, epoch=epoch)[0]))
            for seed in (0, 1)
            for epoch in (1, 2, 3)
        }
        assert len(orders) == 6

    def test_a_rank_keeps_its_rows_from_epoch_to_epoch(self):
        held = [[set(row_numbers(rank)) for rank in epoch_of(1000, 3, 7, epoch=epoch)] for epoch in (1, 2)]
        assert held[0] == held[1]

    def test_ranks_read_reviews_of_about_the_same_length_in_each_step(self):
        for step in zip(*epoch_of(9 * 64, 2, 64), strict=True):
            one, other = (batch.length for batch, _ in step)
            assert one.max() - other.min() <= 1
            assert other.max() - one.min() <= 1

    def test_fewer_rows_than_ranks_give_empty_batches_to_the_others(self):
        ranks = epoch_of(2, 4, 8)
        assert [len(rank) for rank in ranks] == [1, 1, 1, 1]
        assert sorted(len(batch.length) for rank in ranks for batch, _ in rank) == [0, 0, 1, 1]
        assert {step_rows for rank in ranks for _, step_rows in rank} == {2}

    @pytest.mark.parametrize(
        ("rows", "global_batch", "steps"),
        [
            (0, 8, 0),
            (1, 8, 1),
            (64, 8, 8),
            (65, 8, 9),
            (8 * SECTION_STEPS, 8, 64),
            # Two sections of 257 and 256 rows: 33 and 32 steps.
            (8 * SECTION_STEPS + 1, 8, 65),
        ],
    )
    def test_the_steps_of_an_epoch_counted_by_hand(self, rows, global_batch, steps):
        assert epoch_steps(rows, global_batch) == steps


class TestEvaluation:
    """Each row is judged once, by one rank."""

    @given(rows=st.integers(0, 200), ranks=st.integers(1, 5), batch_rows=st.integers(1, 50), trim=st.booleans())
    def test_every_row_is_judged_once(self, rows, ranks, batch_rows, trim):
        batches = [
            batch
            for rank in range(ranks)
            for batch in evaluation_batches(Rows(rows), rank=rank, ranks=ranks, batch_rows=batch_rows, trim=trim)
        ]
        assert sorted(numbers(batches)) == list(range(rows))
        assert all(1 <= len(batch.length) <= batch_rows for batch in batches)

    def test_rows_beyond_a_window_are_judged_once_too(self, monkeypatch):
        monkeypatch.setattr("sentispark.train.data.EVALUATION_WINDOW", 16)
        batches = [
            batch
            for rank in range(2)
            for batch in evaluation_batches(Rows(101), rank=rank, ranks=2, batch_rows=7, trim=True)
        ]
        assert sorted(numbers(batches)) == list(range(101))

    @given(rows=st.integers(0, 200), ranks=st.integers(1, 5))
    def test_ranks_share_the_rows_evenly(self, rows, ranks):
        shares = [
            len(numbers(evaluation_batches(Rows(rows), rank=rank, ranks=ranks, batch_rows=50, trim=True)))
            for rank in range(ranks)
        ]
        assert max(shares) - min(shares) <= 1


def test_rows_of_a_dataset_on_disk_are_used_once_and_a_rank_opens_its_own_chunks_alone(tmp_path):
    path = write_toy(
        tmp_path,
        {"train": [Row([2] * (number % L), number % 2, number) for number in range(100)]},
        rows_per_chunk=25,
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
            for epoch in (1, 2):
                batches = list(
                    training_batches(store, rank=rank, ranks=2, global_batch=10, seed=0, epoch=epoch, trim=True)
                )
        used += row_numbers(batches)
        assert read == [f"train/chunk-{number:06d}.parquet" for number in (2 * rank, 2 * rank + 1)]
    assert sorted(used) == list(range(100))
