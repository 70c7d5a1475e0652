"""Measured seconds in, batch sizes out: how many rows each rank takes, so that all ranks finish a step together.

A rank's step is taken to cost a + b·n seconds for n rows. An LSTM's cost is mostly a on a GPU, where a step of few rows
takes as long as one of many; a rule that knows speeds alone (n ∝ n/t, that of the 2019 system) then creeps. With a and
b known the best sizes are those of *equal finish*: T = (B + Σ a/b) / Σ 1/b and n = (T - a) / b.

All functions are pure: ranks that are told the same seconds decide the same. Related: LB-BSP (Chen et al. 2020,
SoCC), DFPA (Lastovetsky and Reddy 2009) and the cost model of AdaptDL (Qiao et al. 2021, OSDI).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from sentispark.dataset.plan import even_sizes

__all__ = ["Balancer", "Decision", "EpochBalancer", "equal_finish", "fitted", "relative"]

# A rank's share of a step that grows with its rows: measured ones outside are noise.
_LEAST_SHARE = 0.2
# Two batch sizes that differ by less tell nothing about a and b.
_SAME_SIZE = 0.05
# A rank that takes so much longer, or less long, than its line says has changed.
_CHANGED = 0.15
_POINTS_KEPT = 4
# Moving pays if the slowest rank is expected to be faster by this share, and by twice the error of what was measured.
_LEAST_GAIN, _ERRORS = 0.03, 2.0
# A rank grows at most so many times at once, or to such a part of an even share.
_LARGEST_GROWTH, _LEAST_REACHED = 2.0, 8
# Steps that are measured before sizes are decided on: few while they change, more when they stay.
_SHORTEST_WINDOW, _LONGEST_WINDOW = 5, 20


def equal_finish(fixed: np.ndarray, per_row: np.ndarray, rows: int, *, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The sizes, int64 of shape (W,), with the smallest largest fixed + per_row · size of all that sum to `rows`.

    Parameters
    ----------
    fixed, per_row : ndarray of shape (W,)
        Seconds; `per_row` above 0.
    rows : int
    low, high : ndarray of shape (W,), dtype=int64
        Bounds of each size; `rows` lies between their sums.
    """
    below, above = float((fixed + per_row * low).min()), float((fixed + per_row * high).max())
    for _ in range(60):  # as many as a double has bits, and some
        finish = (below + above) / 2
        reached = np.floor(np.clip((finish - fixed) / per_row, low, high)).sum()
        below, above = (finish, above) if reached <= rows else (below, finish)
    sizes = np.floor(np.clip((below - fixed) / per_row, low, high)).astype(np.int64)
    for _ in range(rows - int(sizes.sum())):
        sizes[np.argmin(np.where(sizes < high, fixed + per_row * (sizes + 1), np.inf))] += 1
    return sizes


