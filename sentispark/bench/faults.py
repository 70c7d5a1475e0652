"""`sentispark bench faults`: trainings of which something is killed, compared with one that nobody disturbed.

Each trial trains the same net on three executors and does one thing to them at one moment: an executor or a rank's
process is killed, a rank is frozen, a connection between two ranks is cut, the checkpoints' disk is full. The trial
must end with the bits of the undisturbed net, and the rows that ranks wrote down must be those of the dataset.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import logging
import os
import random
import signal
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
from pyspark.sql import SparkSession

from sentispark.bench.ledger import RowLedger, committed, rows_of_dataset, wasted_steps
from sentispark.bench.reviews import generated_reviews
from sentispark.bench.turns import in_turns, median_ratio
from sentispark.cluster.options import RestartOptions
from sentispark.cluster.restart import train_with_restarts
from sentispark.dataset.batches import epoch_steps
from sentispark.dataset.dataset import open_dataset
from sentispark.errors import SetupError
from sentispark.nn.options import NetOptions
from sentispark.prepare.prepare import prepare_dataset
from sentispark.spark.session import setting, task_cores
from sentispark.train.config import TrainConfig
from sentispark.train.events import Event
from sentispark.train.options import CheckpointOptions, TrainOptions
from sentispark.train.result import TrainedNet

__all__ = ["FAULTS", "Fault", "Trial", "measure", "run_trial"]

RANKS, REVIEWS, EPOCHS, BATCH_ROWS = 3, 8000, 3, 96
NET = NetOptions(embedding_size=32, hidden_size=16, wide_size=1000)
OPTIONS = TrainOptions(max_epochs=EPOCHS, batch_size=BATCH_ROWS, reader="arrow", balance="off")
INTERVAL_STEPS = 20
COST_EPOCHS = 4

_SIGNALS = {"frozen": signal.SIGSTOP, "notice": signal.SIGPWR}  # the latter is Spark's

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is done to whom, and when.

    Attributes
    ----------
    moment : str
        "start" (ranks read their first rows), "step", "validation", "checkpoint", "epoch" (its end) or "end" (the net
        goes back to the driver).
    action : str
        "executor" or "worker" (killed), "frozen" (a worker is stopped), or "notice" (an executor is told that its
        machine will be taken away).
    """

    moment: str
    action: str


# Executors in every phase, then other things at random moments.
FAULTS = (
    *(Fault(moment, "executor") for moment in ("start", "step", "validation", "checkpoint", "epoch", "end", "step")),
    Fault("step", "worker"),
    Fault("step", "frozen"),
    Fault("validation", "worker"),
)


# With spark.decommission.enabled.
NOTICE = Fault("step", "notice")


@dataclasses.dataclass(frozen=True)
class Trial:
    """What became of a training.

    Attributes
    ----------
    fault : Fault
    trained : TrainedNet
    is_equal : bool
        Whether the net has the bits of the undisturbed one.
    rows_once : bool
        Whether each epoch's committed steps took each row of the dataset once.
    wasted_steps : int
    noticed_seconds, recovery_seconds : float
        From the fault to the end of the attempt, and to the first step of the next one.
    """

    fault: Fault
    trained: TrainedNet
    is_equal: bool
    rows_once: bool
    wasted_steps: int
    noticed_seconds: float
    recovery_seconds: float


