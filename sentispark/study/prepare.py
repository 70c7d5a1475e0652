"""How fast reviews become a dataset: by stage, beside what a user would otherwise pick, on one core, and at more rows.

All is measured in one run, on the same rows and cores, in a session that has run before: the start of Spark, and the
first minute in which the JVM compiles, are nobody's merit. What is compared runs in turns, and medians are compared.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
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
from sentispark.study.spark_ways import prepare_by_sql, spark_ml_encoder
from sentispark.study.streaming import LENGTH, WORDS, prepare_by_streaming
from sentispark.text.encoder import ReviewEncoder
from sentispark.text.stopwords import ENGLISH

__all__ = [
    "compare_encoders",
    "compare_prepares",
    "compare_readers",
    "generated_reviews",
    "in_turns",
    "median_ratio",
    "write_many_reviews",
]

_log = logging.getLogger(__name__)

# Short turns before those that are compared: a minute and more, in which the JVM has compiled what is hot.
WARM_UP_TURNS = 5


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


def in_turns(ways: dict[str, Callable[[], float | None]], *, times: int) -> dict[str, list[float]]:
    """Seconds of each way, run in turns; the first turn is not counted. A way may give the seconds that count."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(times + 1):
        for name, way in ways.items():
            started = time.perf_counter()
            own = way()
            took = time.perf_counter() - started if own is None else own
            _log.info("%s: %.2f s%s", name, took, "" if turn else " (not counted)")
            if turn:
                seconds[name].append(took)
    return seconds


def median_ratio(seconds: dict[str, list[float]], slower: str, faster: str) -> float:
    """How many times as long one way takes as the other: the median over turns of the ratios within a turn."""
    return statistics.median(a / b for a, b in zip(seconds[slower], seconds[faster], strict=True))


def compare_encoders(spark: SparkSession, paths: list[str], *, times: int) -> dict[str, Any]:
    """Texts to sequences, fit and transform, by `ReviewEncoder` and by Spark ML's own stages.

    Returns
    -------
    dict
        `rows`, `seconds` of each way by turn, and `ratio`, Spark ML's time over ours.
    """
    texts = read_reviews(spark, paths).usable.select("text").repartition(4 * task_cores(spark)).persist()
    try:
        rows = texts.count()
        ours = ReviewEncoder(
            inputCol="text", outputCol="sequence", stopWords=list(ENGLISH), vocabSize=WORDS, sequenceLength=LENGTH
        )
        theirs = spark_ml_encoder(stop_words=list(ENGLISH), vocabulary_size=WORDS)
        ways = {"sentispark": lambda: _encode(ours, texts), "spark_ml": lambda: _encode(theirs, texts)}
        seconds = in_turns(ways, times=times)
    finally:
        texts.unpersist()
    return {"rows": rows, "seconds": seconds, "ratio": median_ratio(seconds, "spark_ml", "sentispark")}


def _encode(estimator: Estimator, texts: DataFrame) -> None:
    estimator.fit(texts).transform(texts).write.format("noop").mode("overwrite").save()


def compare_prepares(
    spark: SparkSession,
    paths: list[str],
    folder: Path,
    *,
    prepare: Callable[[Sequence[str], str], Any],
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
        `seconds` of each way by turn, `stages` of the streaming jobs' last turn, and the `ratios` of their times over
        ours, `prepare_vs_streaming` and `prepare_vs_spark_sql`.
    """
    stages: dict[str, float] = {}

    def streaming() -> float:
        with _emptied(folder / "streaming") as empty:
            stages.update(prepare_by_streaming(paths, empty, processes=processes)["seconds"])
        return sum(stages.values())  # without the start of the interpreters

    def sql() -> None:
        with _emptied(folder / "sql") as empty:
            prepare_by_sql(spark, paths, f"{empty}/dataset")

    def ours() -> float:
        # Spark ends Python workers that were idle for a minute; the streaming jobs' are up when their clock starts.
        prepare(paths[:1], str(folder / "dataset"))
        started = time.perf_counter()
        prepare(paths, str(folder / "dataset"))
        return time.perf_counter() - started

    for _ in range(WARM_UP_TURNS):
        ours()
    seconds = in_turns({"sentispark": ours, "streaming": streaming, "spark_sql": sql}, times=times)
    ratios = {f"prepare_vs_{name}": median_ratio(seconds, name, "sentispark") for name in ("streaming", "spark_sql")}
    return {"seconds": seconds, "stages": stages, "ratios": ratios}


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
