"""`sentispark bench quality`: the quality of predictions, compared with linear models on the same rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession

from sentispark.bench.reference import REFERENCE_TEXT, REFERENCE_TRAINING
from sentispark.bench.reviews import generated_reviews
from sentispark.bench.train import RANKS, train_by_torchrun
from sentispark.dataset.dataset import open_dataset
from sentispark.dataset.manifest import SPLITS
from sentispark.dataset.readers import ArrowReader
from sentispark.dataset.store import RowStore
from sentispark.errors import InputError
from sentispark.evaluate.metrics import measures, tally
from sentispark.files import Folder
from sentispark.nn.options import NetOptions, reference_net
from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews.deduplicate.digest import split_draws
from sentispark.reviews.deduplicate.distinct import split_codes
from sentispark.reviews.options import ReviewOptions
from sentispark.reviews.polarity import LEFT_OUT
from sentispark.reviews.read import read_reviews
from sentispark.spark.session import task_cores
from sentispark.text.kernels import tokenize
from sentispark.text.options import TextOptions
from sentispark.train.config import TrainConfig
from sentispark.train.evaluation import evaluate
from sentispark.train.options import TrainOptions
from sentispark.train.result import TrainedNet
from sentispark.train.world import World

__all__ = ["Texts", "evaluate_linear", "evaluate_majority", "labeled_texts", "measure"]

_log = logging.getLogger(__name__)

# The inverse regularization strengths that are tried; the best one on the validation rows is used.
_INVERSE_PENALTIES = (1.0, 4.0, 16.0)


class Texts(NamedTuple):
    """The rows of one split: texts, and a label for each, 0 or 1 (int64 of shape (n,))."""

    texts: list[str]
    labels: np.ndarray


def measure(spark: SparkSession, folder: Path, *, rows: int, paths: Sequence[str]) -> dict[str, Any]:
    """Train and evaluate all systems. Stops Spark.

    Parameters
    ----------
    spark : SparkSession
    folder : Path
    rows : int
        Number of reviews to generate if `paths` is empty.
    paths : sequence of str
        Review files.

    Returns
    -------
    dict
        `rows` by split, and `results`, a list of `system`, `accuracy`, `f1_macro`, `roc_auc` and `seconds` of training.

    Raises
    ------
    InputError
        If the linear models and the nets would not get the same numbers of rows.
    """
    cores, options = task_cores(spark), ReviewOptions()
    paths = list(paths) or generated_reviews(folder / "data", rows, processes=cores)
    texts = labeled_texts(spark, paths, options)
    reference, default = (str(folder / "data" / name) for name in ("reference", "default"))
    # A row's split depends on its words, and the reference's cleaning leaves other words: its splits have other rows.
    prepare_dataset(spark, paths, reference, options, REFERENCE_TEXT)
    prepare_dataset(spark, paths, default, options, TextOptions())
    written = {split: open_dataset(default).manifest.rows(split) for split in SPLITS}
    if written != {split: len(texts[split].texts) for split in SPLITS}:
        raise InputError(f"The linear models and the nets do not have the same rows: '{default}' has {written}.")
    spark.stop()
    results = [
        evaluate_majority(texts),
        evaluate_linear(texts, words=10_000, longest=1),
        evaluate_linear(texts, words=200_000, longest=2),
        _evaluate_net(
            "2019 system's net and settings", TrainConfig(reference, REFERENCE_TRAINING, reference_net()), folder, cores
        ),
        _evaluate_net("sentispark's default", TrainConfig(default, TrainOptions(), NetOptions()), folder, cores),
    ]
    return {"rows": written, "results": results}


def labeled_texts(spark: SparkSession, paths: Sequence[str], options: ReviewOptions) -> dict[str, Texts]:
    """The texts and labels of the rows that `prepare` would write, by split, all in memory.

    An independent implementation in pandas: one row for each text, with its most frequent rating, or the lowest of
    several equally frequent ones.
    """
    polarity = options.polarity
    layout = options.layout._asdict()
    found = read_reviews(spark, paths, *options.columns, options.format, rating_scale=polarity.scale.name, **layout)
    usable: pd.DataFrame = found.usable.toPandas()
    counts = usable.groupby(["text", "rating"]).size().rename("count").reset_index()
    best = counts.sort_values(["count", "rating"], ascending=[False, True]).drop_duplicates("text")
    labels = polarity.labels(best["rating"].to_numpy())
    best, labels = best[labels != LEFT_OUT], labels[labels != LEFT_OUT]
    texts = pa.array(best["text"], pa.string())
    splits = split_codes(split_draws(tokenize(texts), texts), options)
    return {name: _of_split(best["text"], labels, splits == number) for number, name in enumerate(SPLITS)}


def _of_split(texts: pd.Series[str], labels: np.ndarray, chosen: np.ndarray) -> Texts:
    return Texts(texts[chosen].tolist(), labels[chosen])


def _result(system: str, found: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """A row of the result table from the measures of a system."""
    line = {
        "system": system,
        "accuracy": found["accuracy"],
        "f1_macro": found["f1"]["macro"],
        "roc_auc": found["roc_auc"],
        "seconds": seconds,
    }
    _log.info("%s", line)
    return line


def evaluate_majority(rows: Mapping[str, Texts]) -> dict[str, Any]:
    """The system that always predicts the more frequent label of the training rows."""
    answer = 1.0 if rows["train"].labels.mean() > 0.5 else -1.0
    test = rows["test"].labels
    return _result("majority", measures(tally(np.full(len(test), answer), test)), 0.0)


def evaluate_linear(rows: Mapping[str, Texts], *, words: int, longest: int) -> dict[str, Any]:
    """Train and evaluate scikit-learn's TF-IDF with logistic regression.

    Parameters
    ----------
    rows : mapping of str to Texts
        By split.
    words : int
        Size of the vocabulary, which holds the most frequent n-grams.
    longest : int
        Words of the longest n-grams: 1 or 2.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    started = time.perf_counter()
    vectorizer = TfidfVectorizer(max_features=words, ngram_range=(1, longest), sublinear_tf=True)
    train = vectorizer.fit_transform(rows["train"].texts)
    validation, test = (vectorizer.transform(rows[split].texts) for split in ("validation", "test"))
    fits = [
        LogisticRegression(C=strength, max_iter=1000).fit(train, rows["train"].labels)
        for strength in _INVERSE_PENALTIES
    ]

    def validation_loss(fit: LogisticRegression) -> float:
        found = measures(tally(fit.decision_function(validation), rows["validation"].labels))["log_loss"]
        return 0.0 if found is None else found  # without validation rows the first fit is used

    found = measures(tally(min(fits, key=validation_loss).decision_function(test), rows["test"].labels))
    kind = "words" if longest == 1 else "words and pairs"
    return _result(f"TF-IDF of {words:,} {kind} + logistic regression", found, time.perf_counter() - started)


def _evaluate_net(system: str, config: TrainConfig, folder: Path, cores: int) -> dict[str, Any]:
    done = train_by_torchrun(config, folder, ranks=RANKS, cores=cores)
    seconds = sum(epoch["seconds"] for epoch in done["epochs"])
    module = TrainedNet.load(Folder(str(folder / "net"))).module()
    with RowStore(open_dataset(config.dataset), "test", ArrowReader()) as store:
        return _result(system, evaluate(module, store, World()), seconds)
