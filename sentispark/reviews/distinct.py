"""Reviews to one row a distinct text, with its split; the texts themselves stay where they were read.

A task that reads reviews keeps their words in files and hands on a few numbers a review: digest, place, rating. What
Spark shuffles are these numbers, and what comes of them is which places are dropped, as others hold the same text.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from sentispark.files import Folder
from sentispark.reviews.digest import digests, split_draws
from sentispark.reviews.kept import KEPT, KeptWriter, task_of
from sentispark.reviews.merge import Numbered, merge_duplicates
from sentispark.reviews.options import ReviewOptions
from sentispark.reviews.read import Reviews
from sentispark.spark.arrow import map_batches
from sentispark.spark.placement import placed
from sentispark.text.kernels import tokenize, without
from sentispark.text.options import TextOptions
from sentispark.text.stopwords import cleaning_for, stop_word_array

__all__ = ["merged_reviews", "split_codes"]

_NUMBERED = "reason string, digest long, order long, place long, rating double, split int, times long"
_MERGED = "task long, place long, reason string, split int, rows long, copies long"

_QUARANTINE_BYTES = 32 << 20


def merged_reviews(
    reviews: Reviews, *, kept: Folder, quarantine: Folder, options: ReviewOptions, text: TextOptions
) -> DataFrame:
    """Read and keep all reviews, and find those that are dropped because others hold the same text.

    Parameters
    ----------
    reviews : Reviews
    kept : Folder
        Gets the words, orders, ratings and splits of the reviews; see `read_kept`.
    quarantine : Folder
        Gets Parquet files with `reason`, `file` and `record` of each record that cannot be used.
    options : ReviewOptions
    text : TextOptions

    Returns
    -------
    DataFrame
        `task` long, each task's rows in a partition of its own, and of three kinds. With a `place` (long), ascending:
        a review that is dropped. With `copies` (long): that many records of one `split` (int) became so many `rows`,
        or were put into the quarantine for a `reason` (string). All null: a task, so that each has at least one row.
    """
    tasks = max(1, len(reviews.tasks))
    numbered = reviews.through(_numbering(kept, quarantine, options, text), _NUMBERED)
    merged = map_batches(numbered.repartition(tasks, "reason", "digest", "order"), _merged, _MERGED)
    every_task = reviews.spark.range(tasks).select(
        F.col("id").alias("task"), *(F.lit(None).cast(kind).alias(name) for name, kind in _columns(_MERGED)[1:])
    )
    rows = merged.unionByName(every_task)
    return rows.repartition(tasks, placed(F.col("task"), tasks)).sortWithinPartitions("place")


def _columns(schema: str) -> list[tuple[str, str]]:
    return [tuple(column.split()) for column in schema.split(", ")]


def _numbering(kept: Folder, quarantine: Folder, options: ReviewOptions, text: TextOptions):
    """The function that keeps the reviews of a task and gives them as numbers."""
    cleaning, stop_words = cleaning_for(text.stop_words), stop_word_array(text.stop_words)

    def run(task: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        writer, bad = KeptWriter(kept, task), _QuarantineWriter(quarantine, task)
        for batch in batches:
            usable = pc.is_null(batch.column("reason"))
            texts, ratings = (batch.column(name).filter(usable) for name in ("text", "rating"))
            if len(texts) < len(batch):
                bad.append(batch.filter(pc.invert(usable)))
                yield _counted(batch.column("reason"))
            words = tokenize(texts, cleaning=cleaning)
            order, digest = map(pa.array, np.ascontiguousarray(digests(texts, seed=options.seed).T))
            split = pa.array(split_codes(split_draws(words, texts), options))
            words = words if stop_words is None else without(words, stop_words)
            place = writer.append(pa.RecordBatch.from_arrays([words, order, ratings, split], schema=KEPT))
            once = pa.array(np.ones(len(place), np.int64))
            yield _batch(_NUMBERED, digest=digest, order=order, place=place, rating=ratings, split=split, times=once)
        writer.close()
        bad.close()

    return run


def split_codes(draws: np.ndarray, options: ReviewOptions) -> np.ndarray:
    """The split (0 train, 1 validation, 2 test; int32) of each text by its draw. More test rows take none out of it."""
    test = draws < options.test_share
    return np.where(test, 2, draws < options.test_share + options.validation_share).astype(np.int32)


def _counted(reasons: pa.StringArray) -> pa.RecordBatch:
    reason, times = pc.value_counts(reasons.drop_null()).flatten()
    return _batch(_NUMBERED, reason=reason, times=times)


def _merged(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """What becomes of the reviews of some texts, all of them in this task, and the counts of other records."""

    def usable() -> Iterator[Numbered]:
        for batch in batches:
            is_review = pc.is_null(batch.column("reason"))
            counted.append(batch.filter(pc.invert(is_review)).select(["reason", "times"]))
            columns = batch.filter(is_review).select(Numbered._fields).columns
            yield Numbered(*(column.to_numpy() for column in columns))

    counted: list[pa.RecordBatch] = []
    for dropped, rows in merge_duplicates(usable()):
        yield _batch(_MERGED, task=task_of(dropped), place=dropped)
        if rows is not None:
            splits, number = np.unique(rows.split, return_counts=True)
            copies = [rows.times[rows.split == split].sum() for split in splits]
            yield _batch(_MERGED, task=np.zeros(len(splits), np.int64), split=splits, rows=number, copies=copies)
    for batch in counted:
        yield _batch(
            _MERGED, task=np.zeros(len(batch), np.int64), reason=batch.column("reason"), copies=batch.column("times")
        )


_ARROW = {"string": pa.string(), "long": pa.int64(), "int": pa.int32(), "double": pa.float64()}


def _batch(schema: str, **columns: Iterable) -> pa.RecordBatch:
    """A batch of the schema's columns; those that are not given are null."""
    length = len(next(iter(columns.values())))
    arrays = [
        pa.array(columns[name], _ARROW[kind]) if name in columns else pa.nulls(length, _ARROW[kind])
        for name, kind in _columns(schema)
    ]
    return pa.RecordBatch.from_arrays(arrays, names=[name for name, _ in _columns(schema)])


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
