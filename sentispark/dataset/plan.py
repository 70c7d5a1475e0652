"""Rows, batch sizes and ranks in; which rows a step takes, and which of them a rank, out. Functions of whole numbers.

An epoch is cut into M *sections*: section s holds the rows s, s + M, s + 2M, … The rows of a section are cut into
contiguous *blocks*, and each of its steps takes a few rows of every block, about `ROWS_OF_BLOCK`. So the rows of a step
do not depend on the ranks. Put in order they go to the ranks as contiguous parts, which follow the ranks' batch sizes:
a rank keeps to one region of the dataset, whose edges move when sizes do, and sizes may change after any step.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

__all__ = [
    "ROWS_OF_BLOCK",
    "SectionPlan",
    "block_sizes",
    "even_sizes",
    "parts_of_step",
    "plan_section",
    "region",
    "section_count",
    "section_rows",
    "spread",
]

# A block's rows are sorted by length on their own. With fewer of them in a step, the rows of a step are less equal in
# length; with more, ranks share blocks, and each of these ranks reads the block's rows.
ROWS_OF_BLOCK = 32


@dataclasses.dataclass(frozen=True)
class SectionPlan:
    """One section of an epoch.

    Attributes
    ----------
    edges : ndarray of shape (G + 1,), dtype=int64
        Block g has the section's rows edges[g] to edges[g + 1], counted within the section.
    step_rows : ndarray of shape (T, G), dtype=int64
        The rows of each block in each of the T steps; never above the block's size; row t sums to what the step's
        gradient is divided by.
    """

    edges: np.ndarray
    step_rows: np.ndarray


def even_sizes(global_batch: int, ranks: int) -> np.ndarray:
    """Batch sizes of shape (W,), dtype=int64, that sum to the global batch and differ by at most 1."""
    return spread(global_batch, ranks)


def block_sizes(global_batch: int) -> np.ndarray:
    """The rows of each block in a full step, shape (G,), dtype=int64; they sum to the global batch."""
    return spread(global_batch, max(1, global_batch // ROWS_OF_BLOCK))


def parts_of_step(counts: np.ndarray, blocks: np.ndarray, sizes: Sequence[int] | np.ndarray) -> np.ndarray:
    """Where the ranks' parts of a step begin and end: shape (W + 1,), dtype=int64, from 0 to the step's rows.

    An edge that lies between two blocks in a full step lies there in every step, so that ranks whose sizes are whole
    blocks share none.

    Parameters
    ----------
    counts : ndarray of shape (G,), dtype=int64
        The step's rows of each block.
    blocks : ndarray of shape (G,), dtype=int64
        The same for a full step.
    sizes : sequence of int, shape (W,)
        The ranks' batch sizes, each at least 0; they sum to the rows of a full step. No part is larger than its size.
    """
    ends = np.concatenate(([0], np.cumsum(np.asarray(sizes, np.int64))))
    full, own = (np.concatenate(([0], np.cumsum(rows))) for rows in (blocks, counts))
    block = np.searchsorted(full, ends, side="right") - 1
    block = np.minimum(block, len(blocks) - 1)
    return np.asarray(own[block] + (ends - full[block]) * counts[block] // blocks[block])


def spread(rows: int, parts: int) -> np.ndarray:
    """Shape (parts,), dtype=int64: whole numbers that sum to `rows` and differ by at most 1, the larger ones first."""
    return rows // parts + (np.arange(parts) < rows % parts).astype(np.int64)


def section_count(rows: int, global_batch: int, steps: int) -> int:
    """M: the fewest sections of which none needs more than `steps` steps; at least 1."""
    return max(1, math.ceil(rows / (global_batch * steps)))


def section_rows(section: int | np.ndarray, sections: int, rows: int) -> int | np.ndarray:
    """How many of the dataset's rows are in a section, or in each of some."""
    return (rows - section + sections - 1) // sections


def plan_section(rows: int, sizes: Sequence[int] | np.ndarray) -> SectionPlan:
    """Cut a section's rows among blocks and steps.

    Parameters
    ----------
    rows : int
        Rows of the section.
    sizes : sequence of int, shape (G,)
        The blocks' rows in a full step, each at least 0, together at least 1.

    Notes
    -----
    T is ceil(rows / sum(sizes)). Block g's share rows·sizes[g]/sum(sizes), rounded either way, is at most T·sizes[g],
    so spreading it evenly over T steps never exceeds its size.
    """
    ends = np.concatenate(([0], np.cumsum(np.asarray(sizes, np.int64))))
    edges = rows * ends // ends[-1]
    steps = math.ceil(rows / int(ends[-1]))
    shares = np.diff(edges)
    if not steps:
        return SectionPlan(edges, np.zeros((0, len(shares)), np.int64))
    # A phase of its own puts each block's larger steps where the blocks before it have smaller ones.
    step, phase = np.arange(steps)[:, None], edges[:-1] % steps
    return SectionPlan(edges, ((step + 1) * shares + phase) // steps - (step * shares + phase) // steps)


def region(edges: tuple[int, int], section: int, sections: int) -> np.ndarray:
    """The dataset's rows, dtype=int64, that a range of a section's rows stands for."""
    return np.arange(edges[0], edges[1], dtype=np.int64) * sections + section
