"""`sentispark bench balance`: how near the balancer comes to the best possible batch sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from sentispark.evaluate.plots import balance_report
from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews.options import ReviewOptions
from sentispark.spark.session import task_cores
from sentispark.study.balance import measure_balance
from sentispark.study.prepare import generated_reviews
from sentispark.text.options import TextOptions

__all__ = ["measure"]

# About forty steps an epoch.
ROWS = 12_000


def measure(spark: SparkSession, folder: Path, *, rows: int | None) -> dict[str, Any]:
    """η of each case; a figure of each balanced run goes into the folder."""
    cores = task_cores(spark)
    reviews = generated_reviews(folder / "data", rows or ROWS, processes=cores)
    output = str(folder / "data" / "dataset")
    prepare_dataset(spark, reviews, output, ReviewOptions(), TextOptions(), overwrite=True)
    spark.stop()
    found = measure_balance(output, folder, cores=cores)
    for name, run in found.pop("runs").items():
        balance_report(run["history"], folder / f"{name.replace(' ', '-').replace(':', '-')}.png")
    return found
