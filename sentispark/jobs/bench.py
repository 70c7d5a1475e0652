"""What sentispark does beside what a user would otherwise pick, measured in one run: `sentispark bench NAME`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from sentispark.errors import DatasetError, InputError
from sentispark.files import Folder
from sentispark.jobs import bench_balance, bench_inference, bench_prepare, bench_quality, bench_train
from sentispark.outputs import require_writable
from sentispark.overlap import require_apart
from sentispark.spark.folders import spark_folders
from sentispark.spark.session import task_cores

__all__ = ["add_arguments", "run"]

RESULTS = "results.json"
BENCH = "_bench"

NAMES = ("prepare", "train", "balance", "quality", "inference")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("name", choices=NAMES, help="what to measure")
    parser.add_argument("--output", default="bench", help="folder for results, figures and data (default: bench)")
    parser.add_argument(
        "--rows",
        type=int,
        help=f"reviews to generate (default: prepare {bench_prepare.ROWS}, train {bench_train.ROWS}, "
        f"balance {bench_balance.ROWS}, quality {bench_quality.ROWS}, inference {bench_inference.ROWS})",
    )
    parser.add_argument(
        "--input",
        nargs="+",
        default=[],
        help="quality: review files to use instead of generated ones, as 'prepare' takes them",
    )
    parser.add_argument(
        "--times", type=int, default=3, help="turns that are counted, after one that is not (default: 3)"
    )
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=bench_prepare.PARTS,
        default=bench_prepare.PARTS,
        metavar="PART",
        help=f"prepare: parts to measure, of {', '.join(bench_prepare.PARTS)} (default: all)",
    )
    parser.add_argument(
        "--sizes",
        default="100000,200000,1000000,5000000,10000000",
        help="prepare: numbers of rows at which to measure cost and memory, '' for none (default: %(default)s)",
    )
    parser.add_argument(
        "--memory", default="1g", help="prepare: memory of the driver in that measurement (default: 1g)"
    )


def run(spark: SparkSession, flags: argparse.Namespace) -> dict[str, Any]:
    """The command: its result as the line of JSON has it, which goes into the output's `results.json` too."""
    if not Folder(flags.output).is_local:
        raise InputError(f"The bench writes to a local folder. Got '{flags.output}'.")
    place = Folder(flags.output).child(flags.name).absolute_folder()
    folder = Path(place.path())
    require_apart(place, files=[read.url for read in spark_folders(flags.input)])
    _begin(place)
    machine = {"cores": task_cores(spark), "python": sys.version.split()[0], "memory_gib": _memory_gib()}
    result = {"machine": machine, **_rounded(_measure(spark, folder, flags))}
    (folder / RESULTS).write_text(json.dumps(result, indent=1))
    return result


def _begin(place: Folder) -> None:
    """The bench's own folder, which it writes over each time: a file in it says so. Raises if it is somebody else's."""
    if place.is_file():
        raise DatasetError(f"'{place.url}' must be a folder. It is a file. Name another output.")
    if place.names() and not any(place.exists(name) for name in (BENCH, RESULTS)):
        raise DatasetError(
            f"'{place.url}' must be a folder of an earlier bench, or empty. It is something else. Name another output."
        )
    require_writable(place, name=place.url)
    place.write(BENCH, b"")


def _measure(spark: SparkSession, folder: Path, flags: argparse.Namespace) -> dict[str, Any]:
    if flags.name == "train":
        return bench_train.measure(spark, folder, rows=flags.rows, times=flags.times)
    if flags.name == "balance":
        return bench_balance.measure(spark, folder, rows=flags.rows)
    if flags.name == "inference":
        return bench_inference.measure(spark, folder, rows=flags.rows, times=flags.times)
    if flags.name == "quality":
        return bench_quality.measure(spark, folder, rows=flags.rows, paths=flags.input)
    sizes = [int(size) for size in flags.sizes.split(",") if size]
    asked = {"rows": flags.rows, "times": flags.times, "parts": flags.parts, "sizes": sizes, "memory": flags.memory}
    return bench_prepare.measure(spark, folder, **asked)


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