def relative(seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What a step takes each rank beside the others, and the largest standard error of it, as a share.

    Each step's times are divided by their geometric mean over the ranks, so that steps of more work for all ranks alike
    tell the same as others. Of these quotients the median over the steps is taken; its error is that of normal
    values whose spread the median absolute deviation tells, so a few outliers do not count.

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
    spread = 1.4826 * np.median(np.abs(quotients - times), axis=0)
    return times, float((1.2533 * spread / times).max() / np.sqrt(len(seconds)))


def fitted(points: Sequence[tuple[float, float]], share: float) -> tuple[float, float]:
    """A rank's a and b, from pairs of rows and seconds, the newest last.

    The line is that of least squares through the points, turned about the newest one until a is at least 0 and b·n at
    least a fifth of the whole. With one size alone, `share` is b·n's share of the whole.
    """
    rows, seconds = np.array(points, float).T
    if np.ptp(rows) > _SAME_SIZE * rows.max():
        slope = float(np.polyfit(rows, seconds, 1)[0])
        share = float(np.clip(slope * rows[-1] / seconds[-1], _LEAST_SHARE, 1.0))
    return seconds[-1] * (1 - share), seconds[-1] * share / rows[-1]


@dataclasses.dataclass(frozen=True)
class _Rank:
    """What is known of one rank: pairs of rows and seconds, the newest last, and b·n's share of a step."""

    points: tuple[tuple[float, float], ...] = ()
    share: float = 1.0

    def after(self, rows: float, seconds: float) -> _Rank:
        """The same with one more measurement."""
        known = self.points
        if known:
            sizes = [size for size, _ in known]
            line_is_known = max(sizes) - min(sizes) > _SAME_SIZE * max(sizes)
            if line_is_known or abs(rows - sizes[-1]) <= _SAME_SIZE * rows:
                fixed, per_row = fitted(known, self.share)
                if abs(seconds / (fixed + per_row * rows) - 1) > _CHANGED:
                    return _Rank(((rows, seconds),), self._share_at(rows))
        near = [time for size, time in known if abs(size - rows) <= _SAME_SIZE * rows]
        others = tuple(point for point in known if abs(point[0] - rows) > _SAME_SIZE * rows)
        points = (*others, (rows, float(np.mean([*near, seconds]))))[-_POINTS_KEPT:]
        fixed, per_row = fitted(points, self._share_at(rows))
        return _Rank(points, per_row * rows / (fixed + per_row * rows))

    def _share_at(self, rows: float) -> float:
        """The share with another number of rows than that of the newest point."""
        if not self.points:
            return self.share
        fixed, per_row = fitted(self.points, self.share)
        return per_row * rows / (fixed + per_row * rows)

    @property
    def line(self) -> tuple[float, float]:
        return fitted(self.points, self.share)


@dataclasses.dataclass(frozen=True)
class Decision:
    """What was decided after a window of steps.

    Attributes
    ----------
    sizes : ndarray of shape (W,), dtype=int64
        The batch sizes from now on.
    gain : float
        The share of the slowest rank's time that other sizes are, or were, expected to save.
    moved : bool
    """

    sizes: np.ndarray
    gain: float
    moved: bool


@dataclasses.dataclass(frozen=True)
class Balancer:
    """The batch sizes of all ranks, and what was learnt about the ranks' speed.

    Attributes
    ----------
    sizes : ndarray of shape (W,), dtype=int64
        They sum to the global batch.
    limit : float
        A size is at most so many times an even share; at least 1.
    window : int
        The steps to measure before `after` is asked again.
    """

    sizes: np.ndarray
    limit: float = 8.0
    window: int = _SHORTEST_WINDOW
    ranks: tuple[_Rank, ...] = ()
    last_move: np.ndarray | None = None

    @classmethod
    def start(cls, global_batch: int, ranks: int, *, limit: float = 8.0) -> Balancer:
        """All ranks alike, and nothing known."""
        return cls(even_sizes(global_batch, ranks), limit, ranks=(_Rank(),) * ranks)

    def due(self, steps: int, *, epoch_ends: bool) -> bool:
        """Whether so many steps have been measured that it is time to decide."""
        return steps >= self.window

    def after(
        self,
        rows: np.ndarray,
        seconds: np.ndarray,
        most_rows: np.ndarray | None = None,
    ) -> tuple[Balancer, Decision]:
        """Decide after a window of steps.

        Parameters
        ----------
        rows : ndarray of shape (W,)
            The rows that each rank had in a step, on average.
        seconds : ndarray of shape (steps, W)
            What each step took each rank alone, without waiting for others.
        most_rows : ndarray of shape (W,), optional
            The rows that each rank has memory for. They bound growth alone: a size that held so far goes on to hold.
        """
        times, error = relative(seconds)
        times = times / self._common_factor(rows, times)
        ranks = tuple(
            rank.after(float(n), float(t)) if n >= 1 else rank
            for rank, n, t in zip(self.ranks, rows, times, strict=True)
        )
        known = dataclasses.replace(self, ranks=ranks)
        if not all(rank.points for rank in ranks):
            return known, Decision(self.sizes, 0.0, moved=False)
        fixed, per_row = np.array(known._lines).T
        low, high = self._bounds(most_rows)
        best = equal_finish(fixed, per_row, int(self.sizes.sum()), low=low, high=high)
        now, then = ((fixed + per_row * sizes).max() for sizes in (self.sizes, best))
        gain = float(1 - then / now)
        if gain <= _LEAST_GAIN + _ERRORS * error:
            window = min(2 * self.window, _LONGEST_WINDOW)
            return dataclasses.replace(known, window=window), Decision(self.sizes, gain, moved=False)
        return known._moved(best, gain)

    def _common_factor(self, rows: np.ndarray, times: np.ndarray) -> float:
        """How many times as long as the lines say the steps of this window took: their unit is its own."""
        if not all(rank.points for rank in self.ranks):
            return 1.0
        expected = [fixed + per_row * n for (fixed, per_row), n in zip(self._lines, rows, strict=True)]
        return float(np.median(times / expected))

    @property
    def _lines(self) -> list[tuple[float, float]]:
        return [rank.line for rank in self.ranks]

    def _moved(self, best: np.ndarray, gain: float) -> tuple[Balancer, Decision]:
        move, window = best - self.sizes, _SHORTEST_WINDOW
        if self.last_move is not None and float(move @ self.last_move) < 0:
            # There and back again: noise. Half the way, after a longer look.
            move = _halved(move)
            window = min(2 * self.window, _LONGEST_WINDOW)
        sizes = self.sizes + move
        moved = bool(move.any())
        return (
            dataclasses.replace(self, sizes=sizes, window=window, last_move=move if moved else self.last_move),
            Decision(sizes, gain, moved=moved),
        )

    def _bounds(self, most_rows: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The least and the most rows of each rank, between which the global batch fits."""
        total, count = int(self.sizes.sum()), len(self.sizes)
        even = even_sizes(total, count)
        low = np.minimum(1, even)  # a rank without rows could not be measured
        high = np.minimum(even * self.limit, np.maximum(self.sizes * _LARGEST_GROWTH, even / _LEAST_REACHED))
        if most_rows is not None:
            high = np.minimum(high, np.maximum(most_rows, self.sizes))
        high = np.maximum(np.floor(high), low).astype(np.int64)
        return low, high if high.sum() >= total else np.maximum(high, even)


def _halved(move: np.ndarray) -> np.ndarray:
    """Half of each change, rounded so that the changes still sum to 0."""
    half = np.fix(move / 2).astype(np.int64)
    half[np.argmax(np.abs(move))] -= half.sum()
    return half


@dataclasses.dataclass(frozen=True)
class EpochBalancer:
    """The rule of the 2019 system: at the end of an epoch, sizes in proportion to the ranks' rows per second.

    Attributes
    ----------
    sizes : ndarray of shape (W,), dtype=int64
    """

    sizes: np.ndarray

    def due(self, steps: int, *, epoch_ends: bool) -> bool:
        """Whether an epoch that was measured ends."""
        return epoch_ends and steps > 0

    def after(
        self,
        rows: np.ndarray,
        seconds: np.ndarray,
        most_rows: np.ndarray | None = None,
    ) -> tuple[EpochBalancer, Decision]:
        """Decide as `Balancer.after` does; memory is not looked at."""
        per_row = seconds.mean(axis=0) / rows
        total = int(self.sizes.sum())
        low, high = np.minimum(1, self.sizes), np.full(len(self.sizes), total)
        sizes = equal_finish(np.zeros(len(per_row)), per_row, total, low=low, high=high)
        gain = float(1 - (per_row * sizes).max() / (per_row * self.sizes).max())
        return EpochBalancer(sizes), Decision(sizes, gain, moved=bool((sizes != self.sizes).any()))
