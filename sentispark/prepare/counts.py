"""Counts of the records that were read, by what became of them, and the checks that enough of them are usable."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import Row

from sentispark.dataset.manifest import SPLITS
from sentispark.errors import InputError
from sentispark.files import Folder
from sentispark.reviews.options import ReviewOptions
from sentispark.reviews.polarity import LEFT_OUT, off_scale_message, one_class_message

__all__ = ["Ratings", "count_records", "quarantined_example", "require_trainable", "require_usable"]

_EXAMPLE_CHARACTERS = 200

_log = logging.getLogger(__name__)


class Ratings(NamedTuple):
    """The ratings that were read.

    Attributes
    ----------
    seen : Counter
        The count of each spelling; rare ones are missing if there are very many.
    inside : int
        Number of ratings on the scale.
    rows : dict of str to (int, int)
        Number of negative and positive rows to be written, by split.
    """

    seen: Counter[str]
    inside: int
    rows: dict[str, tuple[int, int]]


def count_records(rows: Iterable[Row]) -> tuple[dict[str, Any], Ratings]:
    """Count the records by what became of them, and their ratings.

    Parameters
    ----------
    rows : iterable of Row
        Those of `merged_reviews`.

    Returns
    -------
    dict
        `rows_read, rows_quarantined, quarantine_reasons, duplicates_merged, rows_left_out, rows_with_replaced,
        characters_replaced, rows_written`; `rows_written` by split.
    Ratings
    """
    seen: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    labeled: Counter[tuple[str, int]] = Counter()
    merged = rows_with_replaced = characters_replaced = 0
    # There are a few of these rows per task; summing them in Spark would take longer.
    for line in rows:
        if line.rating is not None:
            seen[line.rating] += line.copies
        elif line.replaced is not None:
            rows_with_replaced += line.rows
            characters_replaced += line.replaced
        elif line.reason is not None:
            reasons[line.reason] += line.copies
        else:
            labeled[SPLITS[line.split], line.label] += line.rows
            merged += line.copies - line.rows
    counts = {
        "rows_read": reasons.total() + merged + labeled.total(),
        "rows_quarantined": reasons.total(),
        "quarantine_reasons": dict(sorted(reasons.items())),
        "duplicates_merged": merged,
        "rows_left_out": sum(labeled[split, LEFT_OUT] for split in SPLITS),
        "rows_with_replaced": rows_with_replaced,
        "characters_replaced": characters_replaced,
        "rows_written": {split: labeled[split, 0] + labeled[split, 1] for split in SPLITS},
    }
    return counts, Ratings(
        seen, merged + labeled.total(), {split: (labeled[split, 0], labeled[split, 1]) for split in SPLITS}
    )


def require_usable(read: int, reasons: Mapping[str, int], most: float, example_of: Callable[[str], str]) -> None:
    """Raise `InputError` if all records were quarantined, or a larger share of them than `most`.

    Parameters
    ----------
    read : int
        Number of records.
    reasons : mapping of str to int
        Number of quarantined records by reason.
    most : float
        The largest share that may be quarantined, 0 to 1.
    example_of : callable
        Returns a record that was quarantined for a reason.
    """
    bad = sum(reasons.values())
    if bad <= most * read and bad < read:
        return
    why = ", ".join(f"{reason}: {rows}" for reason, rows in sorted(reasons.items())) or "no records"
    if bad == read:
        rule = f"The input must hold a usable review. None of its {read} records is usable ({why})."
    else:
        rule = f"At most {most:.4g} of the records may be unusable. {bad} of {read} are ({why})."
    if not bad:
        raise InputError(rule)
    frequent = max(sorted(reasons), key=lambda reason: reasons[reason])
    example = example_of(frequent)
    example = example if len(example) <= _EXAMPLE_CHARACTERS else f"{example[:_EXAMPLE_CHARACTERS]}…"
    raise InputError(
        f"{rule} Check the format of the files and the names of the text and rating columns. "
        f"A record with '{frequent}': {example}"
    )


def quarantined_example(quarantine: Folder, reason: str) -> str:
    """A record that `merged_reviews` quarantined for a reason; empty if there is none."""
    for name in quarantine.names():
        with quarantine.open(name) as file:
            table = pq.read_table(file, columns=["reason", "record"])
        found = table.filter(pc.equal(table.column("reason"), reason)).column("record")
        if len(found):
            return str(found[0].as_py())
    return ""


def require_trainable(
    options: ReviewOptions, counts: dict[str, Any], ratings: Ratings, quarantine: Folder, *, allow_one_class: bool
) -> None:
    """Raise `InputError` unless enough records are usable, their ratings are on the scale, and both classes occur.

    Parameters
    ----------
    options : ReviewOptions
    counts : dict
    ratings : Ratings
        Both from `count_records`.
    quarantine : Folder
        The folder of the unusable records.
    allow_one_class : bool
        Whether rows of a single class are a warning and an empty training split is allowed.
    """
    polarity = options.polarity
    outside = counts["quarantine_reasons"].get(polarity.scale.outside_reason, 0)
    if sentence := off_scale_message(polarity, ratings.seen, inside=ratings.inside, outside=outside):
        raise InputError(sentence)
    example_of = functools.partial(quarantined_example, quarantine)
    require_usable(counts["rows_read"], counts["quarantine_reasons"], options.max_quarantined, example_of)
    rows = counts["rows_written"]
    if not sum(rows.values()) or not (allow_one_class or rows["train"]):
        raise InputError(_nothing_to_train(counts))
    if sentence := one_class_message(polarity, ratings.seen, ratings.rows):
        if not allow_one_class:
            raise InputError(sentence)
        _log.warning(sentence)


def _nothing_to_train(counts: dict[str, Any]) -> str:
    if not sum(counts["rows_written"].values()):
        return (
            f"The input must hold positive or negative reviews. All {counts['rows_left_out']} texts are neither. "
            "Check '--negative-to' and '--positive-from'."
        )
    return (
        "The input must hold enough reviews for a training split. It holds too few. "
        "Add files, or lower the shares of the validation and test splits."
    )
