"""A seed and a number of rows in, reviews as JSON lines in the format of McAuley's Amazon data out.

For demos and tests without a download. The reviews come from a grammar in which the order of words matters: "not bad",
"I expected it to be terrible but it turned out great", "this one is superb, my old one was awful". What a model
scores on them shows whether it uses the order of words; it does not show how well it does on real reviews.
"""

from __future__ import annotations

import dataclasses
import functools
import gzip
import itertools
import json
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

from sentispark.errors import OptionError
from sentispark.options import at_least, between
from sentispark.reviews.generate import lexicon
from sentispark.reviews.generate.grammar import Draft, Draw, draw_draft, draw_stars, pick

__all__ = ["generate_reviews", "write_reviews"]

REVIEWERS = 2_000_000
EPOCH = date(1970, 1, 1)
FIRST_DAY = (date(2003, 1, 1) - EPOCH).days
LAST_DAY = (date(2018, 10, 1) - EPOCH).days
LAST_DAY_OF_2014_RELEASE = (date(2014, 7, 23) - EPOCH).days
NAME_ENDS = ("", " B.", " S.", " M.", ' "reads a lot"', " J. K.", "123")
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"

# How a near-duplicate differs from the original.
CHANGES = (str.lower, lambda text: f"{text} !!", lambda text: text.replace(",", ""), lambda text: f"Update: {text}")
# The ways in which a record is unusable.
BREAKS = (
    lambda record: json.dumps(record)[: -len(record["summary"]) - 60],
    lambda record: json.dumps({key: value for key, value in record.items() if key != "reviewText"}),
    lambda record: json.dumps(record | {"reviewText": "  "}),
    lambda record: json.dumps({key: value for key, value in record.items() if key != "overall"}),
    lambda record: json.dumps(record | {"overall": "NA"}),
    lambda record: json.dumps(record | {"overall": 0.0}),
    lambda record: json.dumps(record | {"overall": 7.0}),
)


def generate_reviews(
    rows: int,
    *,
    first: int = 0,
    seed: int = 0,
    broken_share: float = 0.01,
    duplicate_share: float = 0.03,
    careless_share: float = 0.09,
) -> Iterator[str]:
    """Reviews as JSON lines, without line ends.

    Line i is a function of `seed`, i and the shares, so a longer run begins with the lines of a shorter one. A share
    changes only the lines that it affects: with all three at 0, every review has the stars that its text expresses.

    Parameters
    ----------
    rows : int
        Number of lines, at least 0, broken ones included.
    first : int, default=0
        Index of the first line, at least 0.
    seed : int, default=0
        At least 0.
    broken_share : float, default=0.01
        Share of unusable lines, 0 to 1: cut off, without text, with a blank text, without a rating, or with an
        invalid rating ("NA", 0, 7).
    duplicate_share : float, default=0.03
        Share of lines, 0 to 1, that repeat an earlier row's text, half of them slightly changed, a third with newly
        drawn stars.
    careless_share : float, default=0.09
        Share of lines, 0 to 1, whose stars are drawn independently of the text. A third of them get the wrong label
        (4 stars or more is positive), so the default makes 3 % of the labels wrong.

    Returns
    -------
    Iterator of str
        About 78 % of the usable lines have 4 or 5 stars.

    Raises
    ------
    OptionError
        If an argument is out of range.

    Examples
    --------
    >>> import json
    >>> 1 <= json.loads(next(generate_reviews(1, broken_share=0)))["overall"] <= 5
    True
    """
    shares = {"broken_share": broken_share, "duplicate_share": duplicate_share, "careless_share": careless_share}
    for name, value in {"rows": rows, "first": first, "seed": seed, **shares}.items():
        rule = between(0, 1) if name in shares else at_least(0)
        if not rule.holds(value):
            raise OptionError(f"'{name}' must be {rule.words}. Got {value!r}.")
    return (_line(seed, row, **shares) for row in range(first, first + rows))


