"""Linear models are trained and evaluated on the rows of the nets."""

import json

import numpy as np
import pytest

from sentispark.bench.quality import evaluate_linear, evaluate_majority, labeled_texts
from sentispark.dataset.dataset import open_dataset
from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews.generate import generate_reviews
from sentispark.reviews.options import ReviewOptions
from sentispark.text.options import TextOptions

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    path = tmp_path_factory.mktemp("reviews") / "reviews.json"
    twice = [{"reviewText": "so so", "overall": stars} for stars in (5, 3, 3, 5)]
    path.write_text("\n".join([*generate_reviews(2000), *map(json.dumps, twice)]))
    return [str(path)]


@pytest.fixture(scope="module")
def rows(spark, reviews):
    return labeled_texts(spark, reviews, ReviewOptions())


def test_the_rows_are_those_of_prepare(spark, reviews, rows, tmp_path):
    prepare_dataset(spark, reviews, str(tmp_path / "dataset"), ReviewOptions(), TextOptions())
    manifest = open_dataset(str(tmp_path / "dataset")).manifest
    assert {split: len(part.texts) for split, part in rows.items()} == {split: manifest.rows(split) for split in rows}
    assert {split: int(part.labels.sum()) for split, part in rows.items()} == {
        split: manifest.label_counts(split)[1] for split in rows
    }


def test_equal_texts_have_their_most_frequent_rating_or_the_lowest_of_several(rows):
    labels = {text: label for part in rows.values() for text, label in zip(part.texts, part.labels, strict=True)}
    assert labels["so so"] == 0


def test_linear_models_are_better_than_the_majority(rows):
    majority, linear = evaluate_majority(rows), evaluate_linear(rows, words=1000, longest=2)
    assert majority["accuracy"] == pytest.approx(max(np.mean(rows["test"].labels), 1 - np.mean(rows["test"].labels)))
    assert majority["roc_auc"] == 0.5
    assert linear["roc_auc"] > 0.6  # generated reviews are hard to classify by words and pairs alone
    assert linear["system"] == "TF-IDF of 1,000 words and pairs + logistic regression"
