"""A rank's rows of a section to its batches: sorted by length, trimmed, in an order that all ranks share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from sentispark.dataset.readers import ChunkArrays

__all__ = ["Batch", "length_sorted_batches", "shared_step_order"]


class Batch(NamedTuple):
    """One step's rows of one rank; n may be 0.

    Attributes
    ----------
    sequence : ndarray of shape (n, T), dtype=int64
        Trimmed to the longest row, T at least 1.
    length : ndarray of shape (n,), dtype=int64
    label : ndarray of shape (n,), dtype=float32
    weight : ndarray of shape (n,), dtype=float32
    """

    sequence: np.ndarray
    length: np.ndarray
    label: np.ndarray
    weight: np.ndarray


def shared_step_order(steps: int, rng: np.random.Generator) -> np.ndarray:
    """The order of the steps, shape (T,); with the same generator on every rank, all take long reviews together."""
    return rng.permutation(steps)


def length_sorted_batches(
    rows: ChunkArrays, step_rows: np.ndarray, order: np.ndarray, rng: np.random.Generator, *, trim: bool = True
) -> Iterator[Batch]:
    """The batches of one rank in one section.

    Parameters
    ----------
    rows : ChunkArrays
        The rank's rows of the section, n of them.
    step_rows : ndarray of shape (T,), dtype=int64
        The size of each batch; sums to n.
    order : ndarray of shape (T,)
        The order in which the batches come.
    rng : Generator
        Puts rows of one length in a new order.
    trim : bool
        Whether batches lose the columns that are padding in all their rows.
    """
    shuffled = rng.permutation(len(rows.length))
    by_length = shuffled[np.argsort(rows.length[shuffled], kind="stable")]
    ends = np.cumsum(step_rows)
    for step in order:
        chosen = by_length[ends[step] - step_rows[step] : ends[step]]
        yield make_batch(rows, chosen, trim=trim)


def make_batch(rows: ChunkArrays, chosen: np.ndarray | slice, *, trim: bool) -> Batch:
    """The chosen rows as one batch."""
    length = rows.length[chosen].astype(np.int64)
    steps = max(1, int(length.max(initial=0))) if trim else rows.sequence.shape[1]
    return Batch(
        rows.sequence[chosen, :steps].astype(np.int64),
        length,
        rows.label[chosen].astype(np.float32),
        rows.weight[chosen].astype(np.float32),
    )
