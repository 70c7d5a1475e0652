"""A rank's batches against its rows: which rows, how many, how long, and in what order."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sentispark.dataset.batches import length_sorted_batches, make_batch, shared_step_order
from sentispark.dataset.readers import ChunkArrays

L = 6


def rows_of(lengths):
    """One row a length, all ids of row i being i + 1, its label odd or even, its weight i / 2."""
    lengths, numbers = np.array(lengths, np.int32), np.arange(len(lengths))
    sequence = np.where(np.arange(L) < lengths[:, None], numbers[:, None] + 1, 0).astype(np.int16)
    return ChunkArrays(sequence, lengths, (numbers % 2).astype(np.int32), numbers / 2)


def batches_of(lengths, step_rows, *, order=None, seed=0, trim=True):
    order = np.arange(len(step_rows)) if order is None else np.array(order)
    rng = np.random.default_rng(seed)
    return list(length_sorted_batches(rows_of(lengths), np.array(step_rows), order, rng, trim=trim))


def row_numbers(batches):
    return [int(weight * 2) for batch in batches for weight in batch.weight]


@st.composite
def sections(draw):
    """Batch sizes of a rank's steps (0 allowed), lengths of as many rows (0 allowed), an order of the steps, a seed."""
    step_rows = draw(st.lists(st.integers(0, 5), min_size=1, max_size=8))
    lengths = draw(st.lists(st.integers(0, L), min_size=sum(step_rows), max_size=sum(step_rows)))
    return lengths, step_rows, draw(st.permutations(range(len(step_rows)))), draw(st.integers(0, 99))


@given(sections(), st.booleans())
def test_each_row_comes_once_and_with_its_own_values(section, trim):
    lengths, step_rows, order, seed = section
    batches = batches_of(lengths, step_rows, order=order, seed=seed, trim=trim)
    assert sorted(row_numbers(batches)) == list(range(len(lengths)))
    for batch in batches:
        for sequence, length, label, weight in zip(*batch, strict=True):
            number = int(weight * 2)
            assert length == lengths[number]
            assert label == number % 2
            assert sequence.tolist() == [number + 1] * length + [0] * (len(sequence) - length)


@given(sections())
def test_the_batch_at_place_t_has_the_size_planned_for_the_t_th_step_of_the_order(section):
    lengths, step_rows, order, seed = section
    batches = batches_of(lengths, step_rows, order=order, seed=seed)
    assert [len(batch.length) for batch in batches] == [step_rows[step] for step in order]


@given(sections())
def test_a_batch_is_as_wide_as_its_longest_row_and_at_least_one_step(section):
    lengths, step_rows, order, seed = section
    for batch in batches_of(lengths, step_rows, order=order, seed=seed):
        assert batch.sequence.shape == (len(batch.length), max([1, *batch.length]))


@given(sections())
def test_untrimmed_batches_keep_the_length_of_the_sequences(section):
    lengths, step_rows, order, seed = section
    for batch in batches_of(lengths, step_rows, order=order, seed=seed, trim=False):
        assert batch.sequence.shape == (len(batch.length), L)


@given(sections())
def test_trimming_changes_nothing_but_the_width(section):
    lengths, step_rows, order, seed = section
    trimmed = batches_of(lengths, step_rows, order=order, seed=seed)
    whole = batches_of(lengths, step_rows, order=order, seed=seed, trim=False)
    assert row_numbers(trimmed) == row_numbers(whole)


@given(sections())
def test_no_row_of_an_earlier_step_is_longer_than_one_of_a_later(section):
    lengths, step_rows, _, seed = section
    filled = [batch for batch in batches_of(lengths, step_rows, seed=seed) if len(batch.length)]
    for earlier, later in itertools.pairwise(filled):
        assert earlier.length.max() <= later.length.min()


def test_ranks_of_different_sizes_hold_reviews_of_the_same_length_at_the_same_step():
    order = [2, 0, 1]
    slow = batches_of([6, 5, 4, 3, 2, 1], [2, 2, 2], order=order, seed=1)
    fast = batches_of([1, 2, 3, 4, 5, 6] * 2, [4, 4, 4], order=order, seed=2)
    assert [sorted(set(batch.length.tolist())) for batch in slow] == [[5, 6], [1, 2], [3, 4]]
    assert [sorted(set(batch.length.tolist())) for batch in fast] == [[5, 6], [1, 2], [3, 4]]


@given(sections())
def test_the_same_generator_gives_the_same_batches(section):
    lengths, step_rows, order, seed = section
    first = batches_of(lengths, step_rows, order=order, seed=seed)
    again = batches_of(lengths, step_rows, order=order, seed=seed)
    for one, other in zip(first, again, strict=True):
        for column, same in zip(one, other, strict=True):
            np.testing.assert_array_equal(column, same)


def test_another_generator_mixes_rows_of_one_length_in_another_way():
    arrangements = {tuple(row_numbers(batches_of([3] * 20, [10, 10], seed=seed))) for seed in range(5)}
    assert len(arrangements) == 5


def test_ranks_with_generators_of_one_seed_share_the_order_of_the_steps():
    orders = [shared_step_order(20, np.random.default_rng([7, 3])).tolist() for _ in range(3)]
    assert orders[0] == orders[1] == orders[2] != list(range(20))
    assert sorted(orders[0]) == list(range(20))


def test_a_rank_without_rows_has_an_empty_batch_a_step():
    first, second = batches_of([], [0, 0])
    assert first.sequence.shape == second.sequence.shape == (0, 1)
    assert first.length.shape == first.label.shape == first.weight.shape == (0,)


def test_a_section_without_steps_has_no_batch():
    assert batches_of([], []) == []


def test_rows_without_a_word_make_a_batch_of_one_step_of_padding():
    (batch,) = batches_of([0, 0], [2])
    assert batch.sequence.tolist() == [[0], [0]]
    assert batch.length.tolist() == [0, 0]


def test_batches_have_the_types_that_torch_takes():
    for batch in (*batches_of([1, 2], [2]), *batches_of([], [0])):
        assert [column.dtype for column in batch] == [np.int64, np.int64, np.float32, np.float32]


def test_a_slice_makes_a_batch_in_the_order_of_the_rows():
    batch = make_batch(rows_of([1, 3, 2, 6]), slice(1, 3), trim=True)
    assert batch.sequence.tolist() == [[2, 2, 2], [3, 3, 0]]
    assert batch.length.tolist() == [3, 2]
