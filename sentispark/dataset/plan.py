"""Rows, ranks and batch sizes in; who takes which rows in which step out. Pure functions of whole numbers.

An epoch is cut into M *sections*: section s holds the rows s, s + M, s + 2M, … In each section the rows are cut into
contiguous ranges, one a rank, whose sizes follow the ranks' batch sizes. With equal sizes in all sections a rank
thus keeps to one contiguous region of the dataset, and a change of sizes moves only the region's edges.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

__all__ = ["SectionPlan", "even_sizes", "plan_section", "region", "section_count", "section_rows", "spread"]


@dataclasses.dataclass(frozen=True)
class SectionPlan:
    """One section of an epoch.

    Attributes
    ----------
    edges : ndarray of shape (W + 1,), dtype=int64
        Rank r takes the section's rows edges[r] to edges[r + 1], counted within the section.
    step_rows : ndarray of shape (T, W), dtype=int64
        The rows that each rank takes in each of the T steps; never above its batch size; row t sums to what the
        step's gradient is divided by.
    """

    edges: np.ndarray
    step_rows: np.ndarray


def even_sizes(global_batch: int, ranks: int) -> np.ndarray:
    """Batch sizes of shape (W,), dtype=int64, that sum to the global batch and differ by at most 1."""
    return spread(global_batch, ranks)


def spread(rows: int, parts: int) -> np.ndarray:
    """Shape (parts,), dtype=int64: whole numbers that sum to `rows` and differ by at most 1, the larger ones first."""
    return rows // parts + (np.arange(parts) < rows % parts).astype(np.int64)


def section_count(rows: int, global_batch: int, steps: int) -> int:
    """M: the fewest sections of which none needs more than `steps` steps; at least 1."""
    return max(1, math.ceil(rows / (global_batch * steps)))


def section_rows(section: int, sections: int, rows: int) -> int:
    """How many of the dataset's rows are in a section."""
    return max(0, math.ceil((rows - section) / sections))


def plan_section(rows: int, sizes: Sequence[int] | np.ndarray) -> SectionPlan:
    """Cut a section's rows among ranks and steps.

    Parameters
    ----------
    rows : int
        Rows of the section.
    sizes : sequence of int, shape (W,)
        The ranks' batch sizes, each at least 0, together at least 1.

    Notes
    -----
    T is ceil(rows / sum(sizes)). Rank r's share rows·sizes[r]/sum(sizes), rounded either way, is at most T·sizes[r],
    so spreading it evenly over T steps never exceeds its batch size.
    """
    ends = np.concatenate(([0], np.cumsum(np.asarray(sizes, np.int64))))
    edges = rows * ends // ends[-1]
    steps = math.ceil(rows / int(ends[-1]))
    shares = np.diff(edges)
    if not steps:
        return SectionPlan(edges, np.zeros((0, len(shares)), np.int64))
    # A phase of its own puts each rank's larger steps where the ranks before it have smaller ones.
    step, phase = np.arange(steps)[:, None], edges[:-1] % steps
    return SectionPlan(edges, ((step + 1) * shares + phase) // steps - (step * shares + phase) // steps)


def region(edges: tuple[int, int], section: int, sections: int) -> np.ndarray:
    """The dataset's rows, dtype=int64, that a range of a section's rows stands for."""
    return np.arange(edges[0], edges[1], dtype=np.int64) * sections + section
