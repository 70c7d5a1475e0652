"""`sentispark bench train`: seconds of an epoch, compared with a bare DDP loop and `TorchDistributor`.

torchrun starts the ranks, as it does for `sentispark.train` without Spark.
"""

from __future__ import annotations

import logging
import statistics
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from sentispark.bench.peers.torch_distributor import train_by_torch_distributor
from sentispark.bench.plots import draw_ratios
from sentispark.bench.processes import run_module
from sentispark.bench.reviews import generated_reviews
from sentispark.dataset.dataset import open_dataset
from sentispark.errors import InputError
from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews.options import ReviewOptions
from sentispark.spark.session import task_cores
from sentispark.text.options import TextOptions
from sentispark.train.config import TrainConfig
from sentispark.train.options import TrainOptions

__all__ = [
    "compare_with_bare_loop",
    "compare_with_torch_distributor",
    "double_the_rows",
    "measure",
    "train_by_torchrun",
]

_log = logging.getLogger(__name__)

EPOCHS = 3
RANKS = 2
# Short turns of the bare loop for each requested turn: a single one would have more noise than the difference.
TURNS = 4
# Contenders are compared at the 2019 system's vocabulary size and length, independent of the defaults.
TEXT = TextOptions(vocab_size=10_000, sequence_length=100)


