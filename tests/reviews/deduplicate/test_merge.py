"""Merged duplicates, compared with a plain loop over the same reviews."""

import itertools
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentispark.reviews.deduplicate import merge
from sentispark.reviews.deduplicate.merge import ReviewKeys, merge_duplicates

STARS = [1.0, 1.5, 3.0, 4.5, 5.0]
reviews = st.lists(st.tuples(st.integers(-3, 3), st.sampled_from(STARS)), max_size=40)


def numbered(pairs, first_row_id=0):
    """Reviews (text, rating), where texts are numbers, in the order of their row ids."""
    texts = np.array([text for text, _ in pairs], np.int64)
    return ReviewKeys(
        digest=texts // 2,
        order=texts % 2,
        row_id=np.arange(len(pairs), dtype=np.int64) + first_row_id,
        rating=np.array([rating for _, rating in pairs], np.float64),
        split=(texts % 3).astype(np.int32),
        copies=np.ones(len(pairs), np.int64),
    )


def merged(batches):
    """{text: (row_id, rating, copies)} of the rows that stay, and the ids of the dropped ones."""
    dropped, stays = [], None
    for row_ids, rows in merge_duplicates(batches):
        dropped += row_ids.tolist()
        assert stays is None
        stays = rows
    if stays is None:
        return {}, dropped
    texts = (stays.digest * 2 + stays.order).tolist()
    assert len(set(texts)) == len(texts)
    assert (stays.split == np.array(texts, np.int64) % 3).all()
    columns = (stays.row_id.tolist(), stays.rating.tolist(), stays.copies.tolist())
    return dict(zip(texts, zip(*columns, strict=True), strict=True)), dropped


@given(reviews, st.integers(1, 5), st.sampled_from([2, 7, 1_000_000]))
@example([], 1, 2)
def test_one_review_of_each_text_stays_with_the_most_frequent_rating_or_the_lowest_of_equals(
    pairs, batches, pending_rows
):
    edges = [len(pairs) * number // batches for number in range(batches + 1)]
    parts = [numbered(pairs[a:b], a) for a, b in itertools.pairwise(edges)]
    before, merge._PENDING_ROWS = merge._PENDING_ROWS, pending_rows
    try:
        stays, dropped = merged(parts)
    finally:
        merge._PENDING_ROWS = before
    ratings, row_ids = defaultdict(Counter), defaultdict(set)
    for row_id, (text, rating) in enumerate(pairs):
        ratings[text][rating] += 1
        row_ids[text, rating].add(row_id)
    assert stays.keys() == ratings.keys()
    for text, (row_id, rating, copies) in stays.items():
        assert rating == min(ratings[text], key=lambda stars: (-ratings[text][stars], stars))
        assert copies == ratings[text].total()
        assert row_id in row_ids[text, rating]
    assert sorted([*dropped, *(row_id for row_id, _, _ in stays.values())]) == list(range(len(pairs)))


@pytest.mark.parametrize(
    ("stars", "mode", "copies"),
    [
        ([5.0] * 3 + [1.0] * 2, 5.0, 5),
        ([5.0] * 2 + [4.5] * 2 + [1.0], 4.5, 5),
        ([2.5], 2.5, 1),
        ([1.0] * 99 + [5.0] * 100, 5.0, 199),
    ],
)
def test_the_most_frequent_rating_by_hand(stars, mode, copies):
    ((_, rating, found),) = merged([numbered([(0, one) for one in stars])])[0].values()
    assert (rating, found) == (mode, copies)


def test_no_batches_give_no_rows():
    assert list(merge_duplicates([])) == []
