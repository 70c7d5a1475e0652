"""`sentispark bench prepare`: reviews to a dataset beside what one would otherwise pick, and at more and more rows."""

from __future__ import annotations

import contextlib
import logging
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyspark.sql import SparkSession

from sentispark.dataset.dataset import open_dataset
from sentispark.jobs import bench_alone
from sentispark.jobs.bench_alone import OPTIONS
from sentispark.jobs.prepare import prepare
from sentispark.reviews.options import ReviewOptions
from sentispark.spark.session import task_cores
from sentispark.study.alone import started_alone
from sentispark.study.plots import draw_memory, draw_ratios, draw_stages
from sentispark.study.prepare import (
    compare_encoders,
    compare_prepares,
    compare_readers,
    generated_reviews,
    in_turns,
    median_ratio,
)

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
    alone = _cores(paths, folder, rows=rows, cores=cores, times=times)
    scale = _scale(folder, sizes, cores=cores, memory=memory, times=times)
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


def _cores(paths: Sequence[str], folder: Path, *, rows: int, cores: int, times: int) -> dict[str, float]:
    """How much faster all cores are than one."""
    asked = {str(number): _Asked(paths, rows, cores=number, memory="2g") for number in (1, cores)}
    seconds, _ = _in_turns(asked, folder, times=times)
    return {f"cores_{cores}_vs_1": median_ratio(seconds, "1", str(cores))}


def _scale(folder: Path, sizes: Sequence[int], *, cores: int, memory: str, times: int) -> list[dict[str, Any]]:
    """Cost and memory by rows, with so much memory for the driver.

    `relative_cost` is a row's cost over that of a row where they are the most, each from the same turn.
    """
    asked = {
        str(rows): _Asked(generated_reviews(folder / "data", rows, processes=cores), rows, cores=cores, memory=memory)
        for rows in sizes
    }
    seconds, peaks = _in_turns(asked, folder, times=times)
    return [
        {
            "rows": rows,
            "seconds": statistics.median(seconds[str(rows)]),
            "peak_mib": peaks[str(rows)],
            "microseconds_per_row": statistics.median(seconds[str(rows)]) / rows * 1e6,
            "relative_cost": median_ratio(seconds, str(rows), str(max(sizes))) * max(sizes) / rows,
        }
        for rows in sizes
    ]


class _Asked(NamedTuple):
    """Preparations in a process of their own, of so many rows."""

    paths: Sequence[str]
    rows: int
    cores: int
    memory: str


def _in_turns(
    asked: Mapping[str, _Asked], folder: Path, *, times: int
) -> tuple[dict[str, list[float]], dict[str, dict[str, float]]]:
    """Seconds by turn and peak memory of each. All are warm before the first turn, and idle in each other's turns."""
    with contextlib.ExitStack() as stack:
        children = {}
        for name, one in asked.items():
            _log.info("preparing %d rows on %d cores with a driver of %s", one.rows, one.cores, one.memory)
            arguments = [str(one.cores), one.memory, str(folder / "data" / f"alone-{name}"), *one.paths]
            child = stack.enter_context(started_alone(bench_alone.__name__, arguments, cores=one.cores))
            for _ in range(WARM_UP_ROWS // one.rows):
                child.ask()
            children[name] = child
        ways = {name: lambda child=child: child.ask()["seconds"] for name, child in children.items()}
        return in_turns(ways, times=times), {name: child.peak_mib for name, child in children.items()}
