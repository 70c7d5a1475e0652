"""A rank's view of a dataset: the batches of each epoch, and its share of an evaluation."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sentispark.dataset.batches import Batch, length_sorted_batches, make_batch, shared_step_order
from sentispark.dataset.plan import even_sizes, plan_section, region, section_count, section_rows
from sentispark.dataset.store import RowStore

__all__ = ["epoch_steps", "evaluation_batches", "training_batches"]

# Rows are sorted by length within a section of this many steps: long enough for little padding.
SECTION_STEPS = 64
# Rows that one rank holds at a time while it evaluates.
EVALUATION_WINDOW = 16_384


def epoch_steps(rows: int, global_batch: int) -> int:
    """The steps of an epoch."""
    sections = section_count(rows, global_batch, SECTION_STEPS)
    return sum(-(-section_rows(section, sections, rows) // global_batch) for section in range(sections))


def training_batches(
    store: RowStore, *, rank: int, ranks: int, global_batch: int, seed: int, epoch: int, trim: bool
) -> Iterator[tuple[Batch, int]]:
    """One rank's batches of an epoch, each with the rows that all ranks together have in that step."""
    sections = section_count(len(store), global_batch, SECTION_STEPS)
    sizes = even_sizes(global_batch, ranks)
    shared = np.random.default_rng([seed, epoch])  # the same on every rank
    own = np.random.default_rng([seed, epoch, rank])
    for section in shared.permutation(sections):
        plan = plan_section(section_rows(section, sections, len(store)), sizes)
        order = shared_step_order(len(plan.step_rows), shared)
        rows = store.take(region((plan.edges[rank], plan.edges[rank + 1]), section, sections))
        batches = length_sorted_batches(rows, plan.step_rows[:, rank], order, own, trim=trim)
        totals = plan.step_rows.sum(axis=1)
        yield from zip(batches, totals[order].tolist(), strict=True)


def evaluation_batches(store: RowStore, *, rank: int, ranks: int, batch_rows: int, trim: bool) -> Iterator[Batch]:
    """One rank's contiguous share of all rows, sorted by length within windows."""
    first, last = (len(store) * edge // ranks for edge in (rank, rank + 1))
    for start in range(first, last, EVALUATION_WINDOW):
        rows = store.take(np.arange(start, min(start + EVALUATION_WINDOW, last)))
        by_length = np.argsort(rows.length, kind="stable")
        for begin in range(0, len(by_length), batch_rows):
            yield make_batch(rows, by_length[begin : begin + batch_rows], trim=trim)
