"""Reviews to one row a distinct text, with its label and its split."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

__all__ = ["distinct_reviews", "labelled", "split_of"]

_RECORD = ("text", "reason", "file", "record")
_PUNCTUATION = " .,;:!?'\"()[]{}<>/\\-_*&%$#@~^+=|`\t\n\r‘’ʼ＇“”„«»…–—·\u00a0"


def distinct_reviews(records: DataFrame) -> DataFrame:
    """One row a distinct text; its rating is the most frequent one, the lower of equally frequent ones.

    Parameters
    ----------
    records : DataFrame
        `text`, `rating`, `reason`, `file`, `record`, as `Reviews.records` has them. Quarantined records, equal in all
        but the rating, are put together too, so that no record is lost in one shuffle of both.

    Returns
    -------
    DataFrame
        The same columns and `copies` long, the number of records that the row stands for.
    """
    # Partitioned once by what both aggregations group by, so the texts cross the network once.
    counted = records.repartition(*_RECORD).groupBy(*_RECORD, "rating").agg(F.count("*").alias("times"))
    # One time more outweighs any difference of ratings, which are at most 5: mode first, then the lower rating.
    rank = F.col("times") * 8 - F.coalesce("rating", F.lit(0))
    return counted.groupBy(*_RECORD).agg(F.max_by("rating", rank).alias("rating"), F.sum("times").alias("copies"))


def labelled(reviews: DataFrame, *, positive_from: float, validation_share: float, test_share: float) -> DataFrame:
    """The reviews with `label` (int, 1 from `positive_from` stars on) and `split` (train, validation or test)."""
    return reviews.withColumn("label", (F.col("rating") >= positive_from).cast("int")).withColumn(
        "split", split_of("text", validation_share=validation_share, test_share=test_share)
    )


def split_of(text_col: str, *, validation_share: float, test_share: float) -> Column:
    """The split of a text: a function of the text alone, the same in every run and for every amount of data.

    Case, blanks and punctuation do not count, so that "Great!" in training is not tested as "great".
    """
    letters = F.translate(F.lower(text_col), _PUNCTUATION, "")
    place = F.pmod(F.xxhash64(F.lit("split"), letters), F.lit(1_000_000)) / 1_000_000
    return (
        F.when(place < test_share, "test").when(place < test_share + validation_share, "validation").otherwise("train")
    )