class _Saboteur:
    """Does a fault's action once, at its moment, and writes down when the training went on."""

    def __init__(self, fault: Fault, rng: random.Random, checkpoints: Path, steps: int) -> None:
        self._fault, self._rng, self._checkpoints = fault, rng, checkpoints
        self._step = rng.randrange(2, steps * EPOCHS - 2)
        self._steps, self._lock = steps, threading.Lock()
        self.acted = self.recovered = 0.0

    def emit(self, event: Event) -> None:
        """Called with each event of the training."""
        if self.acted:
            if not self.recovered and event["kind"] == "progress" and self._restarted:
                self.recovered = time.time()
            self._restarted |= event["kind"] == "restart"
        elif self._is_moment(event):
            threading.Thread(target=self._act, daemon=True).start()

    _restarted = False

    def _is_moment(self, event: Event) -> bool:
        moment = self._fault.moment
        if event["kind"] == "progress":
            step = (event["epoch"] - 1) * event["steps"] + event["step"]
            return (moment == "step" and step >= self._step) or (
                moment == "validation" and event["epoch"] == 2 and event["step"] >= event["steps"] - 8
            )
        if moment == "checkpoint":
            return event["kind"] == "checkpoint" and event["step"] >= INTERVAL_STEPS
        if event["kind"] == "epoch":
            return (moment == "epoch" and event["epoch"] == 1) or (moment == "end" and event["epoch"] == EPOCHS)
        return moment == "start" and event["kind"] == "start"

    def _act(self) -> None:
        with self._lock:
            if self.acted:
                return
            if self._fault.moment == "checkpoint":
                _wait_for(lambda: any(path.name.startswith("_step") for path in self._checkpoints.iterdir()))
            elif self._fault.moment in ("start", "step"):
                time.sleep(self._rng.uniform(0.0, 0.5))
            executor = self._rng.choice(sorted(executors(), key=lambda one: one.pid))
            self.acted = time.time()
            victims = [executor] if self._fault.action in ("executor", "notice") else workers_of(executor)
            for victim in victims:
                victim.send_signal(_SIGNALS.get(self._fault.action, signal.SIGKILL))


