"""The measures of a net on all rows of a store, each rank scoring its share."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from sentispark.dataset.batches import Batch, make_batch
from sentispark.dataset.store import RowStore
from sentispark.evaluate.metrics import Measures, Tally, measures, tally
from sentispark.nn.net import Net
from sentispark.train.step import to_tensors
from sentispark.train.world import World

__all__ = ["evaluate", "evaluation_batches", "shares"]

# Rows that one rank holds at a time while it evaluates, and those of them that the net takes at once.
_WINDOW_ROWS, _BATCH_ROWS = 16_384, 512


@torch.no_grad()
def evaluate(net: Net, store: RowStore, world: World, *, sizes: np.ndarray | None = None) -> Measures:
    """The measures of the net on all rows of a store; the same on every rank.

    Parameters
    ----------
    net : Net
    store : RowStore
    world : World
        Joined.
    sizes : ndarray of shape (W,), optional
        The ranks' batch sizes, in proportion to which they share the rows; None means equal shares.
    """
    net.eval()
    own = Tally.empty()
    sizes = np.ones(world.size, np.int64) if sizes is None else sizes
    for batch in evaluation_batches(store, rank=world.rank, sizes=sizes, batch_rows=_BATCH_ROWS, trim=net.trims):
        sequence, length, _, _ = to_tensors(batch, world.device)
        own = own + tally(net(sequence, length).float().cpu().numpy(), batch.label)
    world.meet()  # a share may have to be read first
    return measures(Tally.from_array(world.total(own.to_array())))


def shares(rows: int, sizes: np.ndarray) -> np.ndarray:
    """The edges, int64 of shape (W + 1,), of the ranks' contiguous parts of some rows, in proportion to batch sizes.

    >>> shares(10, np.array([3, 1])).tolist()
    [0, 7, 10]
    """
    edges = np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)
    return np.asarray(edges * rows // edges[-1])


def evaluation_batches(
    store: RowStore, *, rank: int, sizes: np.ndarray, batch_rows: int, trim: bool
) -> Iterator[Batch]:
    """One rank's share of all rows, in proportion to its batch size, sorted by length within windows."""
    first, last = shares(len(store), sizes)[rank : rank + 2].tolist()
    for start in range(first, last, _WINDOW_ROWS):
        rows = store.take(np.arange(start, min(start + _WINDOW_ROWS, last)))
        by_length = np.argsort(rows.length, kind="stable")
        for begin in range(0, len(by_length), batch_rows):
            yield make_batch(rows, by_length[begin : begin + batch_rows], trim=trim)
