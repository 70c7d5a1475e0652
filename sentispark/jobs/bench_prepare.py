"""`sentispark bench prepare`: reviews to a dataset beside what one would otherwise pick, and at more and more rows."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import logging
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyspark.sql import SparkSession

from sentispark.dataset.dataset import open_dataset
from sentispark.errors import SetupError
from sentispark.jobs import bench_alone
from sentispark.jobs.bench_alone import OPTIONS
from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews.options import ReviewOptions
from sentispark.spark.session import task_cores
from sentispark.study.alone import started_alone
from sentispark.study.plots import draw_memory, draw_ratios, draw_stages
from sentispark.study.prepare import (
    compare_encoders,
    compare_prepares,
    compare_readers,
    compare_with_polars,
    generated_reviews,
)
from sentispark.study.turns import in_turns, median_ratio
from sentispark.text.options import TextOptions

__all__ = ["PARTS", "measure"]

ROWS = 1_000_000

# What is measured, each by itself if need be: all of it takes an hour, the first two some minutes.
PARTS = ("polars", "encoder", "peers", "readers", "cores", "scale")

# Prepared before the clock runs: few rows at a time many times over, until the JVM has compiled what plans them, too.
WARM_UP_ROWS = 10_000_000

_log = logging.getLogger(__name__)


def measure(
    spark: SparkSession,
    folder: Path,
    *,
    rows: int | None,
    times: int,
    parts: Sequence[str] = PARTS,
    sizes: Sequence[int],
    memory: str,
) -> dict[str, Any]:
    """Ratios, seconds, costs by way, and cost and memory by rows, of some parts; figures of them go into the folder.

    `costs` has, for each way, what a run costs whatever its rows (planning, the start of jobs and tasks; sessions and
    processes are up) and what a further row costs.
    """
    if "polars" in parts and importlib.util.find_spec("polars") is None:
        raise SetupError("'bench prepare' needs Polars. Install it: pip install 'sentispark[bench]', or leave it out.")
    cores, rows = task_cores(spark), rows or ROWS
    data = folder / "data"
    paths = generated_reviews(data, rows, processes=cores)
    result: dict[str, Any] = {"rows": rows, "ratios": {}, "seconds": {}, "costs": {}}
    stages: list[dict[str, float]] = []

    def prepare_once(inputs: Sequence[str], output: str, text: TextOptions) -> None:
        done = prepare_dataset(spark, list(inputs), output, ReviewOptions(), text, overwrite=True)
        stages.append(done["stage_seconds"])

    def take(part: str, found: Mapping[str, Any]) -> None:
        result["ratios"] |= found["ratios"]
        result["seconds"][part] = {name: statistics.median(turns) for name, turns in found["seconds"].items()}
        result["costs"][part] = found["costs"]

    by_default = functools.partial(prepare_once, text=TextOptions())
    as_the_reference = functools.partial(prepare_once, text=OPTIONS)
    if "polars" in parts:
        with started_alone("sentispark.study.polars_way", [str(data / "polars.parquet")], cores=cores) as polars:
            asked = {"prepare": by_default, "polars": polars, "rows": rows, "times": times}
            take("polars", compare_with_polars(paths, data, **asked))
        result["stage_seconds"] = _stage_medians(stages, times)
    if "peers" in parts:
        asked = {"prepare": as_the_reference, "rows": rows, "processes": cores, "times": times}
        found = compare_prepares(spark, paths, data, **asked)
        take("peers", found)
        result["stage_seconds"], result["streaming_stage_seconds"] = _stage_medians(stages, times), found["stages"]
        draw_stages(result["stage_seconds"], found["stages"], folder / "stages.png")
    if "encoder" in parts:
        take("encoder", compare_encoders(spark, paths, times=times))
    if "readers" in parts:
        as_the_reference(paths, str(data / "dataset"))
        found = compare_readers(open_dataset(data / "dataset"), times=max(times, 5))
        result["ratios"] |= found["ratios"]
        result["rows_per_second"] = found["rows_per_second"]
    spark.stop()  # the children are to have the machine to themselves
    if "cores" in parts:
        result["ratios"] |= _cores(paths, folder, rows=rows, cores=cores, times=times)
    if "scale" in parts and sizes:
        result["scale"] = _scale(folder, sizes, cores=cores, memory=memory, times=times)
        draw_memory(result["scale"], folder / "scale.png")
    draw_ratios(result["ratios"], folder / "ratios.png")
    return result


def _stage_medians(stages: Sequence[Mapping[str, float]], times: int) -> dict[str, float]:
    """Of the last preparations of all rows: each turn has one, after one of few rows and before both a short one."""
    counted = stages[-1 : -4 * times : -4]
    return {name: statistics.median(turn[name] for turn in counted) for name in counted[0]}


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
