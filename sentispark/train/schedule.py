"""The learning rate of every step, as a pure function of its number."""

from __future__ import annotations

import math

__all__ = ["learning_rate_factor"]


def learning_rate_factor(step: int, steps: int, *, schedule: str, warmup_share: float) -> float:
    """The share of the highest learning rate that a step uses; above 0, at most 1.

    Parameters
    ----------
    step : int
        0 to steps - 1.
    steps : int
        Steps of the whole training.
    schedule : {"cosine", "linear", "constant"}
        How the rate falls after the warm-up: along half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983), along
        a line, or not at all.
    warmup_share : float
        Share of the steps in which the rate rises along a line (Goyal et al. 2017, arXiv:1706.02677).
    """
    warmup = round(steps * warmup_share)
    if step < warmup:
        return (step + 1) / warmup
    passed = (step - warmup) / max(1, steps - warmup)
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * passed))
    return 1.0 - passed if schedule == "linear" else 1.0
