import gzip
import itertools
import json
import math
import re
from collections import Counter

import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from sentispark.errors import OptionError
from sentispark.reviews.generate import generate_reviews, write_reviews

ROWS = 14_000


@pytest.fixture(scope="module")
def lines():
    return list(generate_reviews(ROWS, seed=7))


@pytest.fixture(scope="module")
def usable(lines):
    return [record for record in map(usable_record, lines) if record]


@pytest.fixture(scope="module")
def distinct(usable):
    """(texts, labels) without repeated texts."""
    ratings = {record["reviewText"]: record["overall"] for record in usable}
    return list(ratings), [rating >= 4 for rating in ratings.values()]


def usable_record(line):
    return None if fault(line) else json.loads(line)


def fault(line):
    try:
        record = json.loads(line)
    except json.JSONDecodeError:
        return "cut off"
    if "reviewText" not in record or "overall" not in record:
        return "no text" if "reviewText" not in record else "no rating"
    if not record["reviewText"].strip():
        return "blank text"
    return None if record["overall"] in (1.0, 2.0, 3.0, 4.0, 5.0) else f"rating {record['overall']}"


def share(holds, records):
    return sum(map(holds, records)) / len(records)


def accuracy(distinct, *, words):
    """Test accuracy of a logistic regression on the presence of all runs of up to `words` words."""
    texts, labels = distinct
    cut = len(texts) * 3 // 4
    vectorizer = CountVectorizer(ngram_range=(1, words), min_df=3, binary=True)
    model = LogisticRegression(C=0.3, max_iter=200).fit(vectorizer.fit_transform(texts[:cut]), labels[:cut])
    return model.score(vectorizer.transform(texts[cut:]), labels[cut:])


def test_the_same_seed_gives_the_same_lines_and_another_seed_others():
    assert list(generate_reviews(50, seed=3)) == list(generate_reviews(50, seed=3))
    assert not set(generate_reviews(50, seed=3)) & set(generate_reviews(50, seed=4))


def test_a_longer_run_begins_with_the_lines_of_a_shorter_one(lines):
    assert list(generate_reviews(500, seed=7)) == lines[:500]
    assert list(generate_reviews(0, seed=7)) == []


def test_shares_change_only_the_lines_that_they_affect(lines):
    whole = list(generate_reviews(2_000, seed=7, broken_share=0))
    assert [line for line in lines[:2_000] if not fault(line)] == [
        line for line, given in zip(whole, lines, strict=False) if not fault(given)
    ]


def test_fields_are_those_of_the_amazon_data(usable):
    always = {"reviewerID", "asin", "reviewText", "overall", "summary", "unixReviewTime", "reviewTime"}
    for record in usable[:2_000]:
        assert always <= set(record) <= always | {"reviewerName", "helpful", "verified"}
        assert ("helpful" in record) != ("verified" in record)
        assert re.fullmatch(r"\d\d \d\d?, 20\d\d", record["reviewTime"])
        assert re.fullmatch(r"A[0-9A-Z]{13} B0[0-9A-Z]{8}", f"{record['reviewerID']} {record['asin']}")


def test_78_percent_are_positive_and_5_stars_are_the_most_frequent(usable):
    assert share(lambda record: record["overall"] >= 4, usable) == pytest.approx(0.78, abs=0.015)
    stars = Counter(record["overall"] for record in usable)
    assert stars.most_common(2)[0][0] == 5
    assert set(stars) == {1, 2, 3, 4, 5}


def test_broken_lines_have_their_share_and_every_kind_occurs(lines):
    faults = Counter(filter(None, map(fault, lines)))
    assert faults.total() / ROWS == pytest.approx(0.01, abs=0.004)
    assert set(faults) == {
        "cut off", "no text", "blank text", "no rating", "rating NA", "rating 0.0", "rating 7.0",
    }  # fmt: skip
    assert all(map(fault, generate_reviews(50, broken_share=1)))
    assert not any(map(fault, generate_reviews(500, broken_share=0)))


def test_some_texts_come_twice_and_some_of_those_with_other_stars(usable):
    ratings = {}
    for record in usable:
        ratings.setdefault(record["reviewText"], []).append(record["overall"])
    repeats = [stars for stars in ratings.values() if len(stars) > 1]
    assert len(repeats) > 0.01 * len(usable)
    assert any(len(set(stars)) > 1 for stars in repeats)


