"""Which rows the steps of an epoch take, and a rank's part of a step as arrays.

The rows of a step depend only on the dataset, the global batch, the seed and the epoch, not on the number of ranks or
their batch sizes. In each step all rows have about the same length.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from sentispark.dataset.plan import (
    block_rows,
    parts_of_step,
    plan_section,
    region,
    section_count,
    section_rows,
)
from sentispark.dataset.readers import ChunkArrays
from sentispark.dataset.store import RowStore

__all__ = ["SECTION_STEPS", "Batch", "Epoch", "SectionedEpoch", "epoch_steps", "make_batch"]

# The steps of a section, within which rows are sorted by length: enough of them for little padding.
SECTION_STEPS = 128


class Batch(NamedTuple):
    """One step's rows of one rank; n may be 0.

    Attributes
    ----------
    sequence : ndarray of shape (n, T), dtype=int16 or int32
        Trimmed to the longest row, T at least 1.
    length : ndarray of shape (n,), dtype=int32
    label : ndarray of shape (n,), dtype=float32
    weight : ndarray of shape (n,), dtype=float32
    """

    sequence: np.ndarray
    length: np.ndarray
    label: np.ndarray
    weight: np.ndarray


def make_batch(rows: ChunkArrays, chosen: np.ndarray | slice = slice(None), *, trim: bool) -> Batch:
    """The chosen rows as one batch; `trim` cuts off the columns that are padding in all of them."""
    length = rows.length[chosen]
    steps = max(1, int(length.max(initial=0))) if trim else rows.sequence.shape[1]
    return Batch(
        rows.sequence[chosen, :steps],
        length.astype(np.int32, copy=False),
        rows.label[chosen].astype(np.float32),
        rows.weight[chosen].astype(np.float32),
    )


def epoch_steps(rows: int, global_batch: int) -> int:
    """The number of steps of an epoch."""
    return int(_steps(rows, global_batch).sum())


def _steps(rows: int, global_batch: int) -> np.ndarray:
    """The number of steps of each section."""
    sections = section_count(rows, global_batch, SECTION_STEPS)
    return np.asarray(-(-section_rows(np.arange(sections), sections, rows) // global_batch))


class Epoch(Protocol):
    """Which rows the steps of an epoch take: a way to sample the training rows."""

    @property
    def steps(self) -> int:
        """The steps of the epoch."""
        ...

    def rows_in_step(self, step: int) -> int:
        """The number of rows of all ranks in a step, which is from 0 to steps - 1; at least 1."""
        ...

    def batch(self, step: int, batch_sizes: Sequence[int] | np.ndarray, rank: int) -> Batch:
        """A rank's part of a step's rows.

        Callers ask for consecutive steps, starting at any step.

        Parameters
        ----------
        step : int
        batch_sizes : sequence of int, shape (W,)
            The ranks' batch sizes in the step; they sum to the global batch.
        rank : int
        """
        ...


class SectionedEpoch:
    """An epoch that takes every row of a store exactly once.

    Parameters
    ----------
    store : RowStore
        A rank that asks for its parts of steps causes the store to read its own region of the rows, and little more.
    global_batch : int
        Rows of a step over all ranks, at least 1; some steps have slightly fewer.
    seed : int
    epoch : int
        Each number gives another order.
    trim : bool
        Whether batches lose the columns that are padding in all their rows.

    """

    def __init__(self, store: RowStore, *, global_batch: int, seed: int, epoch: int, trim: bool = True) -> None:
        self._store, self._trim, self._seed = store, trim, (seed, epoch)
        self._full_counts = block_rows(global_batch)
        sections = section_count(len(store), global_batch, SECTION_STEPS)
        self._order = np.random.default_rng(self._seed).permutation(sections)
        self._starts = np.concatenate(([0], np.cumsum(_steps(len(store), global_batch)[self._order])))
        self._section_index = -1
        self._section: _Section | None = None

    @property
    def steps(self) -> int:
        """The steps of the epoch."""
        return int(self._starts[-1])

    def rows_in_step(self, step: int) -> int:
        """The number of rows in a step, at least 1."""
        section, within = self._find(step)
        return int(section.counts[within].sum())

    def batch(self, step: int, batch_sizes: Sequence[int] | np.ndarray = (), rank: int = 0) -> Batch:
        """A rank's part of a step's rows; without batch sizes one rank takes all.

        Callers should ask for steps nearly in order, as only one section is in memory at a time.
        """
        section, within = self._find(step)
        counts = section.counts[within]
        batch_sizes = batch_sizes if len(batch_sizes) else [int(self._full_counts.sum())]
        first, last = parts_of_step(counts, self._full_counts, batch_sizes)[rank : rank + 2].tolist()
        return make_batch(self._store.take(section.part(within, first, last)), trim=self._trim)

    def _find(self, step: int) -> tuple[_Section, int]:
        index = int(np.searchsorted(self._starts, step, side="right")) - 1
        if self._section is None or self._section_index != index:
            self._section_index = index
            self._section = _Section(
                self._store, self._full_counts, int(self._order[index]), len(self._order), self._seed
            )
        return self._section, step - int(self._starts[index])


class _Section:
    """The steps of one section; a block's rows are sorted when they are first asked for.

    Attributes
    ----------
    counts : ndarray of shape (T, G), dtype=int64
        The rows of each step from each block.
    """

    def __init__(
        self, store: RowStore, full_counts: np.ndarray, number: int, sections: int, seed: tuple[int, int]
    ) -> None:
        self._store, self._number, self._sections = store, number, sections
        self._seed = (*seed, number + 1)  # trailing zeros do not change a seed
        plan = plan_section(int(section_rows(number, sections, len(store))), full_counts)
        # Long and short steps come in one random order.
        order = np.random.default_rng(self._seed).permutation(len(plan.counts))
        self.counts = plan.counts[order]
        self._firsts = (np.cumsum(plan.counts, axis=0) - plan.counts)[order]
        self._edges = plan.edges.tolist()
        self._blocks: dict[int, np.ndarray] = {}

    def part(self, step: int, first: int, last: int) -> np.ndarray:
        """The rows of the dataset that are rows `first` to `last` of a step, ascending, shape (last - first,)."""
        counts, firsts = self.counts[step], self._firsts[step]
        ends = np.cumsum(counts)
        starts = ends - counts
        parts = [np.zeros(0, np.int64)]
        for block in np.flatnonzero((ends > first) & (starts < last)).tolist():
            rows = np.sort(self._by_length(block)[firsts[block] : firsts[block] + counts[block]])
            parts.append(rows[max(0, first - starts[block]) : last - starts[block]])
        return np.concatenate(parts)

    def _by_length(self, block: int) -> np.ndarray:
        """The block's rows by length, rows of one length in random order."""
        if block not in self._blocks:
            rows = region((self._edges[block], self._edges[block + 1]), self._number, self._sections)
            shuffled = np.random.default_rng((*self._seed, block + 1)).permutation(len(rows))
            self._blocks[block] = rows[shuffled[np.argsort(self._store.lengths(rows)[shuffled], kind="stable")]]
        return self._blocks[block]
