"""What became of the records that were read, and whether it is enough to go on."""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any, NamedTuple

from pyspark.sql import DataFrame

from sentispark.dataset.manifest import SPLITS
from sentispark.errors import InputError
from sentispark.reviews.polarity import LEFT_OUT, Polarity, one_class_sentence, outside_sentence
from sentispark.spark.causes import collected

__all__ = ["Ratings", "counted", "require_fit"]

_log = logging.getLogger(__name__)


class Ratings(NamedTuple):
    """The ratings that were read.

    Attributes
    ----------
    seen : Counter
        How often each was read, as it was spelled; the rarest of very many are missing.
    inside : int
        How many were on the scale.
    rows : dict of str to (int, int)
        The negative and the positive rows of each split that will be written.
    """

    seen: Counter[str]
    inside: int
    rows: dict[str, tuple[int, int]]


def counted(rows: DataFrame) -> tuple[dict[str, Any], Ratings]:
    """What became of the records, and what their ratings are.

    Parameters
    ----------
    rows : DataFrame
        What `merged_reviews` gave.

    Returns
    -------
    dict
        `rows_read, rows_quarantined, quarantine_reasons, duplicates_merged, rows_left_out, rows_with_replaced,
        characters_replaced, rows_written`; the rows written are by split.
    Ratings
    """
    seen: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    labelled: Counter[tuple[str, int]] = Counter()
    merged = rows_with_replaced = characters_replaced = 0
    # A few lines a task: Spark would take longer to add them up.
    lines = rows.where("copies IS NOT NULL").select("rating", "reason", "split", "label", "rows", "copies", "replaced")
    for line in collected(lines):
        if line.rating is not None:
            seen[line.rating] += line.copies
        elif line.replaced is not None:
            rows_with_replaced += line.rows
            characters_replaced += line.replaced
        elif line.reason is not None:
            reasons[line.reason] += line.copies
        else:
            labelled[SPLITS[line.split], line.label] += line.rows
            merged += line.copies - line.rows
    counts = {
        "rows_read": reasons.total() + merged + labelled.total(),
        "rows_quarantined": reasons.total(),
        "quarantine_reasons": dict(sorted(reasons.items())),
        "duplicates_merged": merged,
        "rows_left_out": sum(labelled[split, LEFT_OUT] for split in SPLITS),
        "rows_with_replaced": rows_with_replaced,
        "characters_replaced": characters_replaced,
        "rows_written": {split: labelled[split, 0] + labelled[split, 1] for split in SPLITS},
    }
    return counts, Ratings(
        seen, merged + labelled.total(), {split: (labelled[split, 0], labelled[split, 1]) for split in SPLITS}
    )


def require_fit(polarity: Polarity, counts: dict[str, Any], ratings: Ratings, *, one_class_will_do: bool) -> None:
    """Raise `InputError` unless there are rows to write and their ratings are those of the scale.

    Parameters
    ----------
    polarity : Polarity
    counts : dict
    ratings : Ratings
        Both of `counted`.
    one_class_will_do : bool
        Whether rows of one class, or none that train, are no more than a warning.
    """
    outside = counts["quarantine_reasons"].get(polarity.scale.outside, 0)
    if sentence := outside_sentence(polarity, ratings.seen, inside=ratings.inside, outside=outside):
        raise InputError(sentence)
    rows = counts["rows_written"]
    if not sum(rows.values()) or not (one_class_will_do or rows["train"]):
        raise InputError(_nothing_usable(counts))
    if sentence := one_class_sentence(polarity, ratings.seen, ratings.rows):
        if not one_class_will_do:
            raise InputError(sentence)
        _log.warning(sentence)


def _nothing_usable(counts: dict[str, Any]) -> str:
    if sum(counts["rows_written"].values()):
        return (
            "The input must hold enough reviews for a training split. It holds too few: add files or lower the shares."
        )
    if left_out := counts["rows_left_out"]:
        return (
            f"The input must hold positive or negative reviews. All {left_out} texts are neither. "
            "Check '--negative-to' and '--positive-from'."
        )
    reasons = ", ".join(f"{reason}: {rows}" for reason, rows in counts["quarantine_reasons"].items()) or "no records"
    return (
        f"The input must hold a usable review. None of its {counts['rows_read']} records is one ({reasons}). "
        "Check the names of the text and the rating column."
    )
