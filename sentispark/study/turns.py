"""Ways to do the same that take turns, and what their seconds say: ratios, and which costs grow with rows."""

from __future__ import annotations

import functools
import logging
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["FEW", "Way", "at_two_sizes", "costs", "in_turns", "median_ratio"]

_log = logging.getLogger(__name__)

# Of the files this share is taken where few rows are.
FEW = 8

# From the paths of files to the seconds that count, None for all that passed.
Way = Callable[[Sequence[str]], float | None]


def in_turns(ways: dict[Any, Callable[[], float | None]], *, times: int) -> dict[Any, list[float]]:
    """Seconds of each way, run in turns; the first turn is not counted. A way may give the seconds that count."""
    seconds: dict[Any, list[float]] = {name: [] for name in ways}
    for turn in range(times + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            own = way()
            took = time.perf_counter() - started if own is None else own
            _log.info("%s: %.2f s%s", name, took, "" if turn else " (not counted)")
            if turn:
                seconds[name].append(took)
    return seconds


def median_ratio(seconds: dict[str, list[float]], slower: str, faster: str) -> float:
    """How many times as long one way takes as the other: the median over turns of the ratios within a turn."""
    return statistics.median(a / b for a, b in zip(seconds[slower], seconds[faster], strict=True))


def at_two_sizes(
    ways: dict[str, Way], paths: Sequence[str], rows: int, *, times: int
) -> tuple[dict[str, list[float]], dict[str, dict[str, float]]]:
    """Seconds of each way by turn, with all rows; and its costs, from those with an eighth of the files as well."""
    few = paths[: max(1, len(paths) // FEW)]
    asked = {}
    for name, way in ways.items():
        asked[name, len(few)] = functools.partial(way, few)
        asked[name, len(paths)] = functools.partial(way, paths)
    seconds = in_turns(asked, times=times)
    few_rows = rows * len(few) // len(paths)
    found = {name: costs(seconds[name, len(few)], seconds[name, len(paths)], few_rows, rows) for name in ways}
    return {name: seconds[name, len(paths)] for name in ways}, found


def costs(few: Sequence[float], many: Sequence[float], few_rows: int, many_rows: int) -> dict[str, float]:
    """What a run costs whatever its rows, and what a further row costs: the line through two sizes, median over turns.

    Returns
    -------
    dict
        `fixed_seconds` and `microseconds_per_row`.
    """
    slopes = [(b - a) / (many_rows - few_rows) for a, b in zip(few, many, strict=True)]
    fixed = [a - slope * few_rows for a, slope in zip(few, slopes, strict=True)]
    return {"fixed_seconds": statistics.median(fixed), "microseconds_per_row": statistics.median(slopes) * 1e6}
