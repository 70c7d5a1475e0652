"""`sentispark bench balance`: how close the balancer comes to the best batch sizes on slowed-down ranks.

Each case runs with the best batch sizes, which follow from the slowdowns, with the balancer, with the rule of the 2019
system, and with equal batch sizes, always with the same noise. The efficiency η of a run is the time with the best
batch sizes divided by the run's time.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import SparkSession

from sentispark.bench.processes import run_module
from sentispark.bench.reviews import generated_reviews
from sentispark.bench.slowdown import Slowdown
from sentispark.dataset.batches import epoch_steps
from sentispark.dataset.dataset import open_dataset
from sentispark.evaluate.plots import balance_report
from sentispark.nn.options import NetOptions
from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews.options import ReviewOptions
from sentispark.spark.session import task_cores
from sentispark.text.options import TextOptions
from sentispark.train.config import TrainConfig
from sentispark.train.options import TrainOptions
from sentispark.train.step_cost import equal_finish

__all__ = ["CASES", "best_batch_sizes", "measure", "measure_cases"]

_log = logging.getLogger(__name__)

BATCH = 240
EPOCHS = 8
# The epoch at whose start the speeds change. Batch sizes settle in the first epoch and in this one.
CHANGE = 5
NOISE = 0.02
# Trainings on equal ranks: the spread of their final losses bounds that of the cases.
SEEDS = 5

# On equal ranks balancing should cost less than 1 %. Two equal runs differ by more than that, so the median of several
# turns is reported.
TURNS = {"equal": 5}

Case = Sequence[Slowdown]

_ROW = 0.0005  # seconds, much more than the small net itself takes
CASES: dict[str, Case] = {
    "equal": (Slowdown(per_row=_ROW), Slowdown(per_row=_ROW)),
    "1:2": (Slowdown(per_row=_ROW), Slowdown(per_row=2 * _ROW)),
    "1:4": (Slowdown(per_row=_ROW), Slowdown(per_row=4 * _ROW)),
    "1:1:1:3": (*[Slowdown(per_row=_ROW)] * 3, Slowdown(per_row=3 * _ROW)),
    "mostly fixed": (Slowdown(fixed=0.05, per_row=_ROW / 4), Slowdown(fixed=0.075, per_row=_ROW)),
    "slows down": (Slowdown(per_row=_ROW), Slowdown(per_row=_ROW, later_factor=3.0)),
}


def best_batch_sizes(case: Case, rows: int, *, later: bool = False) -> list[int]:
    """The batch sizes with which all ranks finish a step together if the slowdowns are its only cost.

    Parameters
    ----------
    case : sequence of Slowdown
        One for each rank.
    rows : int
        Rows of a step, over all ranks.
    later : bool
        Whether the speeds have changed.
    """
    factor = np.array([slowdown.later_factor if later else 1.0 for slowdown in case])
    fixed = np.array([slowdown.fixed for slowdown in case]) * factor
    per_row = np.array([slowdown.per_row for slowdown in case]) * factor
    bounds = {"low": np.ones(len(case), np.int64), "high": np.full(len(case), rows)}
    return [int(size) for size in equal_finish(fixed, per_row, rows, **bounds)]


def measure(spark: SparkSession, folder: Path, *, rows: int) -> dict[str, Any]:
    """Measure all cases on generated reviews; a figure of each balanced run goes into the folder. Stops Spark.

    Returns
    -------
    dict
        That of `measure_cases`, without `runs`.
    """
    cores = task_cores(spark)
    reviews = generated_reviews(folder / "data", rows, processes=cores)
    output = str(folder / "data" / "dataset")
    prepare_dataset(spark, reviews, output, ReviewOptions(), TextOptions(), overwrite=True)
    spark.stop()
    found = measure_cases(output, folder, cores=cores)
    for name, run in found.pop("runs").items():
        balance_report(run["history"], folder / f"{name.replace(' ', '-').replace(':', '-')}.png")
    return found


def measure_cases(
    dataset: str, folder: Path, *, cores: int, cases: Mapping[str, Case] = CASES, seeds: int = SEEDS
) -> dict[str, Any]:
    """Run the cases.

    Returns
    -------
    dict
        By case, over the epochs in which batch sizes have settled: `eta`, `eta_old_rule` and `eta_equal_sizes`, medians
        over the turns, and `moves`, how often the balancer moved rows in the last turn. Of the balanced run of the last
        turn: `loss`, the final validation loss, and `runs`, its result. `loss_of_seeds` are the final losses on ranks
        that are neither slowed down nor balanced.
    """
    kinds = ("eta", "eta_old_rule", "eta_equal_sizes", "moves", "loss", "runs")
    found: dict[str, Any] = {kind: {} for kind in kinds}
    for name, case in cases.items():
        turns = []
        for _ in range(TURNS.get(name, 1)):
            runs = {way: _run(dataset, folder, case, way, cores) for way in ("best", "auto", "epoch", "off")}
            turns.append({way: _settled_seconds(run["history"]) for way, run in runs.items()})
            _log.info("%s: %s", name, {way: round(seconds, 2) for way, seconds in turns[-1].items()})
        for kind, way in {"eta": "auto", "eta_old_rule": "epoch", "eta_equal_sizes": "off"}.items():
            found[kind][name] = statistics.median(took["best"] / took[way] for took in turns)
        settled = _settled_epochs(runs["auto"]["history"])
        found["moves"][name] = sum(decision["moved"] for entry in settled for decision in entry["balance"])
        found["loss"][name] = _final_loss(runs["auto"])
        found["runs"][name] = runs["auto"]
    equal_ranks = (Slowdown(), Slowdown())
    found["loss_of_seeds"] = [
        _final_loss(_run(dataset, folder, equal_ranks, "off", cores, seed=seed)) for seed in range(seeds)
    ]
    return found


def _final_loss(run: Mapping[str, Any]) -> float:
    return float(run["history"][-1]["validation"]["log_loss"])


def _settled_epochs(history: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [entry for entry in history if entry["epoch"] not in (1, CHANGE)]


def _settled_seconds(history: Sequence[Mapping[str, Any]]) -> float:
    return float(sum(entry["seconds"] for entry in _settled_epochs(history)))


def _run(dataset: str, folder: Path, case: Case, way: str, cores: int, *, seed: int = 0) -> dict[str, Any]:
    """One training; `way` is a value of the option `balance`, or `best` for the best batch sizes."""
    change = (CHANGE - 1) * epoch_steps(open_dataset(dataset).manifest.rows("train"), BATCH)
    slowdowns = [
        dataclasses.asdict(dataclasses.replace(slowdown, later=change, noise=NOISE, seed=rank))
        for rank, slowdown in enumerate(case)
    ]
    config = TrainConfig(
        dataset,
        TrainOptions(
            max_epochs=EPOCHS,
            batch_size=BATCH,
            balance="off" if way == "best" else way,
            seed=seed,
            reader="arrow",
        ),
        NetOptions(embedding_size=4, hidden_size=4, bidirectional=False, pooling="last", wide_size=0),
        batch_sizes=None
        if way != "best"
        else ((0, tuple(best_batch_sizes(case, BATCH))), (change, tuple(best_batch_sizes(case, BATCH, later=True)))),
    )
    file = folder / "job.json"
    file.write_text(config.to_json())
    ranks = ["--standalone", f"--nproc-per-node={len(case)}", "-m", "sentispark.bench.slow_ranks"]
    arguments = [*ranks, "--config", str(file), "--slowdowns", json.dumps(slowdowns)]
    return run_module("torch.distributed.run", arguments, cores=cores)