def measure(spark: SparkSession, folder: Path, *, rows: int, times: int) -> dict[str, Any]:
    """Measure ratios, seconds and memory, and draw the ratios into the folder.

    Parameters
    ----------
    spark : SparkSession
    folder : Path
    rows : int
        Number of reviews to generate; the bare loop gets a quarter of them, and `2 * rows` are generated for the last
        ratio.
    times : int
        Timed turns, in units of `TURNS`.

    Returns
    -------
    dict
        `rows` of the bare loop, `ratios`, `bare_ddp` and `torch_distributor` with their seconds, `twice_the_rows`.

    Raises
    ------
    InputError
        If the rows fill fewer row groups than there are ranks.
    """
    cores = task_cores(spark)
    few, some, many = (_prepared(spark, folder, number, cores) for number in (rows // 4, rows, 2 * rows))
    groups = len(open_dataset(some).manifest.chunks_of("train"))
    if groups < RANKS:
        raise InputError(
            f"'--rows' must fill at least {RANKS} row groups, as each of TorchDistributor's processes reads its own. "
            f"Got {rows}, which fill {groups}. Raise --rows."
        )
    options = TrainOptions(max_epochs=EPOCHS, keep="last")
    short, small, large = (TrainConfig(dataset, options) for dataset in (few, some, many))
    bare = compare_with_bare_loop(short, folder, ranks=RANKS, cores=cores, times=TURNS * times)
    distributor = compare_with_torch_distributor(small, folder, ranks=RANKS, cores=cores)
    doubled = double_the_rows(small, large, folder, ranks=RANKS, cores=cores)
    ratios = {"vs_bare_ddp": bare["ratio"], "vs_torch_distributor": distributor["ratio"]}
    draw_ratios(ratios, folder / "ratios.png")
    return {
        "rows": bare["rows"],
        "ratios": {**ratios, "twice_the_rows_per_row": doubled["ratio"]},
        "bare_ddp": bare["seconds"],
        "torch_distributor": {name: distributor[name] for name in ("seconds", "roc_auc")},
        "twice_the_rows": doubled["epochs"],
    }


def _prepared(spark: SparkSession, folder: Path, rows: int, cores: int) -> str:
    """The path of a dataset of `rows` generated reviews; the dataset of an earlier run is reused."""
    reviews = generated_reviews(folder / "data", rows, processes=cores)
    output = str(folder / "data" / f"dataset-{rows}")
    return str(prepare_dataset(spark, reviews, output, ReviewOptions(), TEXT)["output"])


def train_by_torchrun(config: TrainConfig, folder: Path, *, ranks: int, cores: int) -> dict[str, Any]:
    """Run `torchrun -m sentispark.train`, and return its JSON and `peak_mib`; see `run_module`."""
    return run_module(
        "torch.distributed.run",
        [*_ranks(ranks, "sentispark.train", config, folder), "--overwrite", "--output", str(folder / "net")],
        cores=cores,
    )


def compare_with_bare_loop(config: TrainConfig, folder: Path, *, ranks: int, cores: int, times: int) -> dict[str, Any]:
    """Compare epochs of sentispark and of a bare DDP loop over the same batches, in turns on the same ranks.

    Returns
    -------
    dict
        `rows`, `seconds` of both by turn, and `ratio`, the bare loop's time over sentispark's.
    """
    arguments = [*_ranks(ranks, "sentispark.bench.peers.bare_ddp", config, folder), "--times", str(times)]
    done = run_module("torch.distributed.run", arguments, cores=cores)
    pairs = list(zip(done["bare"], done["sentispark"], strict=True))
    for bare, ours in pairs:
        _log.info("bare loop: %.2f s, sentispark: %.2f s", bare, ours)
    return {
        "rows": done["rows"],
        "seconds": {"bare": done["bare"], "sentispark": done["sentispark"]},
        "ratio": statistics.median(bare / ours for bare, ours in pairs),
    }


def compare_with_torch_distributor(config: TrainConfig, folder: Path, *, ranks: int, cores: int) -> dict[str, Any]:
    """Compare the same training by sentispark and by `TorchDistributor` with Petastorm.

    Returns
    -------
    dict
        `seconds` of each epoch and `roc_auc` after the last epoch of both, and `ratio`, the median time of an epoch of
        `TorchDistributor` over that of sentispark.
    """
    ours = train_by_torchrun(config, folder, ranks=ranks, cores=cores)
    theirs = train_by_torch_distributor(config, workers=ranks)
    seconds = {"sentispark": [entry["seconds"] for entry in ours["epochs"]], "torch_distributor": theirs["seconds"]}
    for name, epochs in seconds.items():
        _log.info("%s: %s s per epoch", name, [round(epoch, 2) for epoch in epochs])
    return {
        "seconds": seconds,
        "roc_auc": {
            "sentispark": ours["epochs"][-1]["validation"]["roc_auc"],
            "torch_distributor": theirs["validation"]["roc_auc"],
        },
        "ratio": statistics.median(seconds["torch_distributor"]) / statistics.median(seconds["sentispark"]),
    }


def double_the_rows(small: TrainConfig, large: TrainConfig, folder: Path, *, ranks: int, cores: int) -> dict[str, Any]:
    """Compare time and memory of trainings with some rows and with about twice the rows.

    Returns
    -------
    dict
        `epochs`, the `rows`, `seconds` of an epoch and `peak_mib` of the largest rank for each dataset; and `ratio`,
        the time per row of the larger dataset over that of the smaller one.
    """
    epochs = []
    for config in (small, large):
        done = train_by_torchrun(config, folder, ranks=ranks, cores=cores)
        entries = done["epochs"][1:] or done["epochs"]
        rows = open_dataset(config.dataset).manifest.rows("train")
        seconds = statistics.median(entry["seconds"] for entry in entries)
        _log.info("%d rows: %.2f s per epoch, %s MiB", rows, seconds, done["peak_mib"]["worker"])
        epochs.append({"rows": rows, "seconds": seconds, "peak_mib": done["peak_mib"]["worker"]})
    costs = [epoch["seconds"] / epoch["rows"] for epoch in epochs]
    return {"epochs": epochs, "ratio": costs[1] / costs[0]}


def _ranks(number: int, module: str, config: TrainConfig, folder: Path) -> list[str]:
    """The arguments of torchrun that start ranks of a module with a config."""
    file = folder / "job.json"
    file.write_text(config.to_json())
    return ["--standalone", f"--nproc-per-node={number}", "-m", module, "--config", str(file)]
