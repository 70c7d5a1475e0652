"""The laws that the plan of an epoch must follow for any rows, sections, blocks and batch sizes."""

import itertools
import math
from fractions import Fraction

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from sentispark.dataset.plan import (
    ROWS_OF_BLOCK,
    block_rows,
    even_sizes,
    parts_of_step,
    plan_section,
    region,
    section_count,
    section_rows,
    spread,
)

batch_sizes = st.lists(st.integers(0, 40), min_size=1, max_size=8).filter(any)


@st.composite
def epochs(draw):
    """Rows of an epoch, and the blocks' sizes in each of its sections."""
    blocks, sections = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    sizes = st.lists(st.integers(0, 9), min_size=blocks, max_size=blocks).filter(any)
    return draw(st.integers(0, 500)), draw(st.lists(sizes, min_size=sections, max_size=sections))


@st.composite
def steady_epochs(draw):
    """Rows of an epoch, and the same sizes of blocks for all of its sections."""
    return draw(st.integers(0, 500)), [draw(batch_sizes)] * draw(st.integers(1, 12))


def taken(rows, sizes_of_sections):
    """The rows of each block in an epoch, as one array per section: {block: [array, ...]}."""
    by_block = {block: [] for block in range(len(sizes_of_sections[0]))}
    sections = len(sizes_of_sections)
    for section, sizes in enumerate(sizes_of_sections):
        plan = plan_section(section_rows(section, sections, rows), sizes)
        for block, edges in enumerate(itertools.pairwise(plan.edges)):
            by_block[block].append(region(edges, section, sections))
    return by_block


def test_a_plan_that_can_be_checked_by_hand():
    plan = plan_section(10, [3, 1])
    assert plan.edges.tolist() == [0, 7, 10]
    assert plan.counts.tolist() == [[2, 1], [2, 1], [3, 1]]


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
    of_all_blocks = np.concatenate([part for parts in taken(rows, sizes_of_sections).values() for part in parts])
    assert sorted(of_all_blocks.tolist()) == list(range(rows))


@given(st.integers(0, 500), st.integers(1, 30))
def test_sections_divide_the_rows_into_equal_halves_thirds_and_so_on(rows, sections):
    counts = [section_rows(section, sections, rows) for section in range(sections)]
    assert sum(counts) == rows
    assert max(counts) - min(counts) <= 1


@given(st.integers(0, 500), batch_sizes)
def test_all_blocks_have_a_part_in_each_step_and_steps_are_no_more_than_needed(rows, sizes):
    assert plan_section(rows, sizes).counts.shape == (-(-rows // sum(sizes)), len(sizes))


@given(st.integers(0, 500), batch_sizes)
def test_steps_take_all_rows_of_a_block_and_never_more_than_its_size_at_once(rows, sizes):
    plan = plan_section(rows, sizes)
    assert plan.counts.sum(axis=0).tolist() == np.diff(plan.edges).tolist()
    assert (plan.counts >= 0).all()
    assert (plan.counts <= sizes).all()


@given(st.integers(0, 500), batch_sizes)
@example(5, [1, 1, 1, 1])
def test_no_step_is_empty(rows, sizes):
    assert (plan_section(rows, sizes).counts.sum(axis=1) >= 1).all()


@given(st.integers(0, 500), batch_sizes)
def test_the_rows_of_a_block_in_two_steps_differ_by_at_most_one(rows, sizes):
    counts = plan_section(rows, sizes).counts
    assert (np.ptp(counts, axis=0) <= 1).all() if len(counts) else rows == 0


@given(st.integers(0, 500), batch_sizes)
def test_a_block_of_size_zero_has_no_rows_in_any_step(rows, sizes):
    plan = plan_section(rows, [*sizes, 0])
    assert plan.counts[:, -1].tolist() == [0] * math.ceil(rows / sum(sizes))


@given(st.integers(0, 500), batch_sizes)
def test_a_block_has_the_share_of_the_rows_that_its_size_has_of_the_global_batch(rows, sizes):
    shares = np.diff(plan_section(rows, sizes).edges)
    for share, size in zip(shares, sizes, strict=True):
        assert abs(int(share) - Fraction(rows * size, sum(sizes))) < 1


@given(st.integers(10**9, 10**10), st.lists(st.integers(10**5, 10**6), min_size=1, max_size=8))
def test_edges_are_exact_for_billions_of_rows(rows, sizes):
    edges = plan_section(rows, sizes).edges
    assert edges.tolist() == [rows * end // sum(sizes) for end in (0, *itertools.accumulate(sizes))]


@given(steady_epochs())
def test_with_steady_sizes_a_block_is_one_region_of_the_dataset(epoch):
    rows, sizes_of_sections = epoch
    sections, sizes = len(sizes_of_sections), sizes_of_sections[0]
    ends = [0, *itertools.accumulate(sizes)]
    for block, parts in taken(rows, sizes_of_sections).items():
        mine = np.concatenate(parts)
        # The region's exact edges are fractions of all rows; a section of M may round one of its rows across them.
        first, last = Fraction(rows * ends[block], ends[-1]), Fraction(rows * ends[block + 1], ends[-1])
        assert all(first - sections < row <= last for row in mine.tolist())


def test_parts_of_a_step_that_can_be_checked_by_hand():
    blocks = np.array([4, 4])
    assert parts_of_step(blocks, blocks, [6, 2]).tolist() == [0, 6, 8]
    # Half of the second block, of which the step has three rows.
    assert parts_of_step(np.array([4, 3]), blocks, [6, 2]).tolist() == [0, 5, 7]
    assert parts_of_step(np.array([3, 4]), blocks, [4, 4]).tolist() == [0, 3, 7]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(1, 6), st.data())
def test_the_parts_of_a_step_cover_it_and_none_is_larger_than_its_ranks_batch_size(blocks, ranks, data):
    counts = [data.draw(st.integers(0, block)) for block in blocks]
    cuts = sorted(data.draw(st.lists(st.integers(0, sum(blocks)), min_size=ranks - 1, max_size=ranks - 1)))
    sizes = np.diff([0, *cuts, sum(blocks)])
    edges = parts_of_step(np.array(counts), np.array(blocks), sizes)
    assert (edges[0], edges[-1]) == (0, sum(counts))
    assert ((np.diff(edges) >= 0) & (np.diff(edges) <= sizes)).all()


@given(st.lists(st.integers(1, 40), min_size=2, max_size=8), st.data())
def test_ranks_whose_sizes_are_whole_blocks_share_no_block(blocks, data):
    counts = np.array([data.draw(st.integers(0, block)) for block in blocks])
    first = data.draw(st.integers(1, len(blocks) - 1))
    edges = parts_of_step(counts, np.array(blocks), [sum(blocks[:first]), sum(blocks[first:])])
    assert edges[1] == counts[:first].sum()


@given(st.integers(1, 10_000))
def test_blocks_share_a_step_evenly_and_each_has_enough_rows(global_batch):
    sizes = block_rows(global_batch)
    assert sizes.sum() == global_batch
    assert np.ptp(sizes) <= 1
    assert len(sizes) == 1 or ROWS_OF_BLOCK <= sizes.min() <= sizes.max() < 2 * ROWS_OF_BLOCK


@given(st.integers(0, 1000), st.integers(1, 50), st.integers(1, 20))
def test_there_are_no_more_sections_than_needed_to_keep_each_within_its_steps(rows, global_batch, steps):
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
