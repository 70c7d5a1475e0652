"""Ranks that are slower than they are: for measuring the balancer, and for nothing else."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

__all__ = ["Slowdown"]


@dataclasses.dataclass(frozen=True)
class Slowdown:
    """What each step of a rank takes longer, within the time that counts as the rank's own.

    Attributes
    ----------
    fixed : float
        Seconds a step.
    per_row : float
        Seconds a row.
    later_factor : float
        From step `later` on both are so many times as long.
    later : int
        A step, counted over the whole training from 0.
    noise : float
        Standard deviation of the logarithm of a factor that each step has of its own.
    seed : int
        Of these factors: two runs with one seed have the same ones.
    """

    fixed: float = 0.0
    per_row: float = 0.0
    later_factor: float = 1.0
    later: int = 0
    noise: float = 0.0
    seed: int = 0

    def seconds(self, step: int, rows: int) -> float:
        """What a step of so many rows takes longer."""
        factor = float(np.random.default_rng((self.seed, step)).lognormal(0.0, self.noise))
        return (self.fixed + self.per_row * rows) * factor * (self.later_factor if step >= self.later else 1.0)

    def wait(self, step: int, rows: int) -> None:
        """Take that long."""
        seconds = self.seconds(step, rows)
        if seconds > 0:
            time.sleep(seconds)
