"""Rows, batch sizes and ranks in; which rows each step takes, and which of them each rank, out. Integers only.

An epoch is cut into M *sections*: section s holds the rows s, s + M, s + 2M, … The rows of a section are cut into
contiguous *blocks*, and each of its steps takes a few rows of every block, about `ROWS_OF_BLOCK`. So the rows of a step
do not depend on the ranks. In order, they go to the ranks as contiguous parts, sized by the ranks' batch sizes: a rank
keeps to one region of the dataset, whose edges move when sizes do, and sizes may change after any step.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

__all__ = [
    "ROWS_OF_BLOCK",
    "SectionPlan",
    "block_rows",
    "even_sizes",
    "parts_of_step",
    "plan_section",
    "region",
    "section_count",
    "section_rows",
    "spread",
]

# The rows of each block are sorted by length separately. With fewer of them in a step, the lengths in a step differ
# more; with more, ranks share blocks, and each of these ranks reads the block's rows.
ROWS_OF_BLOCK = 32


@dataclasses.dataclass(frozen=True)
class SectionPlan:
    """One section of an epoch.

    Attributes
    ----------
    edges : ndarray of shape (G + 1,), dtype=int64
        Block g has the section's rows edges[g] to edges[g + 1], counted within the section.
    counts : ndarray of shape (T, G), dtype=int64
        The rows of each block in each of the T steps; never above the block's rows in a full step. Row t sums to the
        number of rows by which the step's gradient is divided.
    """

    edges: np.ndarray
    counts: np.ndarray


def even_sizes(global_batch: int, ranks: int) -> np.ndarray:
    """Batch sizes of shape (W,), dtype=int64, that sum to the global batch and differ by at most 1."""
    return spread(global_batch, ranks)


def block_rows(global_batch: int) -> np.ndarray:
    """The rows of each block in a full step, shape (G,), dtype=int64; they sum to the global batch."""
    return spread(global_batch, max(1, global_batch // ROWS_OF_BLOCK))


def parts_of_step(counts: np.ndarray, full_counts: np.ndarray, batch_sizes: Sequence[int] | np.ndarray) -> np.ndarray:
    """Where the ranks' parts of a step begin and end: shape (W + 1,), dtype=int64, from 0 to the step's rows.

    An edge that lies between two blocks in a full step lies there in every step, so that ranks whose batch sizes
    are whole blocks do not share any block.

    Parameters
    ----------
    counts : ndarray of shape (G,), dtype=int64
        The step's rows of each block.
    full_counts : ndarray of shape (G,), dtype=int64
        The same for a full step, from `block_rows`.
    batch_sizes : sequence of int, shape (W,)
        The ranks' batch sizes, each at least 0; they sum to the rows of a full step. No part is larger than its size.

    Examples
    --------
    A full step has 4 rows of each of two blocks, this one 3 and 4; the first rank takes three quarters.

    >>> parts_of_step(np.array([3, 4]), np.array([4, 4]), [6, 2]).tolist()
    [0, 5, 7]
    """
    ends = np.concatenate(([0], np.cumsum(np.asarray(batch_sizes, np.int64))))
    full, own = (np.concatenate(([0], np.cumsum(rows))) for rows in (full_counts, counts))
    block = np.searchsorted(full, ends, side="right") - 1
    block = np.minimum(block, len(full_counts) - 1)
    return np.asarray(own[block] + (ends - full[block]) * counts[block] // full_counts[block])


def spread(rows: int, parts: int) -> np.ndarray:
    """Shape (parts,), dtype=int64: whole numbers that sum to `rows` and differ by at most 1, the larger ones first.

    >>> spread(7, 3).tolist()
    [3, 2, 2]
    """
    return rows // parts + (np.arange(parts) < rows % parts).astype(np.int64)


def section_count(rows: int, global_batch: int, steps: int) -> int:
    """M: the smallest number of sections with which none needs more than `steps` steps; at least 1."""
    return max(1, math.ceil(rows / (global_batch * steps)))


def section_rows(section: int | np.ndarray, sections: int, rows: int) -> int | np.ndarray:
    """The number of the dataset's rows in a section, or in each of several."""
    return (rows - section + sections - 1) // sections


def plan_section(rows: int, full_counts: Sequence[int] | np.ndarray) -> SectionPlan:
    """Cut a section's rows among blocks and steps.

    Parameters
    ----------
    rows : int
        Rows of the section.
    full_counts : sequence of int, shape (G,)
        The blocks' rows in a full step, each at least 0, together at least 1.

    Notes
    -----
    T is ceil(rows / B), where B is the sum of `full_counts`. Block g's share, rows · full_counts[g] / B rounded either
    way, is at most T · full_counts[g], so spreading it evenly over T steps never exceeds its rows in a full step.

    Examples
    --------
    Seven rows, of which a full step takes two from each of two blocks:

    >>> plan = plan_section(7, [2, 2])
    >>> plan.edges.tolist(), plan.counts.tolist()
    ([0, 3, 7], [[1, 2], [2, 2]])
    """
    ends = np.concatenate(([0], np.cumsum(np.asarray(full_counts, np.int64))))
    edges = rows * ends // ends[-1]
    steps = math.ceil(rows / int(ends[-1]))
    shares = np.diff(edges)
    if not steps:
        return SectionPlan(edges, np.zeros((0, len(shares)), np.int64))
    # Each block has its own phase, so its larger steps fall where the blocks before it have smaller ones.
    step, phase = np.arange(steps)[:, None], edges[:-1] % steps
    return SectionPlan(edges, ((step + 1) * shares + phase) // steps - (step * shares + phase) // steps)


def region(edges: tuple[int, int], section: int, sections: int) -> np.ndarray:
    """The dataset's rows, dtype=int64, that a range of a section's rows stands for."""
    return np.arange(edges[0], edges[1], dtype=np.int64) * sections + section
