"""What became of the records that were read, and whether it is enough to go on."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.sql import DataFrame

from sentispark.dataset.manifest import SPLITS
from sentispark.errors import InputError
from sentispark.files import Folder
from sentispark.reviews.options import ReviewOptions
from sentispark.reviews.polarity import LEFT_OUT, one_class_sentence, outside_sentence
from sentispark.spark.causes import collected

__all__ = ["Ratings", "counted", "quarantined_example", "require_fit", "require_usable"]

_EXAMPLE_CHARACTERS = 200

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


def require_usable(read: int, reasons: Mapping[str, int], most: float, example_of: Callable[[str], str]) -> None:
    """Raise `InputError` if more than a share `most` of the records went to the quarantine, or all of them.

    Parameters
    ----------
    read : int
        The records.
    reasons : mapping of str to int
        How many of them could not be used, and why.
    most : float
        The largest share that may be quarantined.
    example_of : callable
        Gives one of the records with a reason.
    """
    bad = sum(reasons.values())
    if bad <= most * read and bad < read:
        return
    why = ", ".join(f"{reason}: {rows}" for reason, rows in sorted(reasons.items())) or "no records"
    if bad == read:
        rule = f"The input must hold a usable review. None of its {read} records is one ({why})."
    else:
        rule = f"At most {most:.4g} of the records may be unusable. {bad} of {read} are ({why})."
    if not bad:
        raise InputError(rule)
    frequent = max(sorted(reasons), key=lambda reason: reasons[reason])
    example = example_of(frequent)
    example = example if len(example) <= _EXAMPLE_CHARACTERS else f"{example[:_EXAMPLE_CHARACTERS]}…"
    raise InputError(
        f"{rule} Check the format of the files and the names of the text and the rating column. "
        f"A record with '{frequent}': {example}"
    )


def quarantined_example(quarantine: Folder, reason: str) -> str:
    """One of the records that `merged_reviews` put into a folder for a reason."""
    for name in quarantine.names():
        with quarantine.open(name) as file:
            table = pq.read_table(file, columns=["reason", "record"])
        found = table.filter(pc.equal(table.column("reason"), reason)).column("record")
        if len(found):
            return str(found[0].as_py())
    return ""


def require_fit(
    options: ReviewOptions, counts: dict[str, Any], ratings: Ratings, quarantine: Folder, *, one_class_will_do: bool
) -> None:
    """Raise `InputError` unless enough records can be used and their ratings are those of the scale.

    Parameters
    ----------
    options : ReviewOptions
    counts : dict
    ratings : Ratings
        Both of `counted`.
    quarantine : Folder
        Where the records are that cannot be used.
    one_class_will_do : bool
        Whether rows of one class, or none that train, are no more than a warning.
    """
    polarity = options.polarity
    outside = counts["quarantine_reasons"].get(polarity.scale.outside, 0)
    if sentence := outside_sentence(polarity, ratings.seen, inside=ratings.inside, outside=outside):
        raise InputError(sentence)
    example_of = functools.partial(quarantined_example, quarantine)
    require_usable(counts["rows_read"], counts["quarantine_reasons"], options.max_quarantined, example_of)
    rows = counts["rows_written"]
    if not sum(rows.values()) or not (one_class_will_do or rows["train"]):
        raise InputError(_nothing_to_train(counts))
    if sentence := one_class_sentence(polarity, ratings.seen, ratings.rows):
        if not one_class_will_do:
            raise InputError(sentence)
        _log.warning(sentence)


def _nothing_to_train(counts: dict[str, Any]) -> str:
    if not sum(counts["rows_written"].values()):
        return (
            f"The input must hold positive or negative reviews. All {counts['rows_left_out']} texts are neither. "
            "Check '--negative-to' and '--positive-from'."
        )
    return "The input must hold enough reviews for a training split. It holds too few: add files or lower the shares."