def test_texts_look_typed(usable):
    texts = [record["reviewText"] for record in usable]
    for mark, least in {"<br />": 0.02, "&quot;": 0.02, "!!": 0.1, "👍": 0.005}.items():
        assert share(lambda text, mark=mark: mark in text, texts) > least
    assert share(lambda text: re.search(r"(\w)\1{3}", text) is not None, texts) > 0.05
    assert share(str.islower, texts) > 0.03


def test_no_slot_of_a_template_stays_empty(usable):
    assert not [record for record in usable if re.search("[{}%]", record["reviewText"] + record["summary"])]


def test_some_texts_have_more_than_100_words(usable):
    lengths = sorted(len(record["reviewText"].split()) for record in usable)
    assert 35 <= lengths[len(lengths) // 2] <= 50
    assert 150 <= lengths[len(lengths) * 95 // 100] <= 200


def test_the_vocabulary_has_a_long_tail(usable):
    counts = Counter(word for record in usable for word in re.findall(r"[a-z']+", record["reviewText"].lower()))
    frequencies = sorted(counts.values(), reverse=True)
    slope = math.log(frequencies[4_999] / frequencies[49]) / math.log(5_000 / 50)
    assert -1.6 < slope < -1
    assert sum(count == 1 for count in frequencies) > 0.3 * len(frequencies)
    assert len(frequencies) > 10_000


def test_careless_stars_make_three_percent_of_the_labels_wrong(distinct):
    meant = {}
    for line in generate_reviews(ROWS, seed=7, broken_share=0, duplicate_share=0, careless_share=0):
        record = json.loads(line)
        meant[record["reviewText"]] = record["overall"] >= 4
    agreement = [meant[text] == label for text, label in zip(*distinct, strict=True) if text in meant]
    assert len(agreement) > 0.95 * len(distinct[0])
    assert sum(agreement) / len(agreement) == pytest.approx(0.97, abs=0.008)


def test_words_alone_do_worse_than_words_in_order(distinct):
    labels = distinct[1]
    majority = sum(labels) / len(labels)
    one_word, two_words = accuracy(distinct, words=1), accuracy(distinct, words=2)
    assert majority + 0.03 < one_word < 0.88
    assert one_word + 0.025 < two_words


@pytest.mark.parametrize("name", ["reviews.jsonl", "reviews.jsonl.gz"])
def test_the_bytes_of_files_do_not_depend_on_their_path(tmp_path, name):
    (one,) = write_reviews(tmp_path / "a" / name, 40, seed=5)
    (two,) = write_reviews(tmp_path / "b" / name, 40, seed=5)
    assert one.read_bytes() == two.read_bytes()


def test_files_in_order_have_the_same_lines(tmp_path):
    paths = write_reviews(tmp_path / "reviews.jsonl.gz", 10, files=3, seed=5)
    assert [path.name for path in paths] == ["reviews-000.jsonl.gz", "reviews-001.jsonl.gz", "reviews-002.jsonl.gz"]
    parts = [gzip.decompress(path.read_bytes()).decode().splitlines() for path in paths]
    assert [len(part) for part in parts] == [3, 3, 4]
    assert [*itertools.chain(*parts)] == list(generate_reviews(10, seed=5))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"rows": -1}, "'rows' must be a whole number of at least 0. Got -1."),
        ({"seed": -2}, "'seed' must be a whole number of at least 0. Got -2."),
        ({"broken_share": 1.5}, "'broken_share' must be a number of at least 0 and at most 1. Got 1.5."),
        ({"duplicate_share": -0.1}, "'duplicate_share' must be a number of at least 0 and at most 1. Got -0.1."),
        ({"careless_share": "no"}, "'careless_share' must be a number of at least 0 and at most 1. Got 'no'."),
    ],
)
def test_bad_arguments_are_named_before_the_first_line(arguments, message):
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        generate_reviews(**{"rows": 1, **arguments})


@pytest.mark.parametrize(
    ("name", "files", "message"),
    [
        ("reviews.csv", 1, "'path' must end in .jsonl or .jsonl.gz. Got "),
        ("reviews.jsonl", 0, "'files' must be a whole number of at least 1. Got 0."),
    ],
)
def test_nothing_is_written_on_bad_arguments(tmp_path, name, files, message):
    with pytest.raises(OptionError, match=f"^{re.escape(message)}"):
        write_reviews(tmp_path / "new" / name, 5, files=files)
    assert not list(tmp_path.iterdir())
