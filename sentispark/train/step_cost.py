"""What a step of n rows costs a rank, a + b·n seconds: found from measured times, and turned into batch sizes.

On a GPU an LSTM's cost is mostly `a`: a step of few rows takes as long as one of many. A rule that knows only speeds
(n ∝ n/t, the 2019 system's) then converges slowly. With a and b known, the best sizes are those with which all ranks
finish together (*equal finish*): T = (B + Σ a/b) / Σ 1/b and n = (T - a) / b.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["SAME_SIZE", "equal_finish", "fit_cost_line", "relative_step_times"]

# Two batch sizes that differ by a smaller share reveal nothing about a and b.
SAME_SIZE = 0.05
# The share of a rank's step that grows with its rows: measured shares below are noise.
_LEAST_SHARE = 0.2
# Of normal values: the standard deviation over the median absolute deviation, 1 / Φ⁻¹(3/4), and the standard error of
# the median over that of the mean, √(π/2) (Rousseeuw and Croux 1993, doi:10.1080/01621459.1993.10476408).
_DEVIATIONS_PER_MAD, _MEDIAN_ERROR = 1.4826, 1.2533


def equal_finish(fixed: np.ndarray, per_row: np.ndarray, rows: int, *, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The sizes, int64 of shape (W,), that sum to `rows` and minimize the largest fixed + per_row · size.

    Two ranks, of which the second takes three times as long for a row:

    >>> low, high = np.array([1, 1]), np.array([40, 40])
    >>> equal_finish(np.zeros(2), np.array([0.01, 0.03]), 40, low=low, high=high).tolist()
    [30, 10]

    Parameters
    ----------
    fixed, per_row : ndarray of shape (W,)
        Seconds; `per_row` above 0.
    rows : int
    low, high : ndarray of shape (W,), dtype=int64
        Bounds of each size; `rows` lies between their sums.
    """
    below, above = float((fixed + per_row * low).min()), float((fixed + per_row * high).max())
    for _ in range(60):  # more than the bits of a double
        finish = (below + above) / 2
        reached = np.floor(np.clip((finish - fixed) / per_row, low, high)).sum()
        below, above = (finish, above) if reached <= rows else (below, finish)
    sizes: np.ndarray = np.floor(np.clip((below - fixed) / per_row, low, high)).astype(np.int64)
    for _ in range(rows - int(sizes.sum())):
        sizes[np.argmin(np.where(sizes < high, fixed + per_row * (sizes + 1), np.inf))] += 1
    return sizes


def relative_step_times(seconds: np.ndarray) -> tuple[np.ndarray, float]:
    """How long a step takes each rank compared with the others, and the largest standard error of that, as a share.

    Each step's times are divided by their geometric mean over the ranks, so that steps with more work for all ranks
    count the same as others. The result is the median of these quotients over the steps; its error is that of normal
    values whose spread follows from the median absolute deviation, so a few outliers do not count.

    Parameters
    ----------
    seconds : ndarray of shape (steps, W)
        Above 0.

    Returns
    -------
    times : ndarray of shape (W,)
    error : float
    """
    quotients = seconds / np.exp(np.log(seconds).mean(axis=1, keepdims=True))
    times = np.median(quotients, axis=0)
    spread = _DEVIATIONS_PER_MAD * np.median(np.abs(quotients - times), axis=0)
    return times, float((_MEDIAN_ERROR * spread / times).max() / np.sqrt(len(seconds)))


def fit_cost_line(points: Sequence[tuple[float, float]], share: float) -> tuple[float, float]:
    """A rank's a and b, from pairs of rows and seconds, the newest last.

    The line is the least-squares line through the points, turned about the newest one until a is at least 0 and b·n at
    least a fifth of the total. If all points have one size, `share` is b·n's share of the total.
    """
    rows, seconds = np.array(points, float).T
    if np.ptp(rows) > SAME_SIZE * rows.max():
        slope = float(np.polyfit(rows, seconds, 1)[0])
        share = float(np.clip(slope * rows[-1] / seconds[-1], _LEAST_SHARE, 1.0))
    return seconds[-1] * (1 - share), seconds[-1] * share / rows[-1]
