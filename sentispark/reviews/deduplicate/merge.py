"""Reviews of equal text to one of them: the one whose rating is the most frequent. Pure functions of NumPy arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

__all__ = ["Numbered", "merge_duplicates"]

# Rows held before equal ones are put together: bounds the memory of a text with millions of copies.
_ROWS_HELD = 1_000_000


class Numbered(NamedTuple):
    """Reviews as numbers, each of shape (n,).

    Attributes
    ----------
    digest, order : ndarray, dtype=int64
        Together equal for reviews of equal text, and for no others.
    place : ndarray, dtype=int64
        Where the review is kept.
    rating : ndarray, dtype=float64
    split : ndarray, dtype=int32
    times : ndarray, dtype=int64
        The reviews of this text and rating that a row stands for.
    """

    digest: np.ndarray
    order: np.ndarray
    place: np.ndarray
    rating: np.ndarray
    split: np.ndarray
    times: np.ndarray


def merge_duplicates(batches: Iterable[Numbered]) -> Iterator[tuple[np.ndarray, Numbered | None]]:
    """The places of reviews that are dropped, and at last one row a text, `times` being all its reviews.

    The rating is the most frequent one, the lower of equally frequent ones; the review that stays has it.

    Yields
    ------
    ndarray of shape (k,), dtype=int64
        Places, in no order.
    Numbered or None
        The rows that stay, with the last of the places; None before.
    """
    held: list[Numbered] = []
    for batch in batches:
        held.append(batch)
        if sum(len(some.place) for some in held) > 2 * _ROWS_HELD:
            rows, dropped = _one_a_rating(_joined(held))
            held = [rows]
            yield dropped, None
    if held:
        rows, dropped = _one_a_rating(_joined(held))
        rows, others = _one_a_text(rows)
        yield np.concatenate([dropped, others]), rows


def _joined(batches: list[Numbered]) -> Numbered:
    return Numbered(*map(np.concatenate, zip(*batches, strict=True)))


def _one_a_rating(rows: Numbered) -> tuple[Numbered, np.ndarray]:
    """One row a text and rating, sorted by both, and the places of the rows that it stands for as well."""
    rows = _taken(rows, _by_text(rows))
    first = _first_of_runs(rows.order, rows.digest, rows.rating)
    times = np.add.reduceat(rows.times, np.flatnonzero(first)) if len(first) else rows.times
    return _taken(rows, first)._replace(times=times), rows.place[~first]


def _by_text(rows: Numbered) -> np.ndarray:
    """The places that sort rows by text and rating."""
    by = np.argsort(rows.order)
    same = np.diff(rows.order[by]) == 0
    # Few rows have a twin: the others are sorted by now.
    twin = np.zeros(len(by), bool)
    twin[1:] |= same
    twin[:-1] |= same
    some = by[twin]
    by[twin] = some[np.lexsort((rows.place[some], rows.rating[some], rows.digest[some], rows.order[some]))]
    return by


def _one_a_text(rows: Numbered) -> tuple[Numbered, np.ndarray]:
    """Of rows sorted by text and rating the most frequent of each text, and the places of the others."""
    first = _first_of_runs(rows.order, rows.digest)
    best = np.flatnonzero(first)
    several = np.diff(np.append(best, len(first))) > 1
    text = np.cumsum(first) - 1
    some = np.flatnonzero(several[text])
    some = some[np.lexsort((rows.rating[some], -rows.times[some], text[some]))]
    times = np.add.reduceat(rows.times, best) if len(first) else rows.times
    best[several] = some[_first_of_runs(text[some])]
    stays = np.zeros(len(first), bool)
    stays[best] = True
    return _taken(rows, best)._replace(times=times), rows.place[~stays]


def _first_of_runs(*keys: np.ndarray) -> np.ndarray:
    """Which rows differ from the one before in one of the keys."""
    first = np.ones(len(keys[0]), bool)
    if len(first):
        first[1:] = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    return first


def _taken(rows: Numbered, which: np.ndarray) -> Numbered:
    return Numbered(*(column[which] for column in rows))
