"""`sentispark bench NAME`: sentispark compared with the alternatives, both measured in the same run."""

from __future__ import annotations

import argparse
import dataclasses
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from sentispark.bench.packages import require_package
from sentispark.bench.results import begin_folder, machine, write_results
from sentispark.files import Folder
from sentispark.jobs.flags import add_flags, add_session_flags
from sentispark.options import options_of
from sentispark.spark.folders import spark_folders
from sentispark.spark.session import task_cores
from sentispark.train.options import TrainOptions

__all__ = ["BENCHES", "Bench", "add_arguments", "run"]

Measure = Callable[[SparkSession, Path], dict[str, Any]]


@dataclasses.dataclass(frozen=True)
class Bench:
    """One bench of the command.

    Attributes
    ----------
    summary : str
        For the command's help.
    add_flags : callable
        Adds its flags to a parser.
    configured : callable
        From the parsed flags to the function that measures. It imports the bench's modules, as some take seconds, and
        raises `SetupError` if a package is missing.
    """

    summary: str
    add_flags: Callable[[argparse.ArgumentParser], None]
    configured: Callable[[argparse.Namespace], Measure]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare a sub-command for each bench."""
    benches = parser.add_subparsers(dest="bench", required=True, metavar="NAME")
    for name, bench in BENCHES.items():
        one = benches.add_parser(
            name, help=bench.summary, description=bench.summary[0].upper() + bench.summary[1:] + "."
        )
        one.add_argument("--output", default="bench", help="folder for results, figures and data (default: bench)")
        bench.add_flags(one)
        add_session_flags(one, nested=True)


def run(spark: SparkSession, flags: argparse.Namespace) -> dict[str, Any]:
    """Run the bench, write `results.json` and return its content."""
    measure = BENCHES[flags.bench].configured(flags)
    files = [file.url for file in spark_folders(getattr(flags, "input", []))]
    datasets = [Folder(flags.dataset)] if "dataset" in flags else []
    folder = begin_folder(Folder(flags.output), flags.bench, files=files, folders=datasets)
    machine_entry = machine(cores=task_cores(spark))
    return write_results(folder, {"machine": machine_entry, **measure(spark, Path(folder.path()))})


def _add_rows(parser: argparse.ArgumentParser, default: int) -> None:
    parser.add_argument(
        "--rows", type=int, default=default, help="number of reviews to generate (default: %(default)s)"
    )


def _add_times(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--times", type=int, default=3, help="number of timed turns, after a warm-up turn (default: 3)")


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


# All parts take an hour, the first two a few minutes.
_PARTS = ("polars", "encoder", "peers", "readers", "cores", "scale")


def _add_prepare_flags(parser: argparse.ArgumentParser) -> None:
    _add_rows(parser, 1_000_000)
    _add_times(parser)
    parser.add_argument(
        "--parts",
        nargs="+",
        choices=_PARTS,
        default=_PARTS,
        metavar="PART",
        help=f"parts to measure: {', '.join(_PARTS)} (default: all)",
    )
    parser.add_argument(
        "--sizes",
        type=_numbers,
        default="100000,200000,1000000,5000000,10000000",
        help="numbers of rows for 'scale', separated by commas; '' for none (default: %(default)s)",
    )
    parser.add_argument("--memory", default="1g", help="driver memory for 'scale' (default: 1g)")


def _prepare(flags: argparse.Namespace) -> Measure:
    if "polars" in flags.parts:
        alternative = " (Python 3.11 or newer), or leave 'polars' out of --parts"
        require_package("prepare", "polars", name="Polars", alternative=alternative)
    from sentispark.bench.prepare import measure

    options = {"rows": flags.rows, "times": flags.times, "parts": flags.parts}
    return functools.partial(measure, **options, sizes=flags.sizes, memory=flags.memory)


def _add_train_flags(parser: argparse.ArgumentParser) -> None:
    _add_rows(parser, 60_000)
    _add_times(parser)


def _train(flags: argparse.Namespace) -> Measure:
    require_package("train", "petastorm", name="Petastorm", extra="petastorm")
    from sentispark.bench.train import measure

    return functools.partial(measure, rows=flags.rows, times=flags.times)


def _add_balance_flags(parser: argparse.ArgumentParser) -> None:
    _add_rows(parser, 12_000)  # about forty steps an epoch


def _balance(flags: argparse.Namespace) -> Measure:
    from sentispark.bench.balance import measure

    return functools.partial(measure, rows=flags.rows)


def _add_quality_flags(parser: argparse.ArgumentParser) -> None:
    _add_rows(parser, 60_000)
    parser.add_argument(
        "--input", nargs="+", default=[], help="review files to use instead of generated ones, as for 'prepare'"
    )


def _quality(flags: argparse.Namespace) -> Measure:
    require_package("quality", "sklearn", name="scikit-learn")
    from sentispark.bench.quality import measure

    return functools.partial(measure, rows=flags.rows, paths=flags.input)


def _add_inference_flags(parser: argparse.ArgumentParser) -> None:
    _add_rows(parser, 60_000)
    _add_times(parser)


def _inference(flags: argparse.Namespace) -> Measure:
    from sentispark.bench.inference import measure

    return functools.partial(measure, rows=flags.rows, times=flags.times)


def _add_throughput_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", help="folder on this machine that 'prepare' wrote")
    _add_times(parser)
    parser.add_argument(
        "--batches",
        type=_numbers,
        default="128,512,2048,8192,16384",
        help="global batch sizes, separated by commas (default: %(default)s)",
    )
    parser.add_argument(
        "--ranks", type=int, help="number of training ranks (default: one for each GPU, or one without GPUs)"
    )
    other_options = [field.name for field in options_of(TrainOptions) if field.name != "precision"]
    add_flags(parser, TrainOptions, without=tuple(other_options))


def _throughput(flags: argparse.Namespace) -> Measure:
    from sentispark.bench.throughput import measure

    def without_spark(spark: SparkSession, folder: Path) -> dict[str, Any]:
        cores = task_cores(spark)
        spark.stop()  # so that nothing else runs next to the ranks
        options = {"dataset": flags.dataset, "batches": flags.batches, "ranks": flags.ranks, "cores": cores}
        return measure(folder, **options, precision=flags.precision, times=flags.times)

    return without_spark


def _add_faults_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kills", type=int, default=20, help="number of trainings to disturb (default: 20)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the moments and the victims (default: 0)")
    _add_times(parser)


def _faults(flags: argparse.Namespace) -> Measure:
    from sentispark.bench.faults import measure

    return functools.partial(measure, kills=flags.kills, seed=flags.seed, times=flags.times)


BENCHES = {
    "prepare": Bench(
        "prepare reviews, compared with streaming jobs, Spark SQL, Spark ML's stages and Polars",
        _add_prepare_flags,
        _prepare,
    ),
    "train": Bench("train, compared with a bare DDP loop and TorchDistributor", _add_train_flags, _train),
    "balance": Bench(
        "train on ranks of different speeds, compared with the best batch sizes", _add_balance_flags, _balance
    ),
    "quality": Bench("classify reviews, compared with linear models", _add_quality_flags, _quality),
    "inference": Bench(
        "predict, compared with a bare torch loop and two kinds of UDF", _add_inference_flags, _inference
    ),
    "faults": Bench(
        "train with injected faults, compared with an undisturbed training",
        _add_faults_flags,
        _faults,
    ),
    "throughput": Bench(
        "train with several batch sizes, on GPUs if there are any, compared with a bare DDP loop",
        _add_throughput_flags,
        _throughput,
    ),
}


if __name__ == "__main__":
    from sentispark.jobs.cli import main

    sys.exit(main(["bench", *sys.argv[1:]]))
