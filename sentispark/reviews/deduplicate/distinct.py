"""Reviews to one row a distinct text, with its split; the texts themselves stay where they were read.

A task that reads reviews keeps their words in files and hands on a few numbers a review: digest, place, rating. What
Spark shuffles are these numbers, and what comes of them is which places are dropped, as others hold the same text.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from sentispark.files import Folder
from sentispark.reviews.deduplicate.digest import digests, split_draws
from sentispark.reviews.deduplicate.kept import KEPT, KeptWriter, task_of
from sentispark.reviews.deduplicate.merge import Numbered, merge_duplicates
from sentispark.reviews.judge import spelled_ratings
from sentispark.reviews.options import ReviewOptions
from sentispark.reviews.polarity import LEFT_OUT, Polarity
from sentispark.reviews.quarantine import QuarantineWriter
from sentispark.reviews.read import Kernel, Reviews
from sentispark.reviews.scale import Scale
from sentispark.spark.arrow import map_batches
from sentispark.spark.exchange import MOST_PARTITIONS, PACKED, Groups, exchanged, groups_of, packed, unpacked
from sentispark.text.kernels import tokenize, without
from sentispark.text.options import TextOptions
from sentispark.text.stopwords import cleaning_for, stop_word_array

__all__ = ["dropped_places", "merged_reviews", "split_codes"]

# What is sent to other tasks: a review, and later the place of one that is dropped.
_REVIEW = pa.schema(
    [
        ("digest", pa.int64()),
        ("order", pa.int64()),
        ("place", pa.int64()),
        ("rating", pa.float64()),
        ("split", pa.int32()),
    ]
)
_PLACE = pa.schema([("place", pa.int64())])

# Packages of these, and between them counts for the driver.
_COUNTS = {
    "rating": pa.string(),
    "reason": pa.string(),
    "split": pa.int32(),
    "label": pa.int32(),
    "rows": pa.int64(),
    "copies": pa.int64(),
    "replaced": pa.int64(),
}
_SENT = f"{PACKED}, rating string, reason string, split int, label int, rows long, copies long, replaced long"

# Of the ratings that a task has read, each spelling is counted for so many of the most frequent.
_SPELLINGS = 1000
_LONGEST_SPELLING = 40


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
        A partition for each task of `reviews`, for `dropped_places`, with some rows that count: that many `copies`
        (long) of records of one `split` (int) and `label` (int; `LEFT_OUT` for those whose text is neither positive
        nor negative, and dropped) became so many `rows` (long); or were put into the quarantine for a `reason`
        (string); or, beside all these, had a `rating` that is spelled so (string). With no copies, so many characters
        were `replaced` (long) in so many `rows`, as their bytes are no text. `copies` is null in all other rows.

    Raises
    ------
    OptionError
        If `positive_from` or `negative_to` is not on the scale.
    """
    tasks, polarity = max(1, len(reviews.tasks)), options.polarity
    # The tasks' own places come back to a partition each; equal texts meet in partitions of a bounded number.
    texts, places = groups_of(min(tasks, MOST_PARTITIONS)), Groups(tasks, tasks)
    read = reviews.through(_reading(kept, quarantine, options, text, texts), _SENT)
    merging = functools.partial(_merged, places=places, polarity=polarity)
    return exchanged(map_batches(exchanged(read, texts), merging, _SENT), places)


def dropped_places(packages: Iterable[pa.RecordBatch]) -> np.ndarray:
    """The places of a task's reviews that are dropped, int64, ascending, from its partition of `merged_reviews`."""
    places = [batch.column("place").to_numpy() for batch in unpacked(packages, _PLACE)]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *places]))


