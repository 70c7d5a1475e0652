"""Duplicates put together and labels put on, against a plain loop over the same records."""

import random
from collections import Counter, defaultdict

import pytest

from sentispark.reviews.distinct import NUMBERED, distinct_rows, labelled

QUARANTINED = [("broken record", 2), ("no text", 1), ("broken record", 3)]


def rows_of(spark, *reviews, quarantined=()):
    """Rows as a task that read the reviews would hand them on: the text's place in a list is its digest."""
    texts = {text: number for number, text in enumerate(sorted({text for text, _ in reviews}))}
    rows = [
        (None, texts[text], -texts[text], place, texts[text] / len(texts), rating, 1)
        for place, (text, rating) in enumerate(reviews)
    ]
    rows += [(reason, None, None, None, None, None, times) for reason, times in quarantined]
    return spark.createDataFrame(rows, NUMBERED), {-number: text for text, number in texts.items()}


def found_of(spark, *reviews, partitions=3, **more):
    frame, texts = rows_of(spark, *reviews, **more)
    rows = distinct_rows(frame, partitions=partitions).collect()
    return {texts.get(row.order, row.reason): row for row in rows}


def test_distinct_rows_are_those_of_a_plain_loop_and_no_record_is_lost(spark):
    rng = random.Random(0)
    texts = ["good", "Good", "good ", "日本", "a\nb", *(f"text {number}" for number in range(40))]
    stars = [number / 2 for number in range(2, 11)]  # 1, 1.5, … 5
    reviews = [(rng.choice(texts), rng.choice(stars)) for _ in range(400)]
    ratings, places = defaultdict(Counter), defaultdict(list)
    for place, (text, rating) in enumerate(reviews):
        ratings[text][rating] += 1
        places[text].append(place)
    expected = {
        text: (min(found, key=lambda rating: (-found[rating], rating)), found.total())
        for text, found in ratings.items()
    }
    for partitions in (1, 7):
        found = found_of(spark, *reviews, partitions=partitions, quarantined=QUARANTINED)
        assert [found.pop(reason).copies for reason in ("broken record", "no text")] == [5, 1]
        assert {text: (row.rating, row.copies) for text, row in found.items()} == expected
        assert all(row.place in places[text] for text, row in found.items())


def test_the_rating_is_the_most_frequent_one_and_of_equally_frequent_ones_the_lower(spark):
    found = found_of(
        spark,
        *[("mode", 5.0)] * 3,
        *[("mode", 1.0)] * 2,
        *[("tie", 5.0)] * 2,
        *[("tie", 4.5)] * 2,
        ("tie", 1.0),
        ("alone", 2.5),
        *[("by one", 1.0)] * 99,
        *[("by one", 5.0)] * 100,
    )
    assert {text: (row.rating, row.copies) for text, row in found.items()} == {
        "mode": (5.0, 5),
        "tie": (4.5, 5),
        "alone": (2.5, 1),
        "by one": (5.0, 199),
    }


def test_no_record_is_no_row(spark):
    assert distinct_rows(spark.createDataFrame([], NUMBERED), partitions=2).collect() == []


@pytest.mark.parametrize(
    ("positive_from", "labels"), [(4, [0, 0, 0, 1, 1, 1]), (3.5, [0, 0, 1, 1, 1, 1]), (1, [1] * 6), (5, [0] * 5 + [1])]
)
def test_the_label_is_one_from_the_named_stars_on(spark, positive_from, labels):
    frame = spark.createDataFrame(
        [(stars, 0.5) for stars in (1.0, 3.0, 3.5, 4.0, 4.5, 5.0)], "rating double, draw double"
    )
    found = labelled(frame, positive_from=positive_from, validation_share=0.1, test_share=0.1)
    assert dict(found.dtypes)["label"] == "int"
    assert [row.label for row in sorted(found.collect(), key=lambda row: row.rating)] == labels


@pytest.mark.parametrize(
    ("validation_share", "test_share", "splits"),
    [
        (0.2, 0.1, ["test", "validation", "validation", "train", "train"]),
        (0.2, 0.3, ["test", "test", "test", "train", "train"]),
        (0, 0, ["train"] * 5),
        (0, 0.5, ["test", "test", "test", "train", "train"]),
        (0.5, 0, ["validation"] * 3 + ["train"] * 2),
    ],
)
def test_the_draw_decides_the_split_and_a_larger_test_share_takes_no_text_out_of_the_test(
    spark, validation_share, test_share, splits
):
    frame = spark.createDataFrame([(5.0, draw) for draw in (0.0, 0.1, 0.29, 0.5, 0.9)], "rating double, draw double")
    found = labelled(frame, positive_from=4, validation_share=validation_share, test_share=test_share)
    assert [row.split for row in sorted(found.collect(), key=lambda row: row.draw)] == splits