def write_reviews(path: str | Path, rows: int, *, files: int = 1, **options: Any) -> list[Path]:
    """Write generated reviews to files whose bytes depend only on the arguments.

    Parameters
    ----------
    path : str or Path
        Ends in ``.jsonl`` or ``.jsonl.gz``. Missing folders are created.
    rows : int
        Number of lines in all files together, at least 0.
    files : int, default=1
        At least 1. With more, ``reviews.jsonl.gz`` becomes ``reviews-000.jsonl.gz``, ``reviews-001.jsonl.gz``, …,
        which hold the same lines in this order.
    **options
        Seed and shares, passed to `generate_reviews`.

    Returns
    -------
    list of Path
        The files, in order.

    Raises
    ------
    OptionError
        If an argument is out of range or the path has another ending. Nothing is written then.
    """
    path = Path(path)
    stem, dot, ending = path.name.rpartition(".jsonl")
    if not stem or ending not in ("", ".gz"):
        raise OptionError(f"'path' must end in .jsonl or .jsonl.gz. Got '{path}'.")
    if not at_least(1).holds(files):
        raise OptionError(f"'files' must be {at_least(1).words}. Got {files!r}.")
    lines = generate_reviews(rows, **options)
    names = [path.name] if files == 1 else [f"{stem}-{number:03d}{dot}{ending}" for number in range(files)]
    paths = [path.with_name(name) for name in names]
    path.parent.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(paths):
        count = rows * (number + 1) // files - rows * number // files
        _write(part, itertools.islice(lines, count), compress=bool(ending))
    return paths


def _write(path: Path, lines: Iterable[str], *, compress: bool) -> None:
    encoded = (f"{line}\n".encode() for line in lines)
    with open(path, "wb") as file:
        if not compress:
            file.writelines(encoded)
            return
        # Without these two arguments the header would contain the file's name and the time.
        with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
            packed.writelines(encoded)


def _line(seed: int, row: int, *, broken_share: float, duplicate_share: float, careless_share: float) -> str:
    draw = _stream(seed, row)
    draft = draw_draft(draw)
    # Drawn for every row, used or not, so that no share affects the draws of another.
    repeats, origin, change, disagrees, careless, breaks, how = (draw() for _ in range(7))
    other_stars = draw_stars(draw)
    repeated = row > 0 and repeats < duplicate_share
    if repeated:
        draft = draw_draft(_stream(seed, int(origin * row)))
        if change < 0.5:
            alter = CHANGES[int(2 * change * len(CHANGES))]
            draft = dataclasses.replace(draft, text=alter(draft.text))
    if careless < careless_share or (repeated and disagrees < 1 / 3):
        draft = dataclasses.replace(draft, stars=other_stars)
    record = _record(draft, draw)
    return BREAKS[int(how * len(BREAKS))](record) if breaks < broken_share else json.dumps(record)


def _stream(seed: int, row: int) -> Draw:
    # `random` is the only method whose numbers Python guarantees to be the same in every version.
    return Random((seed << 40) + row).random


def _record(draft: Draft, draw: Draw) -> dict[str, Any]:
    """The fields of the 2014 release for reviews up to its last day, and of the 2018 release for later ones."""
    record: dict[str, Any] = {
        "reviewerID": "A" + _code(int(REVIEWERS ** draw()), 13),
        "asin": "B0" + _code(draft.product, 8),
    }
    if draw() < 0.9:
        record["reviewerName"] = pick(lexicon.WORDS["first_name"], draw) + pick(NAME_ENDS, draw)
    # The root makes later days more likely, as the number of reviews grew over the years.
    day = FIRST_DAY + int((LAST_DAY - FIRST_DAY) * draw() ** 0.5)
    if day <= LAST_DAY_OF_2014_RELEASE:
        votes = int(30 ** draw()) - 1
        record["helpful"] = [int((votes + 1) * draw()), votes]
    else:
        record["verified"] = draw() < 0.85
    return record | {
        "reviewText": draft.text,
        "overall": float(draft.stars),
        "summary": draft.summary,
        "unixReviewTime": day * 86_400,
        "reviewTime": _written(day),
    }


@functools.cache
def _written(day: int) -> str:
    when = EPOCH + timedelta(days=day)
    return f"{when:%m} {when.day}, {when.year}"


@functools.lru_cache(65_536)
def _code(number: int, width: int) -> str:
    """`width` digits and capitals. The factor, coprime to 36, keeps codes distinct and scatters consecutive numbers."""
    number = number * 105_436_211_940_577_123_451 % 36**width
    return "".join(DIGITS[number // 36**digit % 36] for digit in range(width))
