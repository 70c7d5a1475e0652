"""Artificial slowdowns of ranks, for measuring the balancer."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from sentispark.train.step import Tensors

__all__ = ["Slowdown"]


@dataclasses.dataclass(frozen=True)
class Slowdown:
    """Time that is added to each step of a rank, within the time that is measured for it.

    Attributes
    ----------
    fixed : float
        Seconds per step.
    per_row : float
        Seconds per row.
    later_factor : float
        From step `later` on, both are multiplied by this factor.
    later : int
        A step, counted from 0 over the whole training.
    noise : float
        Standard deviation of the logarithm of each step's random factor.
    seed : int
        Seed of the random factors: runs with the same seed have the same factors.
    """

    fixed: float = 0.0
    per_row: float = 0.0
    later_factor: float = 1.0
    later: int = 0
    noise: float = 0.0
    seed: int = 0

    def seconds(self, step: int, rows: int) -> float:
        """The seconds that are added to a step."""
        factor = float(np.random.default_rng((self.seed, step)).lognormal(0.0, self.noise))
        return (self.fixed + self.per_row * rows) * factor * (self.later_factor if step >= self.later else 1.0)

    def wait(self, step: int, batch: Tensors) -> None:
        """Sleep for the seconds that are added to a step; a `StepHook`."""
        seconds = self.seconds(step, len(batch[0]))
        if seconds > 0:
            time.sleep(seconds)
