"""`sentispark bench prepare`: reviews to a dataset beside what one would otherwise pick, and at more and more rows."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from sentispark.dataset.dataset import open_dataset
from sentispark.jobs import bench_alone
from sentispark.jobs.bench_alone import OPTIONS
from sentispark.jobs.prepare import prepare
from sentispark.reviews.options import ReviewOptions
from sentispark.spark.session import task_cores
from sentispark.study.alone import run_alone
from sentispark.study.plots import draw_memory, draw_ratios, draw_stages
from sentispark.study.prepare import compare_encoders, compare_prepares, compare_readers, generated_reviews

__all__ = ["measure"]

ROWS = 1_000_000

# Prepared before the clock runs: few rows at a time many times over, until the JVM has compiled what plans them, too.
WARM_UP_ROWS = 10_000_000

_log = logging.getLogger(__name__)


def measure(
    spark: SparkSession, folder: Path, *, rows: int | None, times: int, sizes: Sequence[int], memory: str
) -> dict[str, Any]:
    """Ratios, seconds and rows per second, and cost and memory by rows; figures of them go into the folder."""
    cores, rows = task_cores(spark), rows or ROWS
    paths = generated_reviews(folder / "data", rows, processes=cores)
    stages: list[dict[str, float]] = []

    def prepare_once(inputs: Sequence[str], output: str) -> None:
        done = prepare(spark, list(inputs), output, ReviewOptions(), OPTIONS, overwrite=True)
        stages.append(done["stage_seconds"])

    prepared = compare_prepares(spark, paths, folder / "data", prepare=prepare_once, processes=cores, times=times)
    encoders = compare_encoders(spark, paths, times=times)
    readers = compare_readers(open_dataset(folder / "data" / "dataset"), times=max(times, 5))
    spark.stop()  # the children are to have the machine to themselves
    alone = _alone(paths, folder, rows=rows, cores=cores, times=times)
    scale = [_scaled(folder, size, cores=cores, memory=memory, times=times) for size in sizes]
    counted = stages[-1 : -2 * times : -2]  # before each there was a short one
    seconds = {name: statistics.median(turns) for name, turns in prepared["seconds"].items()}
    result = {
        "rows": rows,
        "ratios": {"encoder_vs_spark_ml": encoders["ratio"], **prepared["ratios"], **readers["ratios"], **alone},
        "seconds": seconds,
        "rows_per_second": {name: rows / took for name, took in seconds.items()} | readers["rows_per_second"],
        "stage_seconds": {name: statistics.median(turn[name] for turn in counted) for name in stages[0]},
        "streaming_stage_seconds": prepared["stages"],
        "scale": scale,
    }
    draw_ratios(result["ratios"], folder / "ratios.png")
    draw_stages(result["stage_seconds"], result["streaming_stage_seconds"], folder / "stages.png")
    if scale:
        draw_memory(scale, folder / "scale.png")
    return result


def _alone(paths: Sequence[str], folder: Path, *, rows: int, cores: int, times: int) -> dict[str, float]:
    """How much faster all cores are than one."""
    seconds = {}
    for number in {1, cores}:
        _log.info("preparing on %d cores", number)
        seconds[number] = _run_alone(paths, folder, rows=rows, cores=number, memory="2g", times=times)["seconds"]
    return {f"cores_{cores}_vs_1": seconds[1] / seconds[cores]}


def _scaled(folder: Path, rows: int, *, cores: int, memory: str, times: int) -> dict[str, Any]:
    """Cost and memory at so many rows, with so much memory for the driver."""
    paths = generated_reviews(folder / "data", rows, processes=cores)
    _log.info("preparing %d rows with a driver of %s", rows, memory)
    done = _run_alone(paths, folder, rows=rows, cores=cores, memory=memory, times=times)
    return {"rows": rows, **done, "microseconds_per_row": done["seconds"] / rows * 1e6}


def _run_alone(paths: Sequence[str], folder: Path, *, rows: int, cores: int, memory: str, times: int) -> dict[str, Any]:
    """Median seconds of a preparation in a process of its own, and its peak memory."""
    uncounted = max(1, WARM_UP_ROWS // rows)
    output = str(folder / "data" / "alone")
    arguments = [str(cores), memory, str(uncounted + times), output, *paths]
    done = run_alone(bench_alone.__name__, arguments, cores=cores)
    return {"seconds": statistics.median(done["seconds"][uncounted:]), "peak_mib": done["peak_mib"]}
