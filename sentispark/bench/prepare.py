"""`sentispark bench prepare`: how fast reviews become a dataset, compared with the alternatives.

All parts are measured in one run, on the same rows and cores, in a warm session: neither the start of Spark nor the
first minutes, in which the JVM compiles, are measured. Contenders run in turns, and medians are compared. In the same
turns each also runs with few rows, which separates the fixed cost of a preparation from the cost of a row.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pyspark.ml import Estimator
from pyspark.sql import DataFrame, SparkSession

from sentispark.bench.peers.spark_ml import spark_ml_encoder
from sentispark.bench.peers.spark_sql import prepare_by_sql
from sentispark.bench.peers.streaming import LENGTH, WORDS, prepare_by_streaming
from sentispark.bench.plots import draw_memory, draw_ratios, draw_stages
from sentispark.bench.processes import ChildProcess, start_module
from sentispark.bench.readers import compare_readers
from sentispark.bench.reference import REFERENCE_TEXT
from sentispark.bench.reviews import generated_reviews
from sentispark.bench.scaling import compare_cores, measure_sizes
from sentispark.bench.turns import FEW, Contender, at_two_sizes, median_ratio
from sentispark.dataset.dataset import open_dataset
from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews.options import ReviewOptions
from sentispark.reviews.read import read_reviews
from sentispark.spark.session import task_cores
from sentispark.text.encoder import ReviewEncoder
from sentispark.text.options import TextOptions
from sentispark.text.stopwords import ENGLISH

__all__ = ["compare_encoders", "compare_prepares", "compare_with_polars", "measure"]

# Preparations before the timed turns, most of them short: Spark plans them as it plans long ones, and its JVM is still
# compiling the planner after a minute.
WARM_UP_SECONDS = 120

# From the paths of files to a dataset in an output folder, which is replaced.
Prepare = Callable[[Sequence[str], str], None]


def measure(
    spark: SparkSession,
    folder: Path,
    *,
    rows: int,
    times: int,
    parts: Sequence[str],
    sizes: Sequence[int],
    memory: str,
) -> dict[str, Any]:
    """Measure some parts and draw their figures into the folder. Stops Spark.

    Parameters
    ----------
    spark : SparkSession
    folder : Path
    rows : int
        Reviews to generate for all parts but `scale`.
    times : int
        Timed turns.
    parts : sequence of str
        Among `polars`, `encoder`, `peers`, `readers`, `cores` and `scale`.
    sizes : sequence of int
        Numbers of rows for the part `scale`, which is left out if there are none.
    memory : str
        The driver's memory in the part `scale`, in Spark's notation (`1g`).

    Returns
    -------
    dict
        `rows`, `ratios`, and by part `seconds` and `costs` of each contender; see `turns.costs`. Some parts add
        entries of their own: `stage_seconds`, `streaming_stage_seconds`, `rows_per_second`, `scale`.
    """
    cores = task_cores(spark)
    paths = generated_reviews(folder / "data", rows, processes=cores)
    result: dict[str, Any] = {"rows": rows, "ratios": {}, "seconds": {}, "costs": {}}
    _measure_in_session(spark, folder, paths, result, parts=parts, times=times)
    spark.stop()  # so that nothing else runs next to the sessions of the other parts
    if "cores" in parts:
        result["ratios"] |= compare_cores(paths, folder, rows=rows, cores=cores, times=times)
    if "scale" in parts and sizes:
        result["scale"] = measure_sizes(folder, sizes, cores=cores, memory=memory, times=times)
        draw_memory(result["scale"], folder / "scale.png")
    draw_ratios(result["ratios"], folder / "ratios.png")
    return result


def _measure_in_session(
    spark: SparkSession, folder: Path, paths: list[str], result: dict[str, Any], *, parts: Sequence[str], times: int
) -> None:
    """Add the parts that run in this session to the result."""
    data, rows, cores = folder / "data", result["rows"], task_cores(spark)
    stages: list[dict[str, float]] = []

    def prepare(inputs: Sequence[str], output: str, *, text: TextOptions) -> None:
        done = prepare_dataset(spark, list(inputs), output, ReviewOptions(), text, overwrite=True)
        stages.append(done["stage_seconds"])

    def add(part: str, found: Mapping[str, Any]) -> None:
        result["ratios"] |= found["ratios"]
        result["seconds"][part] = {name: statistics.median(turns) for name, turns in found["seconds"].items()}
        result["costs"][part] = found["costs"]

    by_default = functools.partial(prepare, text=TextOptions())
    as_the_reference = functools.partial(prepare, text=REFERENCE_TEXT)
    if "polars" in parts:
        output = str(data / "polars.parquet")
        with start_module("sentispark.bench.peers.polars_pipeline", [output], cores=cores) as polars:
            add("polars", compare_with_polars(paths, data, prepare=by_default, polars=polars, rows=rows, times=times))
        result["stage_seconds"] = _stage_medians(stages, times)
    if "peers" in parts:
        found = compare_prepares(spark, paths, data, prepare=as_the_reference, rows=rows, processes=cores, times=times)
        add("peers", found)
        result["stage_seconds"], result["streaming_stage_seconds"] = _stage_medians(stages, times), found["stages"]
        draw_stages(result["stage_seconds"], found["stages"], folder / "stages.png")
    if "encoder" in parts:
        add("encoder", compare_encoders(spark, paths, times=times))
    if "readers" in parts:
        as_the_reference(paths, str(data / "dataset"))
        found = compare_readers(open_dataset(data / "dataset"), times=max(times, 5))
        result["ratios"] |= found["ratios"]
        result["rows_per_second"] = found["rows_per_second"]


def _stage_medians(stages: Sequence[Mapping[str, float]], times: int) -> dict[str, float]:
    """Medians over the last `times` preparations of all rows.

    A turn has four preparations: one with few rows and one with all rows, each after a short one that starts the Python
    workers.
    """
    counted = stages[-1 : -4 * times : -4]
    return {name: statistics.median(turn[name] for turn in counted) for name in counted[0]}


def compare_encoders(spark: SparkSession, paths: list[str], *, times: int) -> dict[str, Any]:
    """Compare `ReviewEncoder` with Spark ML's own stages, fit and transform, on the same texts.

    Returns
    -------
    dict
        `seconds` of each by turn, their `costs`, and in `ratios` `encoder_vs_spark_ml`, Spark ML's time over ours.
    """
    ours = ReviewEncoder(
        inputCol="text", outputCol="sequence", stopWords=list(ENGLISH), vocabSize=WORDS, sequenceLength=LENGTH
    )
    theirs = spark_ml_encoder(stop_words=list(ENGLISH), vocabulary_size=WORDS)
    with contextlib.ExitStack() as stack:
        texts_by_files = {}
        for some in (paths, paths[: max(1, len(paths) // FEW)]):
            texts = read_reviews(spark, some).usable.select("text").repartition(4 * task_cores(spark)).persist()
            stack.callback(texts.unpersist)
            texts_by_files[len(some)] = texts
        rows = {files: texts.count() for files, texts in texts_by_files.items()}[len(paths)]
        contenders: dict[str, Contender] = {
            "sentispark": lambda some: _encode(ours, texts_by_files[len(some)]),
            "spark_ml": lambda some: _encode(theirs, texts_by_files[len(some)]),
        }
        seconds, found = at_two_sizes(contenders, paths, rows, times=times)
    ratios = {"encoder_vs_spark_ml": median_ratio(seconds, "spark_ml", "sentispark")}
    return {"seconds": seconds, "costs": found, "ratios": ratios}


def _encode(estimator: Estimator[Any], texts: DataFrame) -> None:
    estimator.fit(texts).transform(texts).write.format("noop").mode("overwrite").save()


def compare_prepares(
    spark: SparkSession,
    paths: list[str],
    folder: Path,
    *,
    prepare: Prepare,
    rows: int,
    processes: int,
    times: int,
) -> dict[str, Any]:
    """Compare `prepare` with the reference system's streaming jobs and with plain Spark SQL.

    Parameters
    ----------
    spark : SparkSession
    paths : list of str
        Files of JSON lines.
    folder : Path
        For the outputs of all of them.
    prepare : callable
        From paths to a dataset in an output folder, which is replaced.
    rows : int
        Number of records in all files.
    processes : int
        Number of processes of the streaming jobs, equal to the number of Spark's cores.
    times : int
        Timed turns.

    Returns
    -------
    dict
        `seconds` of each by turn, their `costs`, `stages` of the streaming jobs' last turn, and in `ratios`
        `prepare_vs_streaming` and `prepare_vs_spark_sql`, their time over ours.
    """
    stages: dict[str, float] = {}

    def streaming(some: Sequence[str]) -> float:
        with _empty_folder(folder / "streaming") as empty:
            stages.update(prepare_by_streaming(some, empty, processes=processes)["seconds"])
        return sum(stages.values())  # starting the interpreters is not counted

    def sql(some: Sequence[str]) -> None:
        with _empty_folder(folder / "sql") as empty:
            prepare_by_sql(spark, some, f"{empty}/dataset")

    ours = _warm(prepare, paths, str(folder / "dataset"))
    contenders: dict[str, Contender] = {"sentispark": ours, "streaming": streaming, "spark_sql": sql}
    seconds, found = at_two_sizes(contenders, paths, rows, times=times)
    ratios = {f"prepare_vs_{name}": median_ratio(seconds, name, "sentispark") for name in ("streaming", "spark_sql")}
    return {"seconds": seconds, "costs": found, "stages": stages, "ratios": ratios}


def compare_with_polars(
    paths: list[str], folder: Path, *, prepare: Prepare, polars: ChildProcess, rows: int, times: int
) -> dict[str, Any]:
    """Compare `prepare` with a process that runs `peers.polars_pipeline`.

    Returns
    -------
    dict
        `seconds` of each by turn, their `costs`, and in `ratios` `prepare_vs_polars`, Polars' time over ours.
    """
    contenders: dict[str, Contender] = {
        "sentispark": _warm(prepare, paths, str(folder / "dataset")),
        "polars": lambda some: float(polars.ask(json.dumps(list(some)))["seconds"]),
    }
    seconds, found = at_two_sizes(contenders, paths, rows, times=times)
    ratios = {"prepare_vs_polars": median_ratio(seconds, "polars", "sentispark")}
    return {"seconds": seconds, "costs": found, "ratios": ratios}


def _warm(prepare: Prepare, paths: Sequence[str], output: str) -> Contender:
    """`prepare` as a contender, after a warm-up in which the JVM has compiled it."""

    def ours(some: Sequence[str]) -> float:
        # Spark ends Python workers that were idle for a minute, while the other contenders' processes keep running.
        prepare(paths[:1], output)
        started = time.perf_counter()
        prepare(some, output)
        return time.perf_counter() - started

    turns, began = itertools.cycle([paths, *4 * [paths[:1]]]), time.perf_counter()
    while time.perf_counter() - began < WARM_UP_SECONDS:
        ours(next(turns))
    return ours


@contextlib.contextmanager
def _empty_folder(folder: Path) -> Iterator[Path]:
    """A folder that is empty at the start of the block and removed at its end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)
