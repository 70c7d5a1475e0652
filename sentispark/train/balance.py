"""Measured seconds in, batch sizes out: how many rows each rank takes, so that all ranks finish a step together.

All functions are pure: ranks that are given the same seconds make the same decision. Related: LB-BSP (Chen et al. 2020,
doi:10.1145/3419111.3421299), DFPA (Lastovetsky and Reddy 2009) and the cost model of AdaptDL (Qiao et al. 2021, OSDI).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from sentispark.dataset.plan import even_sizes
from sentispark.train.step_cost import SAME_SIZE, equal_finish, fit_cost_line, relative_step_times

__all__ = ["Balancer", "Decision", "EpochBalancer", "SizeRule"]

# A rank whose time differs from its line's by a larger share has changed.
_CHANGED = 0.15
# Two batch sizes that differ by a smaller share are one: a window's mean rows differ a little from its batch size.
_EQUAL_SIZE = 0.005
_POINTS_KEPT = 4
# A change pays if the slowest rank is expected to be faster by this share, and by twice the measurement's error.
_LEAST_GAIN, _ERRORS = 0.03, 2.0
# How many times a rank may grow at once, and the part of an even share (1 in …) that it always may grow to.
_LARGEST_GROWTH, _LEAST_REACHED = 2.0, 8
# Steps that are measured before sizes are decided on: few while they change, more when they stay.
_SHORTEST_WINDOW, _LONGEST_WINDOW = 5, 20


@dataclasses.dataclass(frozen=True)
class _Rank:
    """What is known of one rank: pairs of rows and seconds, the newest last, and b·n's share of a step."""

    points: tuple[tuple[float, float], ...] = ()
    share: float = 1.0

    def after(self, rows: float, seconds: float) -> _Rank:
        """This rank's record with one more measurement."""
        known = self.points
        if known:
            sizes = [size for size, _ in known]
            line_is_known = max(sizes) - min(sizes) > SAME_SIZE * max(sizes)
            if line_is_known or abs(rows - sizes[-1]) <= SAME_SIZE * rows:
                fixed, per_row = fit_cost_line(known, self.share)
                if abs(seconds / (fixed + per_row * rows) - 1) > _CHANGED:
                    return _Rank(((rows, seconds),), self._share_at(rows))
        # Times of one size are averaged, against noise. One of a slightly different size is replaced: the mean of both
        # would be the time of neither.
        equal = [time for size, time in known if abs(size - rows) <= _EQUAL_SIZE * rows]
        others = tuple(point for point in known if abs(point[0] - rows) > SAME_SIZE * rows)
        return self._fitted((*others, (rows, float(np.mean([*equal, seconds]))))[-_POINTS_KEPT:])

    def _fitted(self, points: tuple[tuple[float, float], ...]) -> _Rank:
        """A record of those points that lie near the line through the newest one; older ones may be out of date."""
        rows = points[-1][0]
        fixed, per_row = fit_cost_line(points, self._share_at(rows))
        near = tuple((n, time) for n, time in points if abs(time / (fixed + per_row * n) - 1) <= _CHANGED)
        fixed, per_row = fit_cost_line(near, self._share_at(rows))
        return _Rank(near, per_row * rows / (fixed + per_row * rows))

    def _share_at(self, rows: float) -> float:
        """The share with another number of rows than that of the newest point."""
        if not self.points:
            return self.share
        fixed, per_row = fit_cost_line(self.points, self.share)
        return per_row * rows / (fixed + per_row * rows)

    @property
    def line(self) -> tuple[float, float]:
        return fit_cost_line(self.points, self.share)


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


class SizeRule(Protocol):
    """A rule that derives batch sizes from measured seconds: an immutable value; `after` returns the next one."""

    @property
    def sizes(self) -> np.ndarray:
        """The batch sizes of all ranks, shape (W,), dtype=int64; they sum to the global batch."""
        ...

    def due(self, steps: int, *, epoch_ends: bool) -> bool:
        """Whether it is time to decide after `steps` measured steps."""
        ...

    def after(
        self, rows: np.ndarray, seconds: np.ndarray, most_rows: np.ndarray | None = None
    ) -> tuple[SizeRule, Decision]:
        """Decide after a window of steps; see `Balancer.after`."""
        ...

    def state(self) -> dict[str, Any]:
        """What the rule knows, as values that JSON can hold."""
        ...

    def restored(self, state: Mapping[str, Any]) -> SizeRule:
        """The rule with the state that `state` returned."""
        ...

    def resized(self, sizes: np.ndarray) -> SizeRule:
        """The rule with other sizes to begin with."""
        ...


