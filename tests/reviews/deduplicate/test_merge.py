"""Duplicates put together, against a plain loop over the same reviews."""

import itertools
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sentispark.reviews.deduplicate import merge
from sentispark.reviews.deduplicate.merge import Numbered, merge_duplicates

STARS = [1.0, 1.5, 3.0, 4.5, 5.0]
reviews = st.lists(st.tuples(st.integers(-3, 3), st.sampled_from(STARS)), max_size=40)


def numbered(pairs, first_place=0):
    """Reviews (text, rating), the text a number, in the order of their places."""
    texts = np.array([text for text, _ in pairs], np.int64)
    return Numbered(
        digest=texts // 2,
        order=texts % 2,
        place=np.arange(len(pairs), dtype=np.int64) + first_place,
        rating=np.array([rating for _, rating in pairs], np.float64),
        split=(texts % 3).astype(np.int32),
        times=np.ones(len(pairs), np.int64),
    )


def merged(batches):
    """{text: (place, rating, times)} of what stays, and the places of what is dropped."""
    dropped, stays = [], None
    for places, rows in merge_duplicates(batches):
        dropped += places.tolist()
        assert stays is None
        stays = rows
    if stays is None:
        return {}, dropped
    texts = (stays.digest * 2 + stays.order).tolist()
    assert len(set(texts)) == len(texts)
    assert (stays.split == np.array(texts, np.int64) % 3).all()
    columns = (stays.place.tolist(), stays.rating.tolist(), stays.times.tolist())
    return dict(zip(texts, zip(*columns, strict=True), strict=True)), dropped


@given(reviews, st.integers(1, 5), st.sampled_from([2, 7, 1_000_000]))
@example([], 1, 2)
def test_one_review_of_each_text_stays_and_has_the_most_frequent_rating_or_the_lower_of_two(pairs, batches, held):
    edges = [len(pairs) * number // batches for number in range(batches + 1)]
    parts = [numbered(pairs[a:b], a) for a, b in itertools.pairwise(edges)]
    before, merge._ROWS_HELD = merge._ROWS_HELD, held
    try:
        stays, dropped = merged(parts)
    finally:
        merge._ROWS_HELD = before
    ratings, places = defaultdict(Counter), defaultdict(set)
    for place, (text, rating) in enumerate(pairs):
        ratings[text][rating] += 1
        places[text, rating].add(place)
    assert stays.keys() == ratings.keys()
    for text, (place, rating, times) in stays.items():
        assert rating == min(ratings[text], key=lambda stars: (-ratings[text][stars], stars))
        assert times == ratings[text].total()
        assert place in places[text, rating]
    assert sorted([*dropped, *(place for place, _, _ in stays.values())]) == list(range(len(pairs)))


@pytest.mark.parametrize(
    ("stars", "mode", "times"),
    [
        ([5.0] * 3 + [1.0] * 2, 5.0, 5),
        ([5.0] * 2 + [4.5] * 2 + [1.0], 4.5, 5),
        ([2.5], 2.5, 1),
        ([1.0] * 99 + [5.0] * 100, 5.0, 199),
    ],
)
def test_the_mode_by_hand(stars, mode, times):
    ((_, rating, found),) = merged([numbered([(0, one) for one in stars])])[0].values()
    assert (rating, found) == (mode, times)


def test_no_batch_is_no_row():
    assert list(merge_duplicates([])) == []
