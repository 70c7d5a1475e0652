"""How well texts are judged, beside scikit-learn's linear models on the same rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from sentispark.dataset.manifest import SPLITS
from sentispark.evaluate.metrics import measures, tally
from sentispark.reviews.digest import split_draws
from sentispark.reviews.distinct import split_codes
from sentispark.reviews.options import ReviewOptions
from sentispark.reviews.polarity import LEFT_OUT
from sentispark.reviews.read import read_reviews
from sentispark.text.kernels import tokenize

__all__ = ["Texts", "judge_linear", "judge_majority", "judged", "labelled_texts"]

_log = logging.getLogger(__name__)

# The inverse strengths of the penalty that are tried; the validation rows choose.
_PENALTIES = (1.0, 4.0, 16.0)


class Texts(NamedTuple):
    """The rows of one split: texts, and 0 or 1 for each."""

    texts: list[str]
    labels: np.ndarray


def labelled_texts(spark: SparkSession, paths: Sequence[str], options: ReviewOptions) -> dict[str, Texts]:
    """The texts that `prepare` makes rows of, by split, with the labels it gives them. All in memory.

    One row a text, with its most frequent rating, the lower of two that are equally frequent; written in pandas.
    """
    polarity = options.polarity
    layout = options.layout._asdict()
    found = read_reviews(spark, paths, *options.columns, options.format, rating_scale=polarity.scale.name, **layout)
    usable = found.usable.toPandas()
    counts = usable.groupby(["text", "rating"]).size().rename("count").reset_index()
    best = counts.sort_values(["count", "rating"], ascending=[False, True]).drop_duplicates("text")
    labels = polarity.labels(best["rating"].to_numpy())
    best, labels = best[labels != LEFT_OUT], labels[labels != LEFT_OUT]
    texts = pa.array(best["text"], pa.string())
    splits = split_codes(split_draws(tokenize(texts), texts), options)
    return {name: _of_split(best["text"], labels, splits == number) for number, name in enumerate(SPLITS)}


def _of_split(texts: pd.Series, labels: np.ndarray, chosen: np.ndarray) -> Texts:
    return Texts(texts[chosen].tolist(), labels[chosen])


def judged(system: str, found: dict[str, Any], seconds: float) -> dict[str, Any]:
    """A line of the table: `system`, `accuracy`, `f1_macro`, `roc_auc` and `seconds`, from `evaluate.measures`."""
    line = {
        "system": system,
        "accuracy": found["accuracy"],
        "f1_macro": found["f1"]["macro"],
        "roc_auc": found["roc_auc"],
        "seconds": seconds,
    }
    _log.info("%s", line)
    return line


def judge_majority(rows: dict[str, Texts]) -> dict[str, Any]:
    """The system that always answers what most rows of the training are."""
    answer = 1.0 if rows["train"].labels.mean() > 0.5 else -1.0
    test = rows["test"].labels
    return judged("majority", measures(tally(np.full(len(test), answer), test)), 0.0)


def judge_linear(rows: dict[str, Texts], *, words: int, longest: int) -> dict[str, Any]:
    """TF-IDF and logistic regression.

    Parameters
    ----------
    rows : dict of str to Texts
    words : int
        The most frequent words, and runs of words, that are used.
    longest : int
        Words in a run.
    """
    started = time.perf_counter()
    vectorizer = TfidfVectorizer(max_features=words, ngram_range=(1, longest), sublinear_tf=True)
    train = vectorizer.fit_transform(rows["train"].texts)
    validation, test = (vectorizer.transform(rows[split].texts) for split in ("validation", "test"))
    fits = [LogisticRegression(C=penalty, max_iter=1000).fit(train, rows["train"].labels) for penalty in _PENALTIES]

    def loss(fit: LogisticRegression) -> float:
        return measures(tally(fit.decision_function(validation), rows["validation"].labels))["log_loss"]

    found = measures(tally(min(fits, key=loss).decision_function(test), rows["test"].labels))
    kind = "words" if longest == 1 else "words and pairs"
    return judged(f"TF-IDF of {words:,} {kind} + logistic regression", found, time.perf_counter() - started)
