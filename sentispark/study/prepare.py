"""How fast reviews become a dataset: by stage, beside what a user would otherwise pick, on one core, and at more rows.

All is measured in one run, on the same rows and cores, in a session that has run before: the start of Spark, and the
first minute in which the JVM compiles, are nobody's merit. What is compared runs in turns, and medians are compared.
Each way runs with few rows too, in the same turns: so what a preparation costs whatever its size comes apart from
what a further row costs.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import logging
import multiprocessing
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from pyspark.ml import Estimator
from pyspark.sql import DataFrame, SparkSession

from sentispark.dataset.dataset import Dataset
from sentispark.dataset.readers import ArrowReader, PetastormReader, Reader, choose_reader
from sentispark.errors import SetupError
from sentispark.reviews.generate import generate_reviews
from sentispark.reviews.read import read_reviews
from sentispark.spark.session import task_cores
from sentispark.study.alone import Alone
from sentispark.study.spark_ways import prepare_by_sql, spark_ml_encoder
from sentispark.study.streaming import LENGTH, WORDS, prepare_by_streaming
from sentispark.study.turns import FEW, Way, at_two_sizes, in_turns, median_ratio
from sentispark.text.encoder import ReviewEncoder
from sentispark.text.stopwords import ENGLISH

__all__ = [
    "compare_encoders",
    "compare_prepares",
    "compare_readers",
    "compare_with_polars",
    "generated_reviews",
    "write_many_reviews",
]

_log = logging.getLogger(__name__)

# Warm-up before the timed turns, mostly short ones: Spark plans these as it plans long ones, and after a minute its JVM
# is still busy with compiling the planner.
WARM_UP_SECONDS = 120


def generated_reviews(folder: Path, rows: int, *, processes: int) -> list[str]:
    """The paths of so many generated reviews, 16 files below a folder; those of an earlier run, if they are whole."""
    done = folder / f"reviews-{rows}"
    if not done.exists():
        _log.info("generating %d reviews", rows)
        draft = folder / f"reviews-{rows}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        write_many_reviews(draft, rows, files=16, processes=processes)
        draft.rename(done)
    return sorted(map(str, done.iterdir()))


def write_many_reviews(folder: Path, rows: int, *, files: int, processes: int) -> list[str]:
    """Generated reviews as JSON lines, in files of about equal size, by several processes; gives the files' paths."""
    edges = [rows * number // files for number in range(files + 1)]
    parts = [(str(folder / f"reviews-{first:09d}.jsonl"), first, last) for first, last in itertools.pairwise(edges)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.starmap(_write_part, parts, chunksize=1)
    return [path for path, _, _ in parts]


def _write_part(path: str, first: int, last: int) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in generate_reviews(last - first, first=first))


def compare_encoders(spark: SparkSession, paths: list[str], *, times: int) -> dict[str, Any]:
    """Texts to sequences, fit and transform, by `ReviewEncoder` and by Spark ML's own stages.

    Returns
    -------
    dict
        `seconds` of each way by turn, their `costs`, and `ratios`, `encoder_vs_spark_ml`: Spark ML's time over ours.
    """
    ours = ReviewEncoder(
        inputCol="text", outputCol="sequence", stopWords=list(ENGLISH), vocabSize=WORDS, sequenceLength=LENGTH
    )
    theirs = spark_ml_encoder(stop_words=list(ENGLISH), vocabulary_size=WORDS)
    with contextlib.ExitStack() as stack:
        held = {}
        for some in (paths, paths[: max(1, len(paths) // FEW)]):
            texts = read_reviews(spark, some).usable.select("text").repartition(4 * task_cores(spark)).persist()
            stack.callback(texts.unpersist)
            held[len(some)] = texts
        rows = {files: texts.count() for files, texts in held.items()}[len(paths)]
        ways = {
            "sentispark": lambda some: _encode(ours, held[len(some)]),
            "spark_ml": lambda some: _encode(theirs, held[len(some)]),
        }
        seconds, found = at_two_sizes(ways, paths, rows, times=times)
    ratios = {"encoder_vs_spark_ml": median_ratio(seconds, "spark_ml", "sentispark")}
    return {"seconds": seconds, "costs": found, "ratios": ratios}


def _encode(estimator: Estimator, texts: DataFrame) -> None:
    estimator.fit(texts).transform(texts).write.format("noop").mode("overwrite").save()


def compare_prepares(
    spark: SparkSession,
    paths: list[str],
    folder: Path,
    *,
    prepare: Callable[[Sequence[str], str], Any],
    rows: int,
    processes: int,
    times: int,
) -> dict[str, Any]:
    """JSON lines to a dataset: by `prepare`, by the reference system's streaming jobs, and by plain Spark SQL.

    Parameters
    ----------
    prepare : callable
        From paths and an output folder, which it replaces, to a dataset.
    processes : int
        Of the streaming jobs; as many as Spark has cores.

    Returns
    -------
    dict
        `seconds` of each way by turn, their `costs`, `stages` of the streaming jobs' last turn, and the `ratios` of
        their times over ours, `prepare_vs_streaming` and `prepare_vs_spark_sql`.
    """
    stages: dict[str, float] = {}

    def streaming(some: Sequence[str]) -> float:
        with _emptied(folder / "streaming") as empty:
            stages.update(prepare_by_streaming(some, empty, processes=processes)["seconds"])
        return sum(stages.values())  # without the start of the interpreters

    def sql(some: Sequence[str]) -> None:
        with _emptied(folder / "sql") as empty:
            prepare_by_sql(spark, some, f"{empty}/dataset")

    ours = _warm(prepare, paths, str(folder / "dataset"))
    ways = {"sentispark": ours, "streaming": streaming, "spark_sql": sql}
    seconds, found = at_two_sizes(ways, paths, rows, times=times)
    ratios = {f"prepare_vs_{name}": median_ratio(seconds, name, "sentispark") for name in ("streaming", "spark_sql")}
    return {"seconds": seconds, "costs": found, "stages": stages, "ratios": ratios}


def compare_with_polars(
    paths: list[str],
    folder: Path,
    *,
    prepare: Callable[[Sequence[str], str], Any],
    polars: Alone,
    rows: int,
    times: int,
) -> dict[str, Any]:
    """JSON lines to a dataset by `prepare` and by a process that runs `study.polars_way`.

    Returns
    -------
    dict
        `seconds` of each way by turn, their `costs`, and the `ratios` of Polars' time over ours, `prepare_vs_polars`.
    """
    ways = {
        "sentispark": _warm(prepare, paths, str(folder / "dataset")),
        "polars": lambda some: polars.ask(json.dumps(list(some)))["seconds"],
    }
    seconds, found = at_two_sizes(ways, paths, rows, times=times)
    ratios = {"prepare_vs_polars": median_ratio(seconds, "polars", "sentispark")}
    return {"seconds": seconds, "costs": found, "ratios": ratios}


def _warm(prepare: Callable[[Sequence[str], str], Any], paths: Sequence[str], output: str) -> Way:
    """`prepare` as a way, in a session that has compiled it."""

    def ours(some: Sequence[str]) -> float:
        # Spark ends Python workers that were idle for a minute; the other ways' are up when their clocks start.
        prepare(paths[:1], output)
        started = time.perf_counter()
        prepare(some, output)
        return time.perf_counter() - started

    turns, began = itertools.cycle([paths, *4 * [paths[:1]]]), time.perf_counter()
    while time.perf_counter() - began < WARM_UP_SECONDS:
        ours(next(turns))
    return ours


@contextlib.contextmanager
def _emptied(folder: Path) -> Iterator[Path]:
    """A folder that is there, and empty, at the beginning of a block, and gone at its end."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    yield folder
    shutil.rmtree(folder)


def compare_readers(dataset: Dataset, *, times: int) -> dict[str, Any]:
    """All rows of a dataset by each reader that runs here and by a bare loop over pyarrow.

    Returns
    -------
    dict
        `rows_per_second` of each, and the `ratios` of the readers' to the bare loop's, `reader_petastorm` and
        `reader_arrow`.
    """
    ways: dict[str, Callable[[], None]] = {"bare": lambda: _read_barely(dataset)}
    for name, reader in _readers():
        ways[name] = functools.partial(_read_all, reader, dataset)
    seconds = in_turns(ways, times=times)
    rows = sum(chunk.rows for chunk in dataset.manifest.chunks)
    return {
        "rows_per_second": {name: rows / statistics.median(turns) for name, turns in seconds.items()},
        "ratios": {f"reader_{name}": median_ratio(seconds, "bare", name) for name in ways if name != "bare"},
    }


def _readers() -> Iterator[tuple[str, Reader]]:
    yield "arrow", ArrowReader()
    try:
        choose_reader("petastorm")
        yield "petastorm", PetastormReader()
    except SetupError as error:
        _log.warning("%s", error)


def _read_all(reader: Reader, dataset: Dataset) -> None:
    for chunk in dataset.manifest.chunks:
        reader.read(dataset, chunk)


def _read_barely(dataset: Dataset) -> None:
    for chunk in dataset.manifest.chunks:
        table = pq.read_table(dataset.folder.path(chunk.file), use_threads=False)
        values = table["sequence"].combine_chunks().flatten().to_numpy()
        values.reshape(-1, dataset.manifest.sequence_length)
        for name in ("length", "label"):
            table[name].to_numpy()
