"""Spellings to ratings, scale by scale."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.errors import OptionError
from sentispark.reviews.scale import is_scale, parse_scale

ends = st.integers(-100, 100)


@given(ends, ends, st.floats(-200, 200).map(lambda number: round(number, 3)))
def test_numbers_in_the_range_are_ratings(low, high, number):
    name = f"{low}-{high}"
    assert is_scale(name) == (low < high)
    if low < high:
        scale = parse_scale(name)
        assert scale.rating(str(number)) == (number if low <= number <= high else None)
        assert scale.low < scale.positive_from <= scale.high


@given(st.lists(st.text("abcdefg ", min_size=1).map(str.strip).filter(bool), unique=True, min_size=2))
def test_the_rating_of_a_word_is_its_position(words):
    scale = parse_scale(",".join(words))
    assert [scale.rating(word.upper()) for word in words] == [*range(1, len(words) + 1)]
    assert [scale.spelled(index + 1) for index in range(len(words))] == words
    assert scale.rating("none of them") is None
    above = [index for index in range(1, len(words) + 1) if index > (len(words) + 1) / 2]
    assert scale.positive_from == above[0]


@pytest.mark.parametrize(
    ("scale", "spelled", "rating"),
    [
        ("1-5", "4.50", 4.5),
        ("1-5", "5/5", 5),
        ("1-5", "4.0 out of 5 stars", 4),
        ("1-5", "4 of 5", 4),
        ("1-5", "1 star", 1),
        ("1-5", "8/10", None),
        ("1-10", "8/10", 8),
        ("1-5", "★★★★☆", 4),
        ("1-5", "★★★★", 4),
        ("1-5", "⭐️⭐️", 2),
        ("1-5", "★★☆", None),  # 2 of 3
        ("1-5", "★★★★★★", None),
        ("1-5", "pos", 5),
        ("1-10", "Negative", 1),
        ("1-5", "true", None),
        ("0-1", "true", 1),
        ("0-1", "False", 0),
        ("0-1", "0.0", 0),
        ("0,4", "4.0", 2),
        ("0,4", "2", None),
        ("true,false", "True", 1),
        ("negative,positive", "pos", None),
        ("none,some", "None", 1),
        ("1-5", "nan", None),
        ("1-5", "1_0", None),
        ("1-5", "", None),
    ],
)
def test_spellings_by_hand(scale, spelled, rating):
    assert parse_scale(scale).rating(spelled) == rating


@pytest.mark.parametrize(
    ("scale", "positive_from"),
    [("1-5", 4), ("1-10", 7), ("0-10", 7), ("0-1", 0.75), ("1-2", 1.75), ("0-4", 3), ("1-4", 3), ("0-100", 75)],
)
def test_the_lowest_positive_rating_by_hand(scale, positive_from):
    assert parse_scale(scale).positive_from == positive_from


@pytest.mark.parametrize(
    "name", ["", "5-1", "1-1", "3", "good", "good,", "good,Good", "1,1.0", "a,,b", "1-inf", "0-1e999"]
)
def test_invalid_scales_are_an_error(name):
    with pytest.raises(OptionError, match="'--rating-scale' must be LOW-HIGH, such as 1-5 or 0-1, or two or more"):
        parse_scale(name)
