"""Duplicates put together and splits drawn, against a plain loop over the same records."""

import random
from collections import Counter, defaultdict

import pytest

from sentispark.dataset.manifest import SPLITS
from sentispark.reviews.clean import distinct_reviews, labelled

SCHEMA = "text string, rating double, reason string, file string, record string"
QUARANTINED = [
    (None, None, "broken record", "a.jsonl", "{"),
    (None, None, "broken record", "a.jsonl", "{"),
    (None, None, "broken record", "b.jsonl", "{"),
    (None, None, "no text", "a.jsonl", "{}"),
    (None, None, "no text", "a.jsonl", None),
]


def records_of(spark, *reviews):
    return spark.createDataFrame([(text, rating, None, None, None) for text, rating in reviews], SCHEMA)


def oracle(records):
    """{(text, reason, file, record): (rating, copies)}, the rating being the mode and of several modes the lowest."""
    ratings = defaultdict(Counter)
    for text, rating, *rest in records:
        ratings[(text, *rest)][rating] += 1
    return {
        key: (min(found, key=lambda rating: (-found[rating], rating or 0)), found.total())
        for key, found in ratings.items()
    }


def test_distinct_reviews_are_those_of_a_plain_loop_and_no_record_is_lost(spark):
    rng = random.Random(0)
    texts = ["good", "Good", "good ", "日本", "a\nb", *(f"text {number}" for number in range(40))]
    stars = [number / 2 for number in range(2, 11)]  # 1, 1.5, … 5
    rows = [(rng.choice(texts), rng.choice(stars), None, None, None) for _ in range(400)] + QUARANTINED * 3
    rng.shuffle(rows)
    expected = oracle(rows)
    for partitions in (1, 7):
        found = distinct_reviews(spark.createDataFrame(rows, SCHEMA).repartition(partitions)).collect()
        assert {(row.text, row.reason, row.file, row.record): (row.rating, row.copies) for row in found} == expected
        assert len(found) == len(expected)
        assert sum(row.copies for row in found) == len(rows)


def test_the_rating_is_the_most_frequent_one_and_of_equally_frequent_ones_the_lower(spark):
    found = distinct_reviews(
        records_of(
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
    )
    assert {row.text: (row.rating, row.copies) for row in found.collect()} == {
        "mode": (5.0, 5),
        "tie": (4.5, 5),
        "alone": (2.5, 1),
        "by one": (5.0, 199),
    }


def test_no_record_is_no_review(spark):
    assert distinct_reviews(records_of(spark)).collect() == []


@pytest.mark.parametrize(
    ("positive_from", "labels"), [(4, [0, 0, 0, 1, 1, 1]), (3.5, [0, 0, 1, 1, 1, 1]), (1, [1] * 6), (5, [0] * 5 + [1])]
)
def test_the_label_is_one_from_the_named_stars_on(spark, positive_from, labels):
    stars = [1.0, 3.0, 3.5, 4.0, 4.5, 5.0]
    frame = records_of(spark, *((f"text {rating}", rating) for rating in stars))
    found = labelled(frame, positive_from=positive_from, validation_share=0.1, test_share=0.1)
    assert dict(found.dtypes)["label"] == "int"
    assert [row.label for row in sorted(found.collect(), key=lambda row: row.rating)] == labels


def splits_of(spark, texts, *, partitions=2, validation_share=0.2, test_share=0.1):
    frame = records_of(spark, *((text, 5.0) for text in texts)).repartition(partitions)
    found = labelled(frame, positive_from=4, validation_share=validation_share, test_share=test_share)
    return {row.text: row.split for row in found.select("text", "split").collect()}


TEXTS = [f"review number {number}, written by nobody" for number in range(2000)]


@pytest.fixture(scope="module")
def splits(spark):
    return splits_of(spark, TEXTS)


def test_splits_have_about_the_shares_that_were_asked_for(splits):
    shares = {split: count / len(TEXTS) for split, count in Counter(splits.values()).items()}
    # Within four standard deviations of a share of 2,000 texts.
    assert shares == pytest.approx({"train": 0.7, "validation": 0.2, "test": 0.1}, abs=0.041)
    assert tuple(sorted(shares, key=lambda split: -shares[split])) == SPLITS


def test_the_split_of_a_text_depends_on_the_text_alone(spark, splits):
    some = TEXTS[::-1][::7]
    assert splits_of(spark, some, partitions=5) == {text: splits[text] for text in some}


def test_a_larger_test_share_takes_texts_from_the_others_and_gives_none_back(spark, splits):
    larger = splits_of(spark, TEXTS, test_share=0.15)
    assert {text for text in TEXTS if splits[text] == "test"} < {text for text in TEXTS if larger[text] == "test"}


@pytest.mark.parametrize(
    ("validation_share", "test_share", "names"),
    [(0, 0, {"train"}), (0, 0.5, {"train", "test"}), (0.5, 0, {"train", "validation"})],
)
def test_a_share_of_zero_is_no_text(spark, validation_share, test_share, names):
    found = splits_of(spark, TEXTS[:200], validation_share=validation_share, test_share=test_share)
    assert set(found.values()) == names


@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        lambda text: text.replace(" ", "  "),
        lambda text: text.replace(",", " - ") + "!!! :)",
        lambda text: f'"{text}."',
        lambda text: text.replace(" ", "\n"),
        lambda text: f"“{text}…”",
        lambda text: text.replace(" ", "\u00a0"),
        lambda text: text.replace(",", " —"),
    ],
    ids=["case", "blanks", "punctuation", "quotes", "lines", "curly quotes", "no-break spaces", "dashes"],
)
def test_case_blanks_and_punctuation_do_not_part_a_text_from_itself(spark, splits, change):
    some = TEXTS[:300]
    changed = splits_of(spark, map(change, some))
    assert [changed[change(text)] for text in some] == [splits[text] for text in some]


def test_apostrophes_of_either_kind_do_not_part_a_text_from_itself(spark):
    straight = [f"I didn't like number {number}" for number in range(100)]
    curly = [text.replace("'", "’") for text in straight]
    found = splits_of(spark, curly)
    assert {text.replace("’", "'"): split for text, split in found.items()} == splits_of(spark, straight)


def test_texts_without_a_letter_have_a_split(spark):
    assert set(splits_of(spark, ["!!!", ":)", "👍", "5"]).values()) <= set(SPLITS)


def test_labelling_keeps_the_other_columns(spark):
    frame = distinct_reviews(records_of(spark, ("good", 5.0), ("good", 5.0)))
    (row,) = labelled(frame, positive_from=4, validation_share=0.5, test_share=0.1).collect()
    assert (row.text, row.rating, row.copies, row.label) == ("good", 5.0, 2, 1)
    assert row.split in SPLITS
