"""The epoch plan against what any plan must be, whatever the rows, the ranks, the sections and the batch sizes."""

import itertools
import math
from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from sentispark.dataset.plan import even_sizes, plan_section, region, section_count, section_rows, spread

batch_sizes = st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(any)


@st.composite
def epochs(draw):
    """Rows of an epoch, and the ranks' batch sizes in each of its sections."""
    ranks, sections = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    sizes = st.lists(st.integers(0, 9), min_size=ranks, max_size=ranks).filter(any)
    return draw(st.integers(0, 500)), draw(st.lists(sizes, min_size=sections, max_size=sections))


@st.composite
def steady_epochs(draw):
    """Rows of an epoch, and the batch sizes that hold in all of its sections."""
    return draw(st.integers(0, 500)), [draw(batch_sizes)] * draw(st.integers(1, 12))


def taken(rows, sizes_of_sections):
    """The rows each rank takes in an epoch, as one array a section: {rank: [array, ...]}."""
    by_rank = {rank: [] for rank in range(len(sizes_of_sections[0]))}
    sections = len(sizes_of_sections)
    for section, sizes in enumerate(sizes_of_sections):
        plan = plan_section(section_rows(section, sections, rows), sizes)
        for rank, edges in enumerate(itertools.pairwise(plan.edges)):
            by_rank[rank].append(region(edges, section, sections))
    return by_rank


def test_a_plan_that_can_be_checked_by_hand():
    plan = plan_section(10, [3, 1])
    assert plan.edges.tolist() == [0, 7, 10]
    assert plan.step_rows.tolist() == [[2, 1], [2, 1], [3, 1]]


def test_sections_that_can_be_checked_by_hand():
    assert [region((0, section_rows(section, 3, 8)), section, 3).tolist() for section in range(3)] == [
        [0, 3, 6],
        [1, 4, 7],
        [2, 5],
    ]


@given(epochs())
@example((0, [[1]]))
@example((1, [[0, 1], [1, 0]]))
@example((5, [[1, 1, 1, 1]] * 12))
def test_every_row_is_taken_exactly_once_an_epoch_whatever_the_sizes_do(epoch):
    rows, sizes_of_sections = epoch
    of_all_ranks = np.concatenate([part for parts in taken(rows, sizes_of_sections).values() for part in parts])
    assert sorted(of_all_ranks.tolist()) == list(range(rows))


@given(st.integers(0, 500), st.integers(1, 30))
def test_sections_part_the_rows_into_equal_halves_thirds_and_so_on(rows, sections):
    counts = [section_rows(section, sections, rows) for section in range(sections)]
    assert sum(counts) == rows
    assert max(counts) - min(counts) <= 1


@given(st.integers(0, 500), batch_sizes)
def test_all_ranks_take_the_same_number_of_steps_and_no_more_than_needed(rows, sizes):
    assert plan_section(rows, sizes).step_rows.shape == (-(-rows // sum(sizes)), len(sizes))


@given(st.integers(0, 500), batch_sizes)
def test_the_steps_of_a_rank_take_its_range_and_never_more_than_its_batch_size_at_once(rows, sizes):
    plan = plan_section(rows, sizes)
    assert plan.step_rows.sum(axis=0).tolist() == np.diff(plan.edges).tolist()
    assert (plan.step_rows >= 0).all()
    assert (plan.step_rows <= sizes).all()


@given(st.integers(0, 500), batch_sizes)
@example(5, [1, 1, 1, 1])
def test_no_step_is_empty_on_all_ranks(rows, sizes):
    assert (plan_section(rows, sizes).step_rows.sum(axis=1) >= 1).all()


@given(st.integers(0, 500), batch_sizes)
def test_the_steps_of_one_rank_differ_by_at_most_one_row(rows, sizes):
    step_rows = plan_section(rows, sizes).step_rows
    assert (np.ptp(step_rows, axis=0) <= 1).all() if len(step_rows) else rows == 0


@given(st.integers(0, 500), batch_sizes)
def test_a_rank_of_size_zero_takes_its_empty_steps_with_the_others(rows, sizes):
    plan = plan_section(rows, [*sizes, 0])
    assert plan.step_rows[:, -1].tolist() == [0] * math.ceil(rows / sum(sizes))


@given(st.integers(0, 500), batch_sizes)
def test_a_rank_gets_the_share_of_the_rows_that_its_size_has_of_the_global_batch(rows, sizes):
    shares = np.diff(plan_section(rows, sizes).edges)
    for share, size in zip(shares, sizes, strict=True):
        assert abs(int(share) - Fraction(rows * size, sum(sizes))) < 1


@given(st.integers(10**9, 10**10), st.lists(st.integers(10**5, 10**6), min_size=1, max_size=8))
def test_edges_are_exact_for_billions_of_rows(rows, sizes):
    edges = plan_section(rows, sizes).edges
    assert edges.tolist() == [rows * end // sum(sizes) for end in (0, *itertools.accumulate(sizes))]


@given(steady_epochs())
def test_with_steady_sizes_a_rank_keeps_to_one_region_of_the_dataset(epoch):
    rows, sizes_of_sections = epoch
    sections, sizes = len(sizes_of_sections), sizes_of_sections[0]
    ends = [0, *itertools.accumulate(sizes)]
    for rank, parts in taken(rows, sizes_of_sections).items():
        mine = np.concatenate(parts)
        # The region's exact edges are fractions of all rows; a section of M may round one of its rows across them.
        first, last = Fraction(rows * ends[rank], ends[-1]), Fraction(rows * ends[rank + 1], ends[-1])
        assert all(first - sections < row <= last for row in mine.tolist())


@given(st.integers(0, 500), batch_sizes.filter(lambda sizes: len(sizes) > 1), st.data())
def test_a_row_of_batch_size_that_moves_to_the_next_rank_moves_one_edge_alone(rows, sizes, data):
    giver = data.draw(st.integers(0, len(sizes) - 2))
    changed = list(sizes)
    changed[giver], changed[giver + 1] = 0, sizes[giver] + sizes[giver + 1]
    before, after = plan_section(rows, sizes).edges, plan_section(rows, changed).edges
    assert np.flatnonzero(before != after).tolist() in ([], [giver + 1])


@given(st.integers(0, 1000), st.integers(1, 50), st.integers(1, 20))
def test_sections_are_as_few_as_keep_each_within_its_steps(rows, global_batch, steps):
    def most_steps(sections):
        return max(-(-section_rows(section, sections, rows) // global_batch) for section in range(sections))

    count = section_count(rows, global_batch, steps)
    assert count >= 1
    assert most_steps(count) <= steps
    assert count == 1 or most_steps(count - 1) > steps


def test_even_sizes_that_can_be_checked_by_hand():
    assert even_sizes(10, 4).tolist() == [3, 3, 2, 2]
    assert even_sizes(2, 3).tolist() == [1, 1, 0]


@given(st.integers(0, 10**6), st.integers(1, 64))
def test_a_spread_sums_exactly_and_differs_by_at_most_one_the_larger_parts_first(rows, parts):
    numbers = spread(rows, parts)
    assert numbers.dtype == np.int64
    assert numbers.shape == (parts,)
    assert numbers.sum() == rows
    assert numbers[0] - numbers[-1] <= 1
    assert (np.diff(numbers) <= 0).all()
