"""Merges reviews of equal text: one with the text's most frequent rating stays. Pure functions of NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["ReviewKeys", "merge_duplicates"]

# Rows in memory before equal ones are merged: bounds the memory for texts with millions of copies.
_PENDING_ROWS = 1_000_000


class ReviewKeys(NamedTuple):
    """What is known of reviews without their texts; all arrays are of shape (n,).

    Attributes
    ----------
    digest, order : ndarray, dtype=int64
        The two halves of the text's hash: both are equal only for reviews of equal text.
    row_id : ndarray, dtype=int64
        The id of the spilled row.
    rating : ndarray, dtype=float64
    split : ndarray, dtype=int32
    copies : ndarray, dtype=int64
        Number of reviews of this text (and rating) that a row stands for.
    """

    digest: np.ndarray
    order: np.ndarray
    row_id: np.ndarray
    rating: np.ndarray
    split: np.ndarray
    copies: np.ndarray


def merge_duplicates(batches: Iterable[ReviewKeys]) -> Iterator[tuple[np.ndarray, ReviewKeys | None]]:
    """The ids of the rows to drop and, with the last of them, one row per text whose `copies` counts all its reviews.

    The row that stays has the text's most frequent rating, or the lowest of equally frequent ones.

    Yields
    ------
    ndarray of shape (k,), dtype=int64
        Row ids, in no particular order.
    ReviewKeys or None
        The rows that stay, in the last pair; None in the others.
    """
    pending: list[ReviewKeys] = []
    for batch in batches:
        pending.append(batch)
        if sum(len(some.row_id) for some in pending) > 2 * _PENDING_ROWS:
            rows, dropped = _merge_by_text_and_rating(_concatenated(pending))
            pending = [rows]
            yield dropped, None
    if pending:
        rows, dropped = _merge_by_text_and_rating(_concatenated(pending))
        rows, others = _merge_by_text(rows)
        yield np.concatenate([dropped, others]), rows


def _concatenated(batches: list[ReviewKeys]) -> ReviewKeys:
    return ReviewKeys(*map(np.concatenate, zip(*batches, strict=True)))


def _merge_by_text_and_rating(rows: ReviewKeys) -> tuple[ReviewKeys, np.ndarray]:
    """One row per text and rating, sorted by both, and the ids of the rows that were merged into these."""
    rows = _take(rows, _order_by_text(rows))
    first = _first_of_runs(rows.order, rows.digest, rows.rating)
    copies = np.add.reduceat(rows.copies, np.flatnonzero(first)) if len(first) else rows.copies
    return _take(rows, first)._replace(copies=copies), rows.row_id[~first]


def _order_by_text(rows: ReviewKeys) -> np.ndarray:
    """The indices that sort rows by text and rating."""
    by = np.argsort(rows.order)
    same = np.diff(rows.order[by]) == 0
    # Few rows have a duplicate; the others are sorted now.
    duplicated = np.zeros(len(by), bool)
    duplicated[1:] |= same
    duplicated[:-1] |= same
    some = by[duplicated]
    by[duplicated] = some[np.lexsort((rows.row_id[some], rows.rating[some], rows.digest[some], rows.order[some]))]
    return by


def _merge_by_text(rows: ReviewKeys) -> tuple[ReviewKeys, np.ndarray]:
    """Of rows sorted by text and rating, the most frequent of each text, and the ids of the others."""
    first = _first_of_runs(rows.order, rows.digest)
    best = np.flatnonzero(first)
    several = np.diff(np.append(best, len(first))) > 1
    text = np.cumsum(first) - 1
    some = np.flatnonzero(several[text])
    some = some[np.lexsort((rows.rating[some], -rows.copies[some], text[some]))]
    copies = np.add.reduceat(rows.copies, best) if len(first) else rows.copies
    best[several] = some[_first_of_runs(text[some])]
    stays = np.zeros(len(first), bool)
    stays[best] = True
    return _take(rows, best)._replace(copies=copies), rows.row_id[~stays]


def _first_of_runs(*keys: np.ndarray) -> np.ndarray:
    """Which rows differ from the previous row in one of the keys."""
    first = np.ones(len(keys[0]), bool)
    if len(first):
        first[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return first


def _take(rows: ReviewKeys, which: np.ndarray) -> ReviewKeys:
    return ReviewKeys(*(column[which] for column in rows))
