"""Progress events of a training run: plain dicts, so that they cross any process boundary as JSON."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypedDict

from sentispark.evaluate.metrics import Measures

__all__ = [
    "BalanceDecision",
    "BalanceEvent",
    "CheckpointEvent",
    "Emit",
    "EpochEntry",
    "EpochEvent",
    "Event",
    "ProgressEvent",
    "RestartEvent",
    "ResumeEvent",
    "StartEvent",
    "Throttle",
    "line_of",
]


class BalanceDecision(TypedDict):
    """What was decided about batch sizes after a step; lists have one entry per rank."""

    step: int  # counted over all epochs, from 1
    rows: list[float]  # in a step, on average
    seconds: list[float]  # of a step, without waiting
    gain: float  # the share of a step's time that other sizes were expected to save
    moved: bool
    sizes: list[int]  # from now on


class EpochEntry(TypedDict):
    """An epoch in a model's history."""

    epoch: int  # from 1
    train_loss: float
    validation: Measures | None
    seconds: float
    rows_per_second: float
    data_wait_share: float  # of the time, on average over the ranks, waiting for batches
    rank_wait_share: float  # waiting for other ranks
    batch_sizes: list[int]
    balance: list[BalanceDecision]


class ProgressEvent(TypedDict):
    """A step was taken."""

    kind: Literal["progress"]
    epoch: int
    step: int  # of the epoch, from 1
    steps: int


class BalanceEvent(BalanceDecision):
    """Batch sizes were decided on."""

    kind: Literal["balance"]
    epoch: int


class EpochEvent(EpochEntry):
    """An epoch has ended."""

    kind: Literal["epoch"]


class StartEvent(TypedDict):
    """All ranks of an attempt have reported."""

    kind: Literal["start"]
    hosts: list[str]  # of each rank


class ResumeEvent(TypedDict):
    """The training continues from a checkpoint."""

    kind: Literal["resume"]
    step: int  # that were taken, over all epochs
    epochs: int  # that are complete
    checkpoint: str
    history: list[EpochEntry]  # of those epochs


class CheckpointEvent(TypedDict):
    """A checkpoint was written."""

    kind: Literal["checkpoint"]
    step: int
    name: str
    seconds: float  # of writing it, while the training went on
    cpu_seconds: float  # of the thread that wrote it
    stopped_seconds: float  # for which the training has stood still for checkpoints so far


class RestartEvent(TypedDict):
    """The training is started again after a failure."""

    kind: Literal["restart"]
    attempt: int  # from 1, the first one
    workers: int
    error: str


Event = ProgressEvent | BalanceEvent | EpochEvent | ResumeEvent | CheckpointEvent | RestartEvent | StartEvent
Emit = Callable[[Event], None]


class Throttle:
    """Lets a progress event through at most once every `seconds`; the clock is passed in."""

    def __init__(self, emit: Emit, *, seconds: float = 0.5, clock: Callable[[], float] = time.monotonic) -> None:
        self._emit, self._seconds, self._clock = emit, seconds, clock
        self._last = float("-inf")

    def __call__(self, event: Event) -> None:
        """Pass the event on, or drop it."""
        if self._clock() - self._last >= self._seconds:
            self._last = self._clock()
            self._emit(event)


def line_of(event: Event) -> str | None:
    """One line for people: an epoch's loss, speed and validation, or new batch sizes; None for other events."""
    if event["kind"] == "epoch":
        return _epoch_line(event)
    if event["kind"] == "balance" and event["moved"]:
        sizes = ", ".join(map(str, event["sizes"]))
        return f"epoch {event['epoch']}: batch sizes are now {sizes}, to save {event['gain']:.0%} of a step's time"
    if event["kind"] == "resume":
        return f"resuming after step {event['step']}, {event['epochs']} epochs complete: '{event['checkpoint']}'"
    if event["kind"] == "restart":
        return f"{event['error']} Attempt {event['attempt']} begins with {event['workers']} workers."
    return None


def _epoch_line(epoch: EpochEntry) -> str:
    line = (
        f"epoch {epoch['epoch']}: loss {epoch['train_loss']:.4f}, "
        f"{epoch['rows_per_second']:,.0f} rows/s, {epoch['seconds']:.1f} s"
    )
    validation = epoch["validation"]
    if validation:
        shown = {"loss": validation["log_loss"], "accuracy": validation["accuracy"], "AUC": validation["roc_auc"]}
        line += "; validation " + ", ".join(f"{name} {value:.4f}" for name, value in shown.items() if value is not None)
    return line