def _reading(kept: Folder, quarantine: Folder, options: ReviewOptions, text: TextOptions, groups: Groups) -> Kernel:
    """The function that keeps the reviews of a task and sends them, as numbers, to the group of their text."""
    scale = options.polarity.scale
    cleaning, stop_words = cleaning_for(text.stop_words), stop_word_array(text.stop_words)

    def numbered(usable: pa.RecordBatch, writer: KeptWriter) -> tuple[np.ndarray, pa.RecordBatch]:
        texts, ratings = usable.column("text"), usable.column("rating")
        words = tokenize(texts, cleaning=cleaning)
        order, digest = np.ascontiguousarray(digests(texts, seed=options.seed).T)
        split = pa.array(split_codes(split_draws(words, texts), options))
        words = words if stop_words is None else without(words, stop_words)
        place = writer.append(pa.RecordBatch.from_arrays([words, pa.array(order), ratings, split], schema=KEPT))
        columns = [pa.array(digest), pa.array(order), pa.array(place), ratings, split]
        return order % groups.groups, pa.RecordBatch.from_arrays(columns, schema=_REVIEW)

    def run(task: int, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        writer, bad, seen = KeptWriter(kept, task), QuarantineWriter(quarantine, task), _Spellings(scale)
        usable = (numbered(bad.take_out(seen.of(batch)), writer) for batch in batches)
        yield from map(_sent, packed(usable, groups))
        writer.close()
        bad.close()
        yield _counts(reason=list(bad.reasons), copies=list(bad.reasons.values()))
        yield _counts(rows=[bad.rows_with_replaced], copies=[0], replaced=[bad.characters_replaced])
        yield _counts(rating=list(seen.counts), copies=list(seen.counts.values()))

    return run


def split_codes(draws: np.ndarray, options: ReviewOptions) -> np.ndarray:
    """The split (0 train, 1 validation, 2 test; int32) of each text by its draw. More test rows take none out of it."""
    test = draws < options.test_share
    return np.where(test, 2, draws < options.test_share + options.validation_share).astype(np.int32)


def _merged(packages: Iterator[pa.RecordBatch], *, places: Groups, polarity: Polarity) -> Iterator[pa.RecordBatch]:
    """What becomes of the reviews of some texts, all of them in this task; counts that come by are handed on."""
    counts: list[pa.RecordBatch] = []

    def reviews() -> Iterator[Numbered]:
        for batch in packages:
            counted = batch.filter(pc.is_valid(batch.column("copies")))
            counts.append(_counts(**{name: counted.column(name) for name in _COUNTS}))
            for some in unpacked([batch], _REVIEW):
                digest, order, place, rating, split = (column.to_numpy() for column in some.columns)
                yield Numbered(digest, order, place, rating, split, times=np.ones(len(some), np.int64))

    for dropped, rows in merge_duplicates(reviews()):
        if rows is not None:
            # Whether a text is left out is known when the most frequent of its ratings is.
            labels = polarity.labels(rows.rating)
            dropped = np.concatenate([dropped, rows.place[labels == LEFT_OUT]])
            yield _rows_by_split_and_label(rows, labels)
        batch = pa.RecordBatch.from_arrays([pa.array(dropped)], schema=_PLACE)
        yield from map(_sent, packed([(task_of(dropped), batch)], places))
    yield from counts


def _rows_by_split_and_label(rows: Numbered, labels: np.ndarray) -> pa.RecordBatch:
    kinds, kind = np.unique(3 * rows.split + labels - LEFT_OUT, return_inverse=True)
    copies = np.bincount(kind, weights=rows.times).astype(np.int64)
    return _counts(split=kinds // 3, label=kinds % 3 + LEFT_OUT, rows=np.bincount(kind), copies=copies)


def _sent(packages: pa.RecordBatch) -> pa.RecordBatch:
    """Packages as `_SENT` has them."""
    nothing = [pa.nulls(len(packages), kind) for kind in _COUNTS.values()]
    return pa.RecordBatch.from_arrays([*packages.columns, *nothing], names=[*packages.schema.names, *_COUNTS])


def _counts(**columns: Sequence[Any] | np.ndarray) -> pa.RecordBatch:
    """Counts as `_SENT` has them; columns that are not given are null."""
    length = len(columns["copies"])
    arrays = [pa.array(columns.get(name, [None] * length), kind) for name, kind in _COUNTS.items()]
    nowhere = [pa.array(np.zeros(length, np.int32)), pa.nulls(length, pa.binary())]
    return pa.RecordBatch.from_arrays([*nowhere, *arrays], names=["key", "package", *_COUNTS])


class _Spellings:
    """How often each rating occurs, as it is spelled: what tells the scale that ratings are really on.

    Attributes
    ----------
    counts : Counter
        The rarest of very many are left out.
    """

    def __init__(self, scale: Scale) -> None:
        self._scale = scale
        self.counts: Counter[str] = Counter()

    def of(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """Count the ratings of some records, which it gives back."""
        for rating in pc.value_counts(records.column("rating").drop_null()).to_pylist():
            self.counts[self._scale.spelled(rating["values"])] += rating["counts"]
        outside = pc.equal(records.column("reason"), self._scale.outside).fill_null(False)
        if pc.any(outside).as_py():
            spelled = spelled_ratings(records.column("record").filter(outside))
            self.counts.update(one[:_LONGEST_SPELLING] for one in spelled if one is not None)
        if len(self.counts) > 2 * _SPELLINGS:
            self.counts = Counter(dict(self.counts.most_common(_SPELLINGS)))
        return records
