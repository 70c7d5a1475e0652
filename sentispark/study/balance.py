"""How near the balancer comes to the best possible batch sizes, on real ranks that are slowed down in a stated way.

Each case runs with the best sizes, which follow from the slowdowns; with the balancer; with the rule of the 2019
system; and with equal sizes; all under the same noise. η is the time with the best sizes over the time that was taken.
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

from sentispark.dataset.batches import epoch_steps
from sentispark.dataset.dataset import open_dataset
from sentispark.nn.options import NetOptions
from sentispark.study.alone import run_alone
from sentispark.train.balance import equal_finish
from sentispark.train.config import TrainConfig, TrainOptions
from sentispark.train.slowdown import Slowdown

__all__ = ["CASES", "best_sizes", "measure_balance"]

_log = logging.getLogger(__name__)

BATCH = 240
EPOCHS = 8
# Sizes settle in the first epoch, and again in the one that begins with a change.
CHANGE = 5
NOISE = 0.02
# What the loss in the end is worth is seen beside that of so many trainings on equal ranks.
SEEDS = 5

# On equal ranks balancing is to cost less than 1 %: two runs of the same differ by more, so there it is the median.
TURNS = {"equal": 5}

Case = Sequence[Slowdown]

_ROW = 0.0005  # seconds: a small net's own cost is little beside it
CASES: dict[str, Case] = {
    "equal": (Slowdown(per_row=_ROW), Slowdown(per_row=_ROW)),
    "1:2": (Slowdown(per_row=_ROW), Slowdown(per_row=2 * _ROW)),
    "1:4": (Slowdown(per_row=_ROW), Slowdown(per_row=4 * _ROW)),
    "1:1:1:3": (*[Slowdown(per_row=_ROW)] * 3, Slowdown(per_row=3 * _ROW)),
    "mostly fixed": (Slowdown(fixed=0.05, per_row=_ROW / 4), Slowdown(fixed=0.075, per_row=_ROW)),
    "slows down": (Slowdown(per_row=_ROW), Slowdown(per_row=_ROW, later_factor=3.0)),
}


def best_sizes(case: Case, rows: int, *, later: bool = False) -> list[int]:
    """The sizes with which ranks that cost nothing but their slowdown finish together."""
    factor = np.array([slowdown.later_factor if later else 1.0 for slowdown in case])
    fixed = np.array([slowdown.fixed for slowdown in case]) * factor
    per_row = np.array([slowdown.per_row for slowdown in case]) * factor
    bounds = {"low": np.ones(len(case), np.int64), "high": np.full(len(case), rows)}
    return equal_finish(fixed, per_row, rows, **bounds).tolist()


def measure_balance(
    dataset: str, folder: Path, *, cores: int, cases: Mapping[str, Case] = CASES, seeds: int = SEEDS
) -> dict[str, Any]:
    """Run all cases.

    Returns
    -------
    dict
        `eta`, `eta_old_rule` and `eta_equal_sizes` by case, of the settled epochs, medians where there are several
        turns. Of the last turn: `moves`, how often the balancer
        moved rows in them; `loss`, the validation loss in the end of each balanced run, and `loss_of_seeds`, that of
        ranks that nothing slows down or balances; and `runs`, the history of each balanced run.
    """
    kinds = ("eta", "eta_old_rule", "eta_equal_sizes", "moves", "loss", "runs")
    found: dict[str, Any] = {kind: {} for kind in kinds}
    for name, case in cases.items():
        turns = []
        for _ in range(TURNS.get(name, 1)):
            runs = {way: _run(dataset, folder, case, way, cores) for way in ("best", "auto", "epoch", "off")}
            turns.append({way: _settled(run["history"]) for way, run in runs.items()})
            _log.info("%s: %s", name, {way: round(seconds, 2) for way, seconds in turns[-1].items()})
        for kind, way in {"eta": "auto", "eta_old_rule": "epoch", "eta_equal_sizes": "off"}.items():
            found[kind][name] = statistics.median(took["best"] / took[way] for took in turns)
        settled = _settled_epochs(runs["auto"]["history"])
        found["moves"][name] = sum(decision["moved"] for entry in settled for decision in entry["balance"])
        found["loss"][name] = _final_loss(runs["auto"])
        found["runs"][name] = runs["auto"]
    alike = (Slowdown(), Slowdown())
    found["loss_of_seeds"] = [
        _final_loss(_run(dataset, folder, alike, "off", cores, seed=seed)) for seed in range(seeds)
    ]
    return found


def _final_loss(run: Mapping[str, Any]) -> float:
    return run["history"][-1]["validation"]["log_loss"]


def _settled_epochs(history: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [entry for entry in history if entry["epoch"] not in (1, CHANGE)]


def _settled(history: Sequence[Mapping[str, Any]]) -> float:
    return sum(entry["seconds"] for entry in _settled_epochs(history))


def _run(dataset: str, folder: Path, case: Case, way: str, cores: int, *, seed: int = 0) -> dict[str, Any]:
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
        sizes=None
        if way != "best"
        else ((0, tuple(best_sizes(case, BATCH))), (change, tuple(best_sizes(case, BATCH, later=True)))),
    )
    file = folder / "job.json"
    file.write_text(config.to_json())
    ranks = ["--standalone", f"--nproc-per-node={len(case)}", "-m", "sentispark.study.slow_ranks"]
    arguments = [*ranks, "--config", str(file), "--slowdowns", json.dumps(slowdowns)]
    return run_alone("torch.distributed.run", arguments, cores=cores)
