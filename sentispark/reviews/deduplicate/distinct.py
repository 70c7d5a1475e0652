"""Merges reviews of equal text into one row per text, with its split.

A task that reads reviews spills their words to files and sends a few numbers per review: digest, row id, rating and
split. Spark shuffles only these numbers; the result is the ids of the rows to drop as duplicates.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark import TaskContext
from pyspark.sql import DataFrame

from sentispark.files import Folder
from sentispark.reviews.deduplicate.digest import digests, split_draws
from sentispark.reviews.deduplicate.merge import ReviewKeys, merge_duplicates
from sentispark.reviews.deduplicate.spill import SPILL_SCHEMA, SpillWriter, drop_rows, task_of
from sentispark.reviews.options import ReviewOptions
from sentispark.reviews.polarity import LEFT_OUT, Polarity
from sentispark.reviews.quarantine import QuarantineWriter
from sentispark.reviews.read import Kernel, Reviews
from sentispark.reviews.scale import Scale
from sentispark.reviews.validate import spelled_ratings
from sentispark.spark.arrow import map_batches
from sentispark.spark.exchange import MAX_PARTITIONS, PACKED, Groups, exchanged, groups_of, packed, unpacked
from sentispark.text.kernels import remove_words, tokenize
from sentispark.text.options import TextOptions
from sentispark.text.stopwords import cleaning_for, stop_word_array

__all__ = ["merged_reviews", "split_codes"]

# What tasks send to each other: first the keys of reviews, then the ids of the rows to drop.
_REVIEW = pa.schema(
    [
        ("digest", pa.int64()),
        ("order", pa.int64()),
        ("row_id", pa.int64()),
        ("rating", pa.float64()),
        ("split", pa.int32()),
    ]
)
_ROW_ID = pa.schema([("row_id", pa.int64())])

# Packets of these, interleaved with counts for the driver.
_COUNTS = {
    "rating": pa.string(),
    "reason": pa.string(),
    "split": pa.int32(),
    "label": pa.int32(),
    "rows": pa.int64(),
    "copies": pa.int64(),
    "replaced": pa.int64(),
}
_COUNTED = "rating string, reason string, split int, label int, rows long, copies long, replaced long"
_SENT = f"{PACKED}, {_COUNTED}"

# A task counts this many spellings of ratings; rarer ones may be dropped.
_SPELLINGS = 1000
_LONGEST_SPELLING = 40


def merged_reviews(
    reviews: Reviews, *, spill: Folder, quarantine: Folder, options: ReviewOptions, text: TextOptions
) -> DataFrame:
    """Read and spill all reviews, find the duplicates to drop, and note them beside the spilled reviews.

    Parameters
    ----------
    reviews : Reviews
    spill : Folder
        Receives the words, orders, ratings and splits of the reviews; see `read_spilled`.
    quarantine : Folder
        Receives Parquet files with `reason`, `file` and `record` of each unusable record.
    options : ReviewOptions
    text : TextOptions

    Returns
    -------
    DataFrame
        Evaluating it does the work, so evaluate it only once. Its rows are counts, of one of four kinds:

        - `split` (int) and `label` (int; `LEFT_OUT` if neither positive nor negative): `copies` (long) records were
          merged into `rows` (long) rows;
        - `reason` (string): `copies` records were quarantined for it;
        - `rating` (string): `copies` records have a rating of this spelling;
        - `replaced` (long): this number of characters was replaced in `rows` records; `copies` is 0.

    Raises
    ------
    OptionError
        If `positive_from` or `negative_to` is off the scale.
    """
    tasks, polarity = max(1, len(reviews.tasks)), options.polarity
    # Equal texts meet in a bounded number of partitions; the dropped row ids return to one partition per reading task.
    texts, readers = groups_of(min(tasks, MAX_PARTITIONS)), Groups(tasks, tasks)
    read = reviews.map_records(_reading(spill, quarantine, options, text, texts), _SENT)
    merging = functools.partial(_merged, readers=readers, polarity=polarity)
    merged = exchanged(map_batches(exchanged(read, texts), merging, _SENT), readers)
    return map_batches(merged, functools.partial(_dropped, spill=spill), _COUNTED)


def _dropped(packets: Iterator[pa.RecordBatch], *, spill: Folder) -> Iterator[pa.RecordBatch]:
    """Note the rows to drop of one reading task, and pass on the counts."""
    context = TaskContext.get()
    assert context is not None
    row_ids = [np.zeros(0, np.int64)]
    for batch in packets:
        row_ids += [some.column("row_id").to_numpy() for some in unpacked([batch], _ROW_ID)]
        yield batch.filter(pc.is_valid(batch.column("copies"))).select(list(_COUNTS))
    drop_rows(spill, context.partitionId(), np.concatenate(row_ids))  # partition i belongs to reading task i


def _reading(spill: Folder, quarantine: Folder, options: ReviewOptions, text: TextOptions, groups: Groups) -> Kernel:
    """The function that spills the reviews of a task and sends their keys to the group of their text."""
    scale = options.polarity.scale
    cleaning, stop_words = cleaning_for(text.stop_words), stop_word_array(text.stop_words)

    def keyed(usable: pa.RecordBatch, writer: SpillWriter) -> tuple[np.ndarray, pa.RecordBatch]:
        texts, ratings = usable.column("text"), usable.column("rating")
        words = tokenize(texts, cleaning=cleaning)
        order, digest = np.ascontiguousarray(digests(texts, seed=options.seed).T)
        split = pa.array(split_codes(split_draws(words, texts), options))
        words = words if stop_words is None else remove_words(words, stop_words)
        row_id = writer.append(
            pa.RecordBatch.from_arrays([words, pa.array(order), ratings, split], schema=SPILL_SCHEMA)
        )
        columns = [pa.array(digest), pa.array(order), pa.array(row_id), ratings, split]
        return order % groups.groups, pa.RecordBatch.from_arrays(columns, schema=_REVIEW)

    def run(task: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        writer, quarantined, spellings = SpillWriter(spill, task), QuarantineWriter(quarantine, task), _Spellings(scale)
        usable = (quarantined.remove_unusable(spellings.counted(batch)) for batch in batches)
        yield from map(_sent, packed((keyed(batch, writer) for batch in usable), groups))
        writer.close()
        quarantined.close()
        yield _counts(reason=list(quarantined.reasons), copies=list(quarantined.reasons.values()))
        yield _counts(rows=[quarantined.rows_with_replaced], copies=[0], replaced=[quarantined.characters_replaced])
        yield _counts(rating=list(spellings.counts), copies=list(spellings.counts.values()))

    return run


def split_codes(draws: np.ndarray, options: ReviewOptions) -> np.ndarray:
    """The split of each text by its draw: 0 train, 1 validation, 2 test.

    A text of the test split stays there when `test_share` grows.

    Parameters
    ----------
    draws : ndarray of shape (n,), dtype=float64
    options : ReviewOptions

    Returns
    -------
    ndarray of shape (n,), dtype=int32

    Examples
    --------
    >>> split_codes(np.array([0.05, 0.15, 0.25]), ReviewOptions(test_share=0.1, validation_share=0.1)).tolist()
    [2, 1, 0]
    """
    test = draws < options.test_share
    return np.where(test, 2, draws < options.test_share + options.validation_share).astype(np.int32)


def _merged(packets: Iterator[pa.RecordBatch], *, readers: Groups, polarity: Polarity) -> Iterator[pa.RecordBatch]:
    """Merge the reviews of some texts, which are all in this task. Counts in between are passed on."""
    counts: list[pa.RecordBatch] = []

    def reviews() -> Iterator[ReviewKeys]:
        for batch in packets:
            counted = batch.filter(pc.is_valid(batch.column("copies")))
            counts.append(_counts(**{name: counted.column(name) for name in _COUNTS}))
            for some in unpacked([batch], _REVIEW):
                digest, order, row_id, rating, split = (column.to_numpy() for column in some.columns)
                yield ReviewKeys(digest, order, row_id, rating, split, copies=np.ones(len(some), np.int64))

    for dropped, rows in merge_duplicates(reviews()):
        if rows is not None:
            # Whether a text is left out depends on the most frequent of its ratings.
            labels = polarity.labels(rows.rating)
            dropped = np.concatenate([dropped, rows.row_id[labels == LEFT_OUT]])
            yield _rows_by_split_and_label(rows, labels)
        batch = pa.RecordBatch.from_arrays([pa.array(dropped)], schema=_ROW_ID)
        yield from map(_sent, packed([(task_of(dropped), batch)], readers))
    yield from counts


def _rows_by_split_and_label(rows: ReviewKeys, labels: np.ndarray) -> pa.RecordBatch:
    kinds, kind = np.unique(3 * rows.split + labels - LEFT_OUT, return_inverse=True)
    copies = np.bincount(kind, weights=rows.copies).astype(np.int64)
    return _counts(split=kinds // 3, label=kinds % 3 + LEFT_OUT, rows=np.bincount(kind), copies=copies)


def _sent(packets: pa.RecordBatch) -> pa.RecordBatch:
    """Packets in the schema `_SENT`."""
    nothing = [pa.nulls(len(packets), kind) for kind in _COUNTS.values()]
    return pa.RecordBatch.from_arrays([*packets.columns, *nothing], names=[*packets.schema.names, *_COUNTS])


def _counts(**columns: Sequence[Any] | np.ndarray) -> pa.RecordBatch:
    """Counts in the schema `_SENT`; columns that are not given are null."""
    length = len(columns["copies"])
    arrays = [pa.array(columns.get(name, [None] * length), kind) for name, kind in _COUNTS.items()]
    no_packet = [pa.array(np.zeros(length, np.int32)), pa.nulls(length, pa.binary())]
    return pa.RecordBatch.from_arrays([*no_packet, *arrays], names=["key", "packet", *_COUNTS])


class _Spellings:
    """Counts the spellings of ratings, from which the scale that the ratings are on can be guessed.

    Attributes
    ----------
    counts : Counter
        Rare spellings are missing if there are very many.
    """

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self.counts: Counter[str] = Counter()

    def counted(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """Count the ratings of some records. Returns the records."""
        for rating in pc.value_counts(records.column("rating").drop_null()).to_pylist():
            self.counts[self._scale.spelled(rating["values"])] += rating["counts"]
        outside = pc.equal(records.column("reason"), self._scale.outside_reason).fill_null(False)
        if pc.any(outside).as_py():
            spelled = spelled_ratings(records.column("record").filter(outside))
            self.counts.update(one[:_LONGEST_SPELLING] for one in spelled if one is not None)
        if len(self.counts) > 2 * _SPELLINGS:
            self.counts = Counter(dict(self.counts.most_common(_SPELLINGS)))
        return records
