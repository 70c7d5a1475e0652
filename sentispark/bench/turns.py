"""Time contenders in turns; derive ratios, fixed costs and costs per row from their seconds."""

from __future__ import annotations

import functools
import logging
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

__all__ = ["FEW", "Contender", "at_two_sizes", "costs", "in_turns", "median_ratio"]

_log = logging.getLogger(__name__)

# A short run takes 1 / FEW of the files.
FEW = 8

# From the paths of files to the seconds to report, or None to report the duration of the call.
Contender = Callable[[Sequence[str]], float | None]

Name = TypeVar("Name")


def in_turns(contenders: Mapping[Name, Callable[[], float | None]], *, times: int) -> dict[Name, list[float]]:
    """Seconds of each contender by turn, after a warm-up turn that is not counted.

    Parameters
    ----------
    contenders : mapping of callables
        Each returns the seconds to report, or None to report the duration of the call.
    times : int
        Timed turns.
    """
    seconds: dict[Name, list[float]] = {name: [] for name in contenders}
    for turn in range(times + 1):
        for name, contender in contenders.items():
            started = time.perf_counter()
            own = contender()
            took = time.perf_counter() - started if own is None else own
            _log.info("%s: %.2f s%s", name, took, "" if turn else " (not counted)")
            if turn:
                seconds[name].append(took)
    return seconds


def median_ratio(seconds: Mapping[str, Sequence[float]], slower: str, faster: str) -> float:
    """The seconds of one contender over those of another: the median over turns of the ratio within a turn.

    >>> median_ratio({"slow": [2.0, 9.0, 4.0], "fast": [1.0, 1.0, 2.0]}, "slow", "fast")
    2.0
    """
    return statistics.median(a / b for a, b in zip(seconds[slower], seconds[faster], strict=True))


def at_two_sizes(
    contenders: Mapping[str, Contender], paths: Sequence[str], rows: int, *, times: int
) -> tuple[dict[str, list[float]], dict[str, dict[str, float]]]:
    """Run each contender on all files and on an eighth of them, in the same turns.

    Returns
    -------
    seconds : dict of str to list of float
        With all files, by contender and turn.
    costs : dict of str to dict
        By contender; see `costs`.
    """
    few = paths[: max(1, len(paths) // FEW)]
    runs: dict[tuple[str, int], Callable[[], float | None]] = {}
    for name, contender in contenders.items():
        runs[name, len(few)] = functools.partial(contender, few)
        runs[name, len(paths)] = functools.partial(contender, paths)
    seconds = in_turns(runs, times=times)
    few_rows = rows * len(few) // len(paths)
    found = {name: costs(seconds[name, len(few)], seconds[name, len(paths)], few_rows, rows) for name in contenders}
    return {name: seconds[name, len(paths)] for name in contenders}, found


def costs(few: Sequence[float], many: Sequence[float], few_rows: int, many_rows: int) -> dict[str, float]:
    """The line through the seconds with few and with many rows in a turn: medians over the turns.

    Returns
    -------
    dict
        `fixed_seconds`, the cost of a run without rows, and `microseconds_per_row`, the cost of each row.
    """
    slopes = [(b - a) / (many_rows - few_rows) for a, b in zip(few, many, strict=True)]
    fixed = [a - slope * few_rows for a, slope in zip(few, slopes, strict=True)]
    return {"fixed_seconds": statistics.median(fixed), "microseconds_per_row": statistics.median(slopes) * 1e6}
