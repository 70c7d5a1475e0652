"""What a run tells while it goes on: plain dicts, so that they cross any process boundary as JSON."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

__all__ = ["Emit", "Event", "Throttle", "line_of"]

Event = dict[str, Any]
Emit = Callable[[Event], None]


class Throttle:
    """Lets a progress event through at most once in `seconds`; the clock is passed in."""

    def __init__(self, emit: Emit, *, seconds: float = 0.5, clock: Callable[[], float] = time.monotonic) -> None:
        self._emit, self._seconds, self._clock = emit, seconds, clock
        self._last = float("-inf")

    def __call__(self, event: Event) -> None:
        """Pass the event on, or drop it."""
        if self._clock() - self._last >= self._seconds:
            self._last = self._clock()
            self._emit(event)


def line_of(event: Event) -> str | None:
    """One line for people: an epoch's loss, speed and validation, or how rows were moved; None for other events."""
    if event["kind"] == "epoch":
        return _epoch_line(event)
    if event["kind"] == "balance" and event["moved"]:
        sizes = ", ".join(map(str, event["sizes"]))
        return f"epoch {event['epoch']}: batch sizes are now {sizes}, to save {event['gain']:.0%} of a step's time"
    return None


def _epoch_line(epoch: Event) -> str:
    line = (
        f"epoch {epoch['epoch']}: loss {epoch['train_loss']:.4f}, "
        f"{epoch['rows_per_second']:,.0f} rows/s, {epoch['seconds']:.1f} s"
    )
    validation = epoch["validation"]
    if validation:
        shown = {"loss": validation["log_loss"], "accuracy": validation["accuracy"], "AUC": validation["roc_auc"]}
        line += "; validation " + ", ".join(f"{name} {value:.4f}" for name, value in shown.items() if value is not None)
    return line
