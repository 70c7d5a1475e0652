"""`sentispark bench faults`: trainings with injected faults, compared with an undisturbed one.

Each trial trains the same net on three executors and does one thing to them at one moment: an executor or a rank's
process is killed, a rank is frozen, a connection between two ranks is cut, the checkpoints' disk is full; or the driver
is killed and started again, that one in local mode. The trial must end with the bits of the undisturbed net, and the
rows that ranks wrote down must be those of the dataset.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import functools
import itertools
import logging
import os
import random
import statistics
import time
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from sentispark.bench.driver import train_with_killed_driver
from sentispark.bench.ledger import RowLedger, committed, rows_of_dataset, wasted_steps
from sentispark.bench.reviews import generated_reviews
from sentispark.bench.sabotage import FAULTS, NOTICE, Fault, Saboteur, executors_of, full_disk
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

__all__ = ["Trial", "measure", "run_trial"]

RANKS, REVIEWS, EPOCHS, BATCH_ROWS = 3, 8000, 3, 96
NET = NetOptions(embedding_size=32, hidden_size=16, wide_size=1000)
OPTIONS = TrainOptions(max_epochs=EPOCHS, batch_size=BATCH_ROWS, reader="arrow", balance="off")
INTERVAL_STEPS = 20
# Long epochs, as a checkpoint costs a constant time.
COST_REVIEWS, COST_EPOCHS = 20_000, 3

_log = logging.getLogger(__name__)


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
    acted : bool
        Whether the fault was caused before the training ended.
    wasted_steps : int
    noticed_seconds, recovery_seconds : float
        From the fault to the end of the attempt, and to the first step of the next one; 0 where there was none.
    """

    fault: Fault
    trained: TrainedNet
    is_equal: bool
    rows_once: bool
    acted: bool
    wasted_steps: int
    noticed_seconds: float
    recovery_seconds: float


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
    saved = CheckpointOptions(str(checkpoints) if saves else None, INTERVAL_STEPS)
    config = TrainConfig(dataset, OPTIONS, NET, checkpoints=saved)
    steps = epoch_steps(open_dataset(dataset).manifest.rows("train"), BATCH_ROWS)
    if fault.action == "driver":
        trained, began = train_with_killed_driver(config, RANKS, ledger, rng=random.Random(seed))
        return _trial(fault, _Outcome(trained, began, acted=True), expected, ledger, dataset, steps)
    victims = functools.partial(executors_of, spark.sparkContext.applicationId)
    saboteur = Saboteur(fault, random.Random(seed), checkpoints, steps=steps, epochs=EPOCHS, victims=victims)
    disk = full_disk(checkpoints) if fault.action == "full" else contextlib.nullcontext()
    with disk:
        started = time.time()
        hook = saboteur.hook(ledger)
        trained = train_with_restarts(spark, config, RANKS, saboteur.emit, RestartOptions(), before_step=hook)
    attempts = trained.run["attempts"]
    began = [started + attempt["began"] for attempt in attempts]
    outcome = _Outcome(
        trained,
        began,
        acted=saboteur.acted > 0 or fault.action == "full",
        noticed_seconds=began[0] + attempts[0]["seconds"] - saboteur.acted if len(attempts) > 1 else 0.0,
        recovery_seconds=saboteur.recovered - saboteur.acted if saboteur.recovered else 0.0,
    )
    return _trial(fault, outcome, expected, ledger, dataset, steps)


@dataclasses.dataclass(frozen=True)
class _Outcome:
    """A disturbed training, before it is compared; `began` is when each attempt began, in seconds since the epoch."""

    trained: TrainedNet
    began: list[float]
    acted: bool
    noticed_seconds: float = 0.0
    recovery_seconds: float = 0.0


def _trial(fault: Fault, outcome: _Outcome, expected: TrainedNet, ledger: RowLedger, dataset: str, steps: int) -> Trial:
    entries = ledger.entries()
    rows = committed(entries, outcome.began, steps)
    return Trial(
        fault,
        outcome.trained,
        is_equal=outcome.trained.weights == expected.weights,
        rows_once=rows == dict.fromkeys(range(EPOCHS), rows_of_dataset(dataset)),
        acted=outcome.acted,
        wasted_steps=wasted_steps(entries, outcome.began),
        noticed_seconds=round(outcome.noticed_seconds, 2),
        recovery_seconds=round(outcome.recovery_seconds, 2),
    )


