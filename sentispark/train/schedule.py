"""The learning rate of every step, as a pure function of its number and of the batch size."""

from __future__ import annotations

import math

__all__ = ["learning_rate_factor", "scaled_to_batch"]

# The first and the last rate of the one-cycle schedule, as shares of the highest (the defaults of torch's OneCycleLR).
_FIRST_SHARE, _LAST_SHARE = 1 / 25, 1 / 25e4

# A warm-up that grows with the batch still leaves half of the steps to learn in.
_LONGEST_WARMUP = 0.5


def learning_rate_factor(step: int, steps: int, *, schedule: str, warmup_share: float) -> float:
    """The share of the highest learning rate that a step uses; above 0, at most 1.

    Parameters
    ----------
    step : int
        0 to steps - 1.
    steps : int
        Steps of the whole training.
    schedule : {"cosine", "linear", "constant", "one_cycle"}
        How the rate falls after the warm-up: along half a cosine (Loshchilov and Hutter 2017, arXiv:1608.03983), along
        a line, or not at all. "one_cycle" also rises along half a cosine, from a 25th, and falls far below where it
        started (Smith and Topin 2018, arXiv:1708.07120).
    warmup_share : float
        Share of the steps in which the rate rises, along a line (Goyal et al. 2017, arXiv:1706.02677) except with
        "one_cycle".
    """
    if schedule == "one_cycle":
        return _one_cycle(step, steps, warmup_share)
    warmup = round(steps * warmup_share)
    if step < warmup:
        return (step + 1) / warmup
    passed = (step - warmup) / max(1, steps - warmup)
    if schedule == "cosine":
        return _cosine(passed)
    return 1.0 - passed if schedule == "linear" else 1.0


def _one_cycle(step: int, steps: int, warmup_share: float) -> float:
    top = warmup_share * steps - 1  # the step of the highest rate, as a number between two steps
    if step <= top:
        return 1 - (1 - _FIRST_SHARE) * _cosine(step / top if top else 1.0)
    return _LAST_SHARE + (1 - _LAST_SHARE) * _cosine((step - top) / (steps - 1 - top))


def _cosine(passed: float) -> float:
    """1 at 0, 0 at 1."""
    return 0.5 * (1 + math.cos(math.pi * passed))


def scaled_to_batch(
    learning_rate: float, warmup_share: float, *, batch_size: int, base_batch_size: int, scaling: str
) -> tuple[float, float]:
    """The learning rate and the warm-up share for a batch size other than the one that they were tuned for.

    Parameters
    ----------
    learning_rate, warmup_share : float
        Those for `base_batch_size`.
    batch_size, base_batch_size : int
    scaling : {"none", "linear", "sqrt"}
        "linear" multiplies the rate by k = batch_size / base_batch_size (Goyal et al. 2017, arXiv:1706.02677), "sqrt"
        by √k (LEGW: You et al. 2019, arXiv:1901.08256). With either, a larger batch warms up for k times the share of
        the steps, which is LEGW's rule, but for at most half of them.
    """
    if scaling == "none":
        return learning_rate, warmup_share
    factor = batch_size / base_batch_size
    rate = learning_rate * (factor if scaling == "linear" else math.sqrt(factor))
    return rate, max(warmup_share, min(warmup_share * factor, _LONGEST_WARMUP))
