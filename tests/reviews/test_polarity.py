"""Labels of ratings, and scales that fit ratings."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.reviews.options import PRESET_SCALES, PRESETS, ReviewOptions
from sentispark.reviews.polarity import LEFT_OUT, fitting_scale, off_scale_message, polarity_of
from sentispark.reviews.scale import parse_scale

SCALES = ["0-1", "1-2", "-1-1", "1-5", "1-10", "0-10", "0-100", "negative,positive", "neg,pos"]
stars = st.sampled_from([1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5])


@given(st.lists(stars), stars.filter(lambda limit: limit > 1), st.one_of(st.none(), stars))
def test_a_rating_is_positive_negative_or_left_out_by_the_limits(ratings, positive_from, negative_to):
    if negative_to is not None and negative_to >= positive_from:
        return
    polarity = polarity_of(parse_scale("1-5"), positive_from, negative_to)
    expected = [
        1 if one >= positive_from else 0 if negative_to is None or one <= negative_to else LEFT_OUT for one in ratings
    ]
    assert polarity.labels(np.array(ratings, float)).tolist() == expected


def test_limits_may_be_words_of_the_scale():
    polarity = polarity_of(parse_scale("awful,bad,ok,good,great"), "good", "bad")
    assert polarity.labels(np.arange(1.0, 6.0)).tolist() == [0, 0, LEFT_OUT, 1, 1]


@pytest.mark.parametrize("name", SCALES)
def test_the_scale_is_found_from_its_ends(name):
    scale = parse_scale(name)
    assert fitting_scale({scale.spelled(scale.low): 3, scale.spelled(scale.high): 2}) == name


@pytest.mark.parametrize(
    ("seen", "scale"),
    [
        ({"0": 1, "1": 1, "2": 1}, "0-2"),
        ({"1": 92, "5": 8}, "1-5"),
        ({"1": 5}, None),
        ({"neg": 1, "neu": 1, "pos": 1}, "neg,neu,pos"),
        ({"8/10": 2, "1/10": 2}, "1-10"),
        ({"0.2": 2, "0.9": 2}, "0-1"),
        ({"1.5": 2, "2": 2}, "1.5-2"),
        ({"5": 1, "1000": 1}, "5-1000"),
        ({"0": 500, "1": 500, "junk": 1}, "0-1"),
        ({}, None),
    ],
)
def test_fitting_scales_by_hand(seen, scale):
    assert fitting_scale(seen) == scale


def test_a_tenth_off_the_scale_is_too_much():
    polarity = polarity_of(parse_scale("1-5"))
    assert off_scale_message(polarity, {"4": 91, "0": 9}, inside=91, outside=9) is None
    refused = off_scale_message(polarity, {"4": 90, "0": 10}, inside=90, outside=10)
    assert refused.startswith("More than nine tenths of the ratings must be on")


@pytest.mark.parametrize("preset", PRESETS)
def test_a_given_scale_takes_precedence_over_the_preset(preset):
    assert ReviewOptions(preset=preset).polarity.scale.name == PRESET_SCALES.get(preset, "1-5")
    assert ReviewOptions(preset=preset, rating_scale="0-1").polarity.scale.name == "0-1"
