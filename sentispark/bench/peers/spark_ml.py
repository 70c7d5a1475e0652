"""The encoding as a user of Spark ML would write it with its own stages: texts to counts of words."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.ml import Pipeline
from pyspark.ml.feature import CountVectorizer, RegexTokenizer, StopWordsRemover

__all__ = ["spark_ml_encoder"]


def spark_ml_encoder(*, stop_words: Sequence[str], vocabulary_size: int) -> Pipeline:
    """`RegexTokenizer` → `StopWordsRemover` → `CountVectorizer` on a column `text`."""
    return Pipeline(
        stages=[
            RegexTokenizer(inputCol="text", outputCol="raw_words", pattern=r"[^\p{L}\p{M}\p{N}']+"),
            StopWordsRemover(inputCol="raw_words", outputCol="words", stopWords=list(stop_words)),
            CountVectorizer(inputCol="words", outputCol="counts", vocabSize=vocabulary_size),
        ]
    )
