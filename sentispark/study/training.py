"""How fast ranks train: beside a bare loop, beside what a user of Spark and torch would write, and with twice the data.

Ranks are processes that torchrun starts, two a measurement, as `sentispark.train` is run without Spark.
"""

from __future__ import annotations

import logging
import statistics
from pathlib import Path
from typing import Any

from sentispark.dataset.dataset import open_dataset
from sentispark.study.alone import run_alone
from sentispark.study.torch_distributor import train_by_torch_distributor
from sentispark.train.config import TrainConfig

__all__ = ["compare_with_bare_loop", "compare_with_torch_distributor", "double_the_rows", "train_alone"]

_log = logging.getLogger(__name__)


def train_alone(config: TrainConfig, folder: Path, *, ranks: int, cores: int) -> dict[str, Any]:
    """Train by `torchrun -m sentispark.train`; its line of JSON and `peak_mib`, see `run_alone`."""
    return run_alone(
        "torch.distributed.run",
        [*_ranks(ranks, "sentispark.train", config, folder), "--overwrite", "--output", str(folder / "net")],
        cores=cores,
    )


def compare_with_bare_loop(config: TrainConfig, folder: Path, *, ranks: int, cores: int, times: int) -> dict[str, Any]:
    """Epochs of sentispark and of a bare DDP loop over the same batches, in turns on the same ranks.

    Returns
    -------
    dict
        `rows`, `seconds` of both by turn, and `ratio`, the bare loop's time over sentispark's.
    """
    arguments = [*_ranks(ranks, "sentispark.study.bare_ddp", config, folder), "--times", str(times)]
    done = run_alone("torch.distributed.run", arguments, cores=cores)
    pairs = list(zip(done["bare"], done["sentispark"], strict=True))
    for bare, ours in pairs:
        _log.info("bare loop: %.2f s, sentispark: %.2f s", bare, ours)
    return {
        "rows": done["rows"],
        "seconds": {"bare": done["bare"], "sentispark": done["sentispark"]},
        "ratio": statistics.median(bare / ours for bare, ours in pairs),
    }


def compare_with_torch_distributor(config: TrainConfig, folder: Path, *, ranks: int, cores: int) -> dict[str, Any]:
    """The same training by sentispark and by `TorchDistributor` with Petastorm, at the dataset's full length.

    Returns
    -------
    dict
        `seconds` of each epoch and the `roc_auc` after the last one, of both, and `ratio`, the other's median time of
        an epoch over sentispark's.
    """
    ours = train_alone(config, folder, ranks=ranks, cores=cores)
    theirs = train_by_torch_distributor(config, workers=ranks)
    seconds = {"sentispark": [entry["seconds"] for entry in ours["epochs"]], "torch_distributor": theirs["seconds"]}
    for name, epochs in seconds.items():
        _log.info("%s: %s s an epoch", name, [round(epoch, 2) for epoch in epochs])
    return {
        "seconds": seconds,
        "roc_auc": {
            "sentispark": ours["epochs"][-1]["validation"]["roc_auc"],
            "torch_distributor": theirs["validation"]["roc_auc"],
        },
        "ratio": statistics.median(seconds["torch_distributor"]) / statistics.median(seconds["sentispark"]),
    }


def double_the_rows(small: TrainConfig, large: TrainConfig, folder: Path, *, ranks: int, cores: int) -> dict[str, Any]:
    """What an epoch takes and the largest rank's memory with some rows and with about twice as many.

    Returns
    -------
    dict
        `epochs`, of each dataset `rows`, `seconds` of an epoch and `peak_mib` of a rank; and `ratio`, how many times as
        long a row of the larger one takes.
    """
    epochs = []
    for config in (small, large):
        done = train_alone(config, folder, ranks=ranks, cores=cores)
        entries = done["epochs"][1:] or done["epochs"]
        rows = open_dataset(config.dataset).manifest.rows("train")
        seconds = statistics.median(entry["seconds"] for entry in entries)
        _log.info("%d rows: %.2f s an epoch, %s MiB", rows, seconds, done["peak_mib"]["worker"])
        epochs.append({"rows": rows, "seconds": seconds, "peak_mib": done["peak_mib"]["worker"]})
    costs = [epoch["seconds"] / epoch["rows"] for epoch in epochs]
    return {"epochs": epochs, "ratio": costs[1] / costs[0]}


def _ranks(number: int, module: str, config: TrainConfig, folder: Path) -> list[str]:
    """The arguments that have torchrun start ranks of a module with a config."""
    file = folder / "job.json"
    file.write_text(config.to_json())
    return ["--standalone", f"--nproc-per-node={number}", "-m", module, "--config", str(file)]
