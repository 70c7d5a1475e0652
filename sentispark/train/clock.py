"""How long a rank computed in each step, and how long it then waited for the others; measuring delays no step."""

from __future__ import annotations

import time

import numpy as np
import torch

__all__ = ["StepClock"]


class StepClock:
    """Three moments of each step: it begins, this rank's own gradients are done, and the sum over all ranks is there.

    On a GPU the moments are CUDA events in the stream, which is synchronized only when the times are read.
    """

    def __init__(self, device: torch.device) -> None:
        self._on_gpu = device.type == "cuda"
        self._steps: list[list[float | torch.cuda.Event]] = []

    def begin(self) -> None:
        """A step begins."""
        now = self._now()
        self._steps.append([now, now, now])

    def computed(self) -> None:
        """This rank has computed all it can without the others; if called several times in a step, the last counts."""
        self._steps[-1][1] = self._now()

    def summed(self) -> None:
        """The sum of the ranks' gradients is there."""
        self._steps[-1][2] = self._now()

    def read(self) -> np.ndarray:
        """Seconds of computing and of waiting since the last reading, float64 of shape (steps, 2)."""
        if self._on_gpu and self._steps:
            torch.cuda.synchronize()
        seconds = [[self._between(*moments[:2]), self._between(*moments[1:])] for moments in self._steps]
        self._steps.clear()
        return np.array(seconds, np.float64).reshape(-1, 2)

    def _now(self) -> float | torch.cuda.Event:
        if not self._on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        event.record()
        return event

    def _between(self, earlier: float | torch.cuda.Event, later: float | torch.cuda.Event) -> float:
        if isinstance(earlier, torch.cuda.Event) and isinstance(later, torch.cuda.Event):
            return float(earlier.elapsed_time(later)) / 1000
        assert isinstance(earlier, float)
        assert isinstance(later, float)
        return later - earlier