@dataclasses.dataclass(frozen=True)
class Balancer:
    """The batch sizes of all ranks, and what was learned about the ranks' speed.

    Attributes
    ----------
    sizes : ndarray of shape (W,), dtype=int64
        They sum to the global batch.
    limit : float
        Largest size as a multiple of an even share; at least 1.
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
        """Equal sizes for all ranks, and nothing measured yet."""
        return cls(even_sizes(global_batch, ranks), limit, ranks=(_Rank(),) * ranks)

    def due(self, steps: int, *, epoch_ends: bool) -> bool:
        """Whether enough steps have been measured to decide."""
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
            How long each rank computed in each step, without waiting for others.
        most_rows : ndarray of shape (W,), optional
            The rows that each rank has memory for. They only limit growth: a size that has fit so far stays allowed.
        """
        times, error = relative_step_times(seconds)
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
        return known._moved(best, gain, fixed, per_row)

    def state(self) -> dict[str, Any]:
        """Everything but the limit, which is an option, as values that JSON can hold."""
        return {
            "sizes": self.sizes.tolist(),
            "window": self.window,
            "ranks": [{"points": [[*point] for point in rank.points], "share": rank.share} for rank in self.ranks],
            "last_move": None if self.last_move is None else self.last_move.tolist(),
        }

    def restored(self, state: Mapping[str, Any]) -> Balancer:
        """This balancer with the state that `state` returned, for the same number of ranks."""
        ranks = tuple(_Rank(tuple((n, t) for n, t in rank["points"]), rank["share"]) for rank in state["ranks"])
        move = state["last_move"]
        return dataclasses.replace(
            self,
            sizes=np.array(state["sizes"], np.int64),
            window=state["window"],
            ranks=ranks,
            last_move=None if move is None else np.array(move, np.int64),
        )

    def resized(self, sizes: np.ndarray) -> Balancer:
        """The balancer with other sizes, for the same number of ranks."""
        return dataclasses.replace(self, sizes=sizes)

    def _common_factor(self, rows: np.ndarray, times: np.ndarray) -> float:
        """The measured times of this window over those that the lines predict: each window has its own unit."""
        if not all(rank.points for rank in self.ranks):
            return 1.0
        expected = [fixed + per_row * n for (fixed, per_row), n in zip(self._lines, rows, strict=True)]
        return float(np.median(times / expected))

    @property
    def _lines(self) -> list[tuple[float, float]]:
        return [rank.line for rank in self.ranks]

    def _moved(
        self, best: np.ndarray, gain: float, fixed: np.ndarray, per_row: np.ndarray
    ) -> tuple[Balancer, Decision]:
        move, window = best - self.sizes, _SHORTEST_WINDOW
        if self.last_move is not None and float(move @ self.last_move) < 0:
            # A move against the direction of the last one is probably noise: go halfway, then measure for longer.
            window = min(2 * self.window, _LONGEST_WINDOW)
            half = _halved(move)
            now, then = ((fixed + per_row * sizes).max() for sizes in (self.sizes, self.sizes + half))
            move = half if then < now else move  # half of a few rows may relieve the slowest rank of none
        sizes = self.sizes + move
        return dataclasses.replace(self, sizes=sizes, window=window, last_move=move), Decision(sizes, gain, moved=True)

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
    half: np.ndarray = np.fix(move / 2).astype(np.int64)
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
        """Whether a measured epoch has ended."""
        return epoch_ends and steps > 0

    def after(
        self,
        rows: np.ndarray,
        seconds: np.ndarray,
        most_rows: np.ndarray | None = None,
    ) -> tuple[EpochBalancer, Decision]:
        """Decide as `Balancer.after` does; memory is ignored."""
        per_row = seconds.mean(axis=0) / rows
        total = int(self.sizes.sum())
        low, high = np.minimum(1, self.sizes), np.full(len(self.sizes), total)
        sizes = equal_finish(np.zeros(len(per_row)), per_row, total, low=low, high=high)
        gain = float(1 - (per_row * sizes).max() / (per_row * self.sizes).max())
        return EpochBalancer(sizes), Decision(sizes, gain, moved=bool((sizes != self.sizes).any()))

    def state(self) -> dict[str, Any]:
        """The sizes."""
        return {"sizes": self.sizes.tolist()}

    def restored(self, state: Mapping[str, Any]) -> EpochBalancer:
        """The rule with those sizes."""
        return EpochBalancer(np.array(state["sizes"], np.int64))

    def resized(self, sizes: np.ndarray) -> EpochBalancer:
        """The rule with other sizes."""
        return EpochBalancer(sizes)
