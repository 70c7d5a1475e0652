"""Reviews to one row a distinct text, with its label and its split; the texts themselves stay where they were read.

A task that reads reviews keeps their words in files and hands on a few numbers a review: its digest, the place of its
words, its rating. What Spark shuffles, groups and sorts is these numbers.
"""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from sentispark.files import Folder
from sentispark.reviews.digest import digests, split_draws
from sentispark.reviews.read import Reviews
from sentispark.text.kernels import tokenize, without
from sentispark.text.options import TextOptions
from sentispark.text.stopwords import cleaning_for, stop_word_array
from sentispark.text.wordfiles import WordFileWriter

__all__ = ["NUMBERED", "distinct_rows", "labelled", "numbered_rows"]

NUMBERED = "reason string, digest long, order long, place long, draw double, rating double, times long"

_QUARANTINE_BYTES = 32 << 20


def numbered_rows(reviews: Reviews, *, words: Folder, quarantine: Folder, text: TextOptions, seed: int) -> DataFrame:
    """One row a review; what cannot be used goes to the quarantine, and is counted.

    Parameters
    ----------
    reviews : Reviews
    words : Folder
        Where the words of the reviews are kept, for `read_words`.
    quarantine : Folder
        Gets Parquet files with `reason`, `file` and `record` of each record that cannot be used.
    text : TextOptions
    seed : int
        Of the digests.

    Returns
    -------
    DataFrame
        Of a review: `digest` and `order` (long, together the text's digest), `place` (of its words), `draw` (double, 0
        to 1, decides its split), `rating`, and `times`, 1. Of records that cannot be used: `reason` and `times`, their
        number, the rest null.
    """
    cleaning, stop_words = cleaning_for(text.stop_words), stop_word_array(text.stop_words)

    def run(task: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        kept, bad = WordFileWriter(words, task), _QuarantineWriter(quarantine, task)
        for batch in batches:
            usable = pc.is_null(batch.column("reason"))
            texts, ratings = (batch.column(name).filter(usable) for name in ("text", "rating"))
            if len(texts) < len(batch):
                bad.append(batch.filter(pc.invert(usable)))
                yield _counted(batch.column("reason"))
            all_words = tokenize(texts, cleaning=cleaning)
            yield _numbered(
                digests(texts, seed=seed),
                kept.append(all_words if stop_words is None else without(all_words, stop_words)),
                split_draws(all_words, texts),
                ratings,
            )
        kept.close()
        bad.close()

    return reviews.through(run, NUMBERED)


def _numbered(digest: np.ndarray, places: np.ndarray, draws: np.ndarray, ratings: pa.Array) -> pa.RecordBatch:
    rows = len(places)
    columns = [pa.nulls(rows, pa.string()), *(pa.array(np.ascontiguousarray(half)) for half in digest.T)]
    columns += [pa.array(places), pa.array(draws), ratings, pa.array(np.ones(rows, np.int64))]
    return pa.RecordBatch.from_arrays(columns, names=_NAMES)


def _counted(reasons: pa.StringArray) -> pa.RecordBatch:
    values, counts = pc.value_counts(reasons.drop_null()).flatten()
    nothing = [pa.nulls(len(values), kind) for kind in (*[pa.int64()] * 3, *[pa.float64()] * 2)]
    return pa.RecordBatch.from_arrays([values, *nothing, counts], names=_NAMES)


_NAMES = [column.split()[0] for column in NUMBERED.split(", ")]


class _QuarantineWriter:
    """Writes one task's records to files of bounded size; a task that is run again writes the same ones again."""

    def __init__(self, folder: Folder, task: int) -> None:
        self._folder, self._task, self._files = folder, task, 0
        self._held: list[pa.RecordBatch] = []

    def append(self, records: pa.RecordBatch) -> None:
        self._held.append(records.select(["reason", "file", "record"]))
        if sum(batch.nbytes for batch in self._held) >= _QUARANTINE_BYTES:
            self.close()

    def close(self) -> None:
        if self._held:
            stream = io.BytesIO()
            pq.write_table(pa.Table.from_batches(self._held), stream, compression="zstd")
            self._folder.write(f"part-{self._task:06d}-{self._files:06d}.parquet", stream.getvalue())
        self._files, self._held = self._files + 1, []


def distinct_rows(numbered: DataFrame, *, partitions: int) -> DataFrame:
    """One row a distinct text; its rating is the most frequent one, the lower of equally frequent ones.

    Parameters
    ----------
    numbered : DataFrame
        As `numbered_rows` gives it.
    partitions : int
        The rows are spread over so many.

    Returns
    -------
    DataFrame
        `reason`, `order`, `place` (of one of the copies' words), `draw`, `rating`, and `copies` (long), the number of
        records that the row stands for. Records that cannot be used are one row a reason.
    """
    text = ("reason", "digest", "order")
    # Partitioned once by what both aggregations group by.
    counted = (
        numbered.repartition(partitions, *text)
        .groupBy(*text, "rating")
        .agg(F.sum("times").alias("times"), F.min("place").alias("place"), F.min("draw").alias("draw"))
    )
    # One time more outweighs any difference of ratings, which are at most 5: mode first, then the lower rating.
    rank = F.col("times") * 8 - F.coalesce("rating", F.lit(0))
    return (
        counted.groupBy(*text)
        .agg(
            F.max_by("rating", rank).alias("rating"),
            F.sum("times").alias("copies"),
            F.min("place").alias("place"),
            F.min("draw").alias("draw"),
        )
        .drop("digest")
    )


def labelled(rows: DataFrame, *, positive_from: float, validation_share: float, test_share: float) -> DataFrame:
    """The rows with `label` (int, 1 from `positive_from` stars on) and `split` (train, validation or test)."""
    return rows.withColumn("label", (F.col("rating") >= positive_from).cast("int")).withColumn(
        "split", _split(F.col("draw"), validation_share=validation_share, test_share=test_share)
    )


def _split(draw: Column, *, validation_share: float, test_share: float) -> Column:
    return F.when(draw < test_share, "test").when(draw < test_share + validation_share, "validation").otherwise("train")