def measure(spark: SparkSession, folder: Path, *, kills: int, seed: int, times: int) -> dict[str, Any]:
    """Disturb `kills` trainings.

    Parameters
    ----------
    spark : SparkSession
        With three executors on this machine.
    folder : Path
    kills : int
        Trainings to disturb.
    seed : int
        Of the moments and the victims.
    times : int
        Timed turns in which the cost of checkpoints is measured; 0 leaves that out.

    Returns
    -------
    dict
        `kills, finished, bitwise_equal, rows_counted_once, wasted_steps, recovery_seconds, noticed_seconds`;
        `without_checkpoints`, a trial without them; `checkpoint_cost`, see `_checkpoint_cost`; `trials`.

    Raises
    ------
    SetupError
        If the session's executors are not processes that this one can kill.
    """
    if not executors_of(spark.sparkContext.applicationId):
        raise SetupError("'bench faults' kills executors. Name a master like local-cluster[3,1,1024] with --master.")
    dataset = _dataset(spark, folder, REVIEWS)
    expected = train_with_restarts(
        spark, TrainConfig(dataset, OPTIONS, NET), RANKS, lambda event: None, RestartOptions()
    )
    trials, homes = [], folder / "trials" / f"{seed}-{os.getpid()}"
    notices = [NOTICE] if setting(spark, "spark.decommission.enabled") == "true" else []
    faults = [fault for fault in (*FAULTS, *notices) if fault.action != "full" or os.geteuid() == 0]
    for kill, fault in zip(range(kills), itertools.cycle(faults), strict=False):
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
    costs = {}
    if times:
        lost = run_trial(spark, dataset, homes / "without", FAULTS[1], expected, seed=seed, saves=False)
        cost = _checkpoint_cost(spark, _dataset(spark, folder, COST_REVIEWS), homes, times=times)
        costs = {"without_checkpoints": _shown(lost), "checkpoint_cost": cost}
    return {
        "kills": sum(trial.acted for trial in trials),
        "finished": len(trials),
        "bitwise_equal": sum(trial.is_equal for trial in trials),
        "rows_counted_once": sum(trial.rows_once for trial in trials),
        "wasted_steps": sum(trial.wasted_steps for trial in trials),
        "recovery_seconds": _spread([trial.recovery_seconds for trial in trials if trial.recovery_seconds]),
        "noticed_seconds": _spread([trial.noticed_seconds for trial in trials if trial.noticed_seconds]),
        **costs,
        "trials": [_shown(trial) for trial in trials],
    }


def _dataset(spark: SparkSession, folder: Path, reviews: int) -> str:
    """The path of a dataset of generated reviews; that of an earlier run is reused."""
    path = str(folder / f"dataset-{reviews}")
    prepare_dataset(spark, generated_reviews(folder / "data", reviews, processes=task_cores(spark)), path)
    return path


def _checkpoint_cost(spark: SparkSession, dataset: str, folder: Path, *, times: int) -> dict[str, Any]:
    """The share that checkpoints add to the time of a training of the default net, by how often they are written.

    Returns
    -------
    dict
        `measured`: trainings with and without checkpoints, in turns. As machines vary by more than checkpoints cost,
        also `accounted`: within a training, the time for which the ranks stood still, and the CPU time of the thread
        that wrote, as if that had stopped the ranks too.
    """
    options = dataclasses.replace(OPTIONS, max_epochs=COST_EPOCHS)
    runs, accounted = itertools.count(), collections.defaultdict(list)

    def seconds(name: str) -> float:
        where = None if name == "none" else str(folder / f"cost-{next(runs)}")
        interval = "30s" if name == "every_30_seconds" else None
        config = TrainConfig(dataset, options, NetOptions(), checkpoints=CheckpointOptions(where, interval))
        began: list[float] = []
        stopped = [0.0]

        def emit(event: Event) -> None:
            if event["kind"] == "progress" and not began:
                began.append(time.perf_counter())
            if event["kind"] == "checkpoint":
                stopped.append(event["stopped_seconds"])
                stopped[0] += event["cpu_seconds"]

        train_with_restarts(spark, config, RANKS, emit, RestartOptions())
        took = time.perf_counter() - began[0]
        accounted[name].append((stopped[0] + stopped[-1]) / took)
        return took

    names = ("none", "every_epoch", "every_30_seconds")
    found = in_turns({name: functools.partial(seconds, name) for name in names}, times=times)
    return {
        "measured": {name: median_ratio(found, name, "none") - 1 for name in names[1:]},
        "accounted": {name: statistics.median(accounted[name][1:]) for name in names[1:]},
    }


def _spread(seconds: list[float]) -> dict[str, float]:
    return {"median": statistics.median(seconds), "max": max(seconds)} if seconds else {}


def _shown(trial: Trial) -> dict[str, Any]:
    fields = {field.name: getattr(trial, field.name) for field in dataclasses.fields(trial) if field.name != "trained"}
    errors = [attempt["error"] for attempt in trial.trained.run["attempts"]]
    return {**fields, "fault": dataclasses.asdict(trial.fault), "errors": errors}