def executors() -> list[psutil.Process]:
    """The JVMs of the executors on this machine that descend from this process."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if "org.apache.spark.executor.CoarseGrainedExecutorBackend" in process.cmdline():
                found.append(process)
    return found


def workers_of(executor: psutil.Process) -> list[psutil.Process]:
    """The Python workers of an executor: the children of its daemon."""
    return [worker for daemon in executor.children() for worker in daemon.children()]


def _wait_for(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    last = time.monotonic() + seconds
    while not holds() and time.monotonic() < last:
        time.sleep(0.0005)


def run_trial(
    spark: SparkSession,
    dataset: str,
    folder: Path,
    fault: Fault,
    expected: TrainedNet,
    *,
    seed: int,
    saves: bool = True,
) -> Trial:
    """Train with one fault, and compare; `saves` is whether there are checkpoints."""
    checkpoints, ledger = folder / "checkpoints", RowLedger(str(folder / "ledger"))
    for path in (checkpoints, Path(ledger.folder)):
        path.mkdir(parents=True)
    config = TrainConfig(dataset, OPTIONS, NET, CheckpointOptions(str(checkpoints) if saves else None, INTERVAL_STEPS))
    steps = epoch_steps(open_dataset(dataset).manifest.rows("train"), BATCH_ROWS)
    saboteur = _Saboteur(fault, random.Random(seed), checkpoints, steps)
    started = time.time()
    trained = train_with_restarts(spark, config, RANKS, saboteur.emit, RestartOptions(), before_step=ledger)
    attempts = trained.run["attempts"]
    began = [started + attempt["began"] for attempt in attempts]
    entries = ledger.entries()
    rows = committed(entries, began, steps)
    once = rows_of_dataset(dataset)
    noticed = began[0] + attempts[0]["seconds"] - saboteur.acted
    return Trial(
        fault,
        trained,
        is_equal=trained.weights == expected.weights,
        rows_once=rows == dict.fromkeys(range(EPOCHS), once),
        wasted_steps=wasted_steps(entries, began),
        noticed_seconds=round(noticed, 2),
        recovery_seconds=round(saboteur.recovered - saboteur.acted, 2) if saboteur.recovered else 0.0,
    )


def measure(spark: SparkSession, folder: Path, *, kills: int, seed: int) -> dict[str, Any]:
    """Disturb `kills` trainings.

    Returns
    -------
    dict
        `kills, finished, bitwise_equal, rows_counted_once, wasted_steps, recovery_seconds, noticed_seconds`;
        `without_checkpoints`, a trial without them; `checkpoint_cost`, shares of the time of a training; `trials`.

    Raises
    ------
    SetupError
        If the session's executors are not processes that this one can kill.
    """
    if not executors():
        raise SetupError("'bench faults' kills executors. Name a master like local-cluster[3,1,1024] with --master.")
    dataset = str(folder / "dataset")
    files = generated_reviews(folder / "data", REVIEWS, processes=task_cores(spark))
    prepare_dataset(spark, files, dataset)
    expected = train_with_restarts(
        spark, TrainConfig(dataset, OPTIONS, NET), RANKS, lambda event: None, RestartOptions()
    )
    trials, homes = [], folder / "trials" / f"{seed}-{os.getpid()}"
    notices = [NOTICE] if setting(spark, "spark.decommission.enabled") == "true" else []
    for kill, fault in zip(range(kills), itertools.cycle([*FAULTS, *notices]), strict=False):
        trial = run_trial(spark, dataset, homes / f"{kill:03d}", fault, expected, seed=seed * 1000 + kill)
        _log.info(
            "%d: %s at %s: %d attempts, equal %s, rows once %s, noticed after %.1f s, recovered after %.1f s",
            kill + 1,
            fault.action,
            fault.moment,
            len(trial.trained.run["attempts"]),
            trial.is_equal,
            trial.rows_once,
            trial.noticed_seconds,
            trial.recovery_seconds,
        )
        trials.append(trial)
    return {
        "kills": kills,
        "finished": len(trials),
        "bitwise_equal": sum(trial.is_equal for trial in trials),
        "rows_counted_once": sum(trial.rows_once for trial in trials),
        "wasted_steps": sum(trial.wasted_steps for trial in trials),
        "recovery_seconds": _spread([trial.recovery_seconds for trial in trials if trial.recovery_seconds]),
        "noticed_seconds": _spread([trial.noticed_seconds for trial in trials]),
        "without_checkpoints": _shown(
            run_trial(spark, dataset, homes / "without", Fault("step", "executor"), expected, seed=seed, saves=False)
        ),
        "checkpoint_cost": _checkpoint_cost(spark, dataset, homes),
        "trials": [_shown(trial) for trial in trials],
    }


def _checkpoint_cost(spark: SparkSession, dataset: str, folder: Path, *, times: int = 3) -> dict[str, float]:
    """The time that checkpoints add to a training of the default net, as a share, by how often they are written."""
    options = dataclasses.replace(OPTIONS, max_epochs=COST_EPOCHS)
    runs = itertools.count()

    def seconds(interval: str | None, *, saves: bool) -> float:
        where = str(folder / f"cost-{next(runs)}") if saves else None
        config = TrainConfig(dataset, options, NetOptions(), CheckpointOptions(where, interval))
        clock: list[float] = []

        def emit(event: Event) -> None:
            if event["kind"] == "progress" and not clock:
                clock.append(time.perf_counter())

        train_with_restarts(spark, config, RANKS, emit, RestartOptions())
        return time.perf_counter() - clock[0]

    found = in_turns(
        {
            "none": functools.partial(seconds, None, saves=False),
            "every_epoch": functools.partial(seconds, None, saves=True),
            "every_5_seconds": functools.partial(seconds, "5s", saves=True),
        },
        times=times,
    )
    return {name: median_ratio(found, name, "none") - 1 for name in found if name != "none"}


def _spread(seconds: list[float]) -> dict[str, float]:
    return {"median": statistics.median(seconds), "max": max(seconds)} if seconds else {}


def _shown(trial: Trial) -> dict[str, Any]:
    fields = {field.name: getattr(trial, field.name) for field in dataclasses.fields(trial) if field.name != "trained"}
    errors = [attempt["error"] for attempt in trial.trained.run["attempts"]]
    return {**fields, "fault": dataclasses.asdict(trial.fault), "errors": errors}
