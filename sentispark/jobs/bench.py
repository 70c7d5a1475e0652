"""What sentispark does beside what a user would otherwise pick, measured in one run: `sentispark bench NAME`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from sentispark.dataset.dataset import open_dataset
from sentispark.errors import InputError
from sentispark.files import Folder
from sentispark.jobs import bench_alone
from sentispark.jobs.bench_alone import OPTIONS
from sentispark.jobs.prepare import prepare
from sentispark.reviews.options import ReviewOptions
from sentispark.spark.session import task_cores
from sentispark.study.alone import run_alone
from sentispark.study.plots import draw_memory, draw_ratios, draw_stages
from sentispark.study.prepare import (
    compare_encoders,
    compare_prepares,
    compare_readers,
    write_many_reviews,
)

__all__ = ["add_arguments", "run"]

NAMES = ("prepare",)

# Prepared before the clock runs: the JVM has compiled what is hot by then.
WARM_UP_ROWS = 4_000_000

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", choices=NAMES, help="what is measured")
    parser.add_argument("--output", default="bench", help="folder for results, figures and data (default: bench)")
    parser.add_argument("--rows", type=int, default=1_000_000, help="reviews to generate (default: 1000000)")
    parser.add_argument("--times", type=int, default=3, help="turns that count, after one that does not (default: 3)")
    parser.add_argument(
        "--sizes",
        default="100000,200000,1000000,5000000,10000000",
        help="numbers of rows at which cost per row and memory are measured; none: '' (default: %(default)s)",
    )
    parser.add_argument("--memory", default="1g", help="of the driver in that measurement (default: 1g)")


def run(spark: SparkSession, flags: argparse.Namespace) -> dict[str, Any]:
    """The command: ratios, seconds and rows per second, as the line of JSON has them; more in the output's JSON."""
    if not Folder(flags.output).is_local:
        raise InputError(f"The bench writes to a local folder. Got '{flags.output}'.")
    folder = Path(flags.output, flags.name)
    folder.mkdir(parents=True, exist_ok=True)
    sizes = [int(size) for size in flags.sizes.split(",") if size]
    result = _prepare(spark, folder, rows=flags.rows, times=flags.times, sizes=sizes, memory=flags.memory)
    (folder / "results.json").write_text(json.dumps(result, indent=1))
    return result


def _prepare(
    spark: SparkSession, folder: Path, *, rows: int, times: int, sizes: Sequence[int], memory: str
) -> dict[str, Any]:
    cores = task_cores(spark)
    paths = _reviews(folder / "data", rows, cores)
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
        "machine": {"cores": cores, "python": sys.version.split()[0], "memory_gib": _memory_gib()},
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
    return _rounded(result)


def _reviews(folder: Path, rows: int, cores: int) -> list[str]:
    """Generated reviews, 16 files; those of an earlier run, if they are whole."""
    done = folder / f"reviews-{rows}"
    if not done.exists():
        _log.info("generating %d reviews", rows)
        draft = folder / f"reviews-{rows}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        write_many_reviews(draft, rows, files=16, processes=cores)
        draft.rename(done)
    return sorted(map(str, done.iterdir()))


def _alone(paths: Sequence[str], folder: Path, *, rows: int, cores: int, times: int) -> dict[str, float]:
    """How much faster all cores are than one."""
    seconds = {}
    for number in {1, cores}:
        _log.info("preparing on %d cores", number)
        seconds[number] = _run_alone(paths, folder, rows=rows, cores=number, memory="2g", times=times)["seconds"]
    return {f"cores_{cores}_vs_1": seconds[1] / seconds[cores]}


def _scaled(folder: Path, rows: int, *, cores: int, memory: str, times: int) -> dict[str, Any]:
    """Cost and memory at so many rows, with so much memory for the driver."""
    paths = _reviews(folder / "data", rows, cores)
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


def _memory_gib() -> int:
    return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)


def _rounded(value: Any) -> Any:
    """Every number to four digits that count."""
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_rounded(entry) for entry in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


if __name__ == "__main__":
    from sentispark.jobs.cli import main

    sys.exit(main(["bench", *sys.argv[1:]]))
