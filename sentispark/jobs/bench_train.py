"""`sentispark bench train`: epochs beside a bare loop's and a `TorchDistributor`'s, and with twice the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews.options import ReviewOptions
from sentispark.spark.session import task_cores
from sentispark.study.plots import draw_ratios
from sentispark.study.prepare import generated_reviews
from sentispark.study.training import compare_with_bare_loop, compare_with_torch_distributor, double_the_rows
from sentispark.text.options import TextOptions
from sentispark.train.config import TrainConfig, TrainOptions

__all__ = ["measure"]

ROWS = 60_000
EPOCHS = 3
RANKS = 2
# Turns beside the bare loop are many and short: what is to be seen is smaller than the machine's noise.
TURNS = 4
# The length that the 2019 system read: what is compared with runs at it, whatever the default.
TEXT = TextOptions(vocab_size=10_000, sequence_length=100)


def measure(spark: SparkSession, folder: Path, *, rows: int | None, times: int) -> dict[str, Any]:
    """Ratios, seconds and memory; a figure of the ratios goes into the folder."""
    cores, rows = task_cores(spark), rows or ROWS
    few, some, many = (_prepared(spark, folder, number, cores) for number in (rows // 4, rows, 2 * rows))
    once = {"ranks": RANKS, "cores": cores}
    options = TrainOptions(max_epochs=EPOCHS, keep="last")
    short, small, large = (TrainConfig(dataset, options) for dataset in (few, some, many))
    bare = compare_with_bare_loop(short, folder, **once, times=TURNS * times)
    distributor = compare_with_torch_distributor(small, folder, **once)
    doubled = double_the_rows(small, large, folder, **once)
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
    """The dataset of so many generated reviews; that of an earlier run, if it is of the same ones."""
    reviews = generated_reviews(folder / "data", rows, processes=cores)
    output = str(folder / "data" / f"dataset-{rows}")
    return prepare_dataset(spark, reviews, output, ReviewOptions(), TEXT)["output"]
