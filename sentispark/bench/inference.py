"""`sentispark bench inference`: texts to predictions, compared with a bare torch loop and two kinds of UDF.

Each contender runs with two numbers of rows, in turns, which separates the cost of a call from the cost of a row. The
UDFs take the encoder's sequences at their full length, as in a pipeline that encodes texts with Spark and calls a torch
net in a UDF. The bare loop is the upper bound of the net's speed on these cores.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sentispark.bench.peers.bare_torch import BareTorch
from sentispark.bench.peers.torch_udfs import predict_by_batch, predict_by_row
from sentispark.bench.plots import draw_ratios
from sentispark.bench.reviews import generated_reviews
from sentispark.ml.model import LSTMClassificationModel
from sentispark.ml.options import PredictOptions
from sentispark.nn.options import NetOptions
from sentispark.reviews.read import read_reviews
from sentispark.spark.session import task_cores
from sentispark.text.encoder import ReviewEncoder, ReviewEncoderModel
from sentispark.train.result import RunRecord, TrainedNet

__all__ = ["Cost", "cost_of", "measure", "untrained_net", "wide_over_alone"]

_log = logging.getLogger(__name__)

# A contender's short run takes 1 / SHARE of the rows of its long run.
SHARE = 4
# With all rows the UDFs would take minutes per turn: they get these, and their time for all rows is extrapolated.
BATCH_UDF_ROWS, ROW_UDF_ROWS = 12_000, 1_200
# Predicted before a contender is timed, as Spark ends Python workers that were idle for a minute.
WARM_UP_ROWS = 64
# The batch size of all contenders.
BATCH_ROWS = PredictOptions().prediction_batch_size
# A table of many text columns, of which one is read, and a net so small that the cost of reading shows.
WIDE_COLUMNS, WIDE_ROWS = 100, 10_000
SMALL_NET = NetOptions(embedding_size=8, hidden_size=8, wide_size=1000)


@dataclasses.dataclass(frozen=True)
class Cost:
    """The line through the seconds at two numbers of rows: the cost of a call, and that of each row."""

    call_seconds: float
    row_seconds: float

    def seconds(self, rows: int) -> float:
        """The seconds of a call with `rows` rows."""
        return self.call_seconds + rows * self.row_seconds


def cost_of(few_rows: int, few_seconds: float, rows: int, seconds: float) -> Cost:
    """The cost from the seconds with few rows and with more.

    If both numbers of rows are equal, the call itself is taken to cost nothing.

    >>> cost_of(100, 3.0, 300, 5.0)
    Cost(call_seconds=2.0, row_seconds=0.01)
    """
    row_seconds = (seconds - few_seconds) / (rows - few_rows) if rows > few_rows else seconds / rows
    return Cost(seconds - rows * row_seconds, row_seconds)


@dataclasses.dataclass(frozen=True)
class _Contender:
    """A contender: its seconds as a function of the rows, and the rows of its short and its long run."""

    few: int
    rows: int
    seconds: Callable[[int], float]

    def turn(self) -> tuple[float, Cost]:
        """The seconds of the long run, and the cost that follows from both runs."""
        _, few, more = [self.seconds(rows) for rows in (WARM_UP_ROWS, self.few, self.rows)]
        return more, cost_of(self.few, few, self.rows, more)


# A turn: the seconds and the cost of each contender.
_Turn = Mapping[str, tuple[float, Cost]]


def measure(spark: SparkSession, folder: Path, *, rows: int, times: int) -> dict[str, Any]:
    """Measure all contenders on generated reviews; a figure of the ratios goes into the folder.

    Parameters
    ----------
    spark : SparkSession
    folder : Path
    rows : int
        Reviews to generate.
    times : int
        Timed turns.

    Returns
    -------
    dict
        `rows`; `ratios`, the speed of the transform over that of each other contender; `rows_per_second` and `cost` of
        each;
        `first_call_seconds` of the transform; and `wide_over_text_alone`, see `wide_over_alone`.
    """
    cores, data = task_cores(spark), folder / "data"
    files = generated_reviews(data, rows, processes=cores)
    texts = read_reviews(spark, files).usable.select("text").repartition(cores).cache()
    count = texts.count()
    encoder = ReviewEncoder(inputCol="text").fit(texts)
    trained = _net(encoder, NetOptions())
    pipeline = PipelineModel([encoder, LSTMClassificationModel.from_trained(trained)])
    first_call = _seconds_to_transform(pipeline, texts.limit(WARM_UP_ROWS))
    path = str(data / "encoded")
    encoder.transform(texts).select("sequence", "length").write.mode("overwrite").parquet(path)
    with _contenders(pipeline, trained, texts, path, cores) as contenders:
        turns = [{name: contender.turn() for name, contender in contenders.items()} for _ in range(times + 1)][1:]
    seconds = {
        name: _seconds_for_all(contender, [turn[name] for turn in turns], count)
        for name, contender in contenders.items()
    }
    ratios = _ratios(seconds)
    draw_ratios(ratios, folder / "ratios.png")
    small = PipelineModel([encoder, LSTMClassificationModel.from_trained(_net(encoder, SMALL_NET))])
    narrow = texts.limit(min(count, WIDE_ROWS)).repartition(cores)
    return {
        "rows": count,
        "ratios": ratios,
        "rows_per_second": {name: count / statistics.median(taken) for name, taken in seconds.items()},
        "cost": _costs(turns),
        "first_call_seconds": first_call,
        "wide_over_text_alone": wide_over_alone(small, narrow, str(data), columns=WIDE_COLUMNS, times=max(times, 5)),
    }


@contextlib.contextmanager
def _contenders(
    pipeline: PipelineModel, trained: TrainedNet, texts: DataFrame, encoded_path: str, cores: int
) -> Iterator[dict[str, _Contender]]:
    """All contenders by name; the processes of the bare loop are ended after the block."""
    count, encoded = texts.count(), texts.sparkSession.read.parquet(encoded_path)

    def udf(seconds: Callable[[DataFrame], float], most: int) -> _Contender:
        rows = min(count, most)
        return _Contender(rows // SHARE, rows, _by_rows(encoded, cores, seconds))

    def by_batch(rows: DataFrame) -> float:
        return _seconds_to_compute(predict_by_batch(trained, rows, batch_rows=BATCH_ROWS))

    def by_row(rows: DataFrame) -> float:
        return _seconds_of(lambda: predict_by_row(trained, rows).count())

    transform = functools.partial(_seconds_to_transform, pipeline)
    with contextlib.closing(BareTorch(trained, encoded_path, cores, batch_rows=BATCH_ROWS)) as bare:
        yield {
            "transform": _Contender(count // SHARE, count, _by_rows(texts, cores, transform)),
            "bare_torch": _Contender(bare.rows(SHARE), count, lambda rows: bare.seconds(1 if rows == count else SHARE)),
            "predict_batch_udf": udf(by_batch, BATCH_UDF_ROWS),
            "row_udf": udf(by_row, ROW_UDF_ROWS),
        }


def _by_rows(frame: DataFrame, cores: int, seconds: Callable[[DataFrame], float]) -> Callable[[int], float]:
    """The seconds as a function of the number of rows; the rows are in memory, in one partition for each core."""

    @functools.cache
    def first(rows: int) -> DataFrame:
        part = frame.limit(rows).repartition(cores).cache()
        part.count()
        return part

    return lambda rows: seconds(first(rows))


def _seconds_for_all(contender: _Contender, turns: Sequence[tuple[float, Cost]], count: int) -> list[float]:
    """The seconds by turn; for a contender that got fewer rows, extrapolated to all rows."""
    return [taken if contender.rows == count else cost.seconds(count) for taken, cost in turns]


def _ratios(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The speed of the transform over that of each other contender: medians over turns."""
    ours = seconds["transform"]
    return {
        f"vs_{name}": statistics.median(theirs / own for theirs, own in zip(taken, ours, strict=True))
        for name, taken in seconds.items()
        if name != "transform"
    }


def _costs(turns: Sequence[_Turn]) -> dict[str, dict[str, float]]:
    """The cost of each contender: medians over turns."""
    by_name = {name: [turn[name][1] for turn in turns] for name in turns[0]}
    return {
        name: {
            "call_seconds": statistics.median(cost.call_seconds for cost in costs),
            "microseconds_per_row": 1e6 * statistics.median(cost.row_seconds for cost in costs),
        }
        for name, costs in by_name.items()
    }


def wide_over_alone(pipeline: PipelineModel, texts: DataFrame, folder: str, *, columns: int, times: int) -> float:
    """The seconds of predictions on a Parquet table of many text columns, over those on the one text column.

    Parameters
    ----------
    pipeline : PipelineModel
    texts : DataFrame
        One column, `text`.
    folder : str
        For the two tables.
    columns : int
        Text columns of the wide table, all of about the same length.
    times : int
        Timed turns; the median of their ratios is returned.
    """
    other_columns = [F.reverse("text").alias(f"text{number}") for number in range(1, columns)]
    texts.write.mode("overwrite").parquet(f"{folder}/alone")
    texts.select("text", *other_columns).write.mode("overwrite").parquet(f"{folder}/wide")
    spark = texts.sparkSession
    tables = [spark.read.parquet(f"{folder}/{name}") for name in ("wide", "alone")]

    def turn() -> float:
        wide, alone = (_seconds_to_compute(pipeline.transform(table).select("prediction")) for table in tables)
        return wide / alone

    return statistics.median([turn() for _ in range(times + 1)][1:])


def untrained_net(options: NetOptions, *, vocabulary_size: int, sequence_length: int) -> TrainedNet:
    """A net with its initial weights, which takes as long as a trained one."""
    import safetensors.torch
    import torch

    from sentispark.nn.net import build_net

    torch.manual_seed(0)
    weights = safetensors.torch.save(build_net(vocabulary_size, options).state_dict())
    run: RunRecord = {
        "workers": 0,
        "reader": "",
        "backend": "",
        "device": "",
        "gradient_wire": None,
        "threads": [],
        "kept_epoch": 0,
        "batch_sizes": [],
        "options": {},
        "text_options": {},
        "vocabulary_fingerprint": None,
        "versions": {},
        "attempts": [],
    }
    return TrainedNet(options, vocabulary_size, sequence_length, weights, history=[], run=run)


def _net(encoder: ReviewEncoderModel, options: NetOptions) -> TrainedNet:
    return untrained_net(
        options, vocabulary_size=encoder.word_list.size, sequence_length=encoder.getOrDefault("sequenceLength")
    )


def _seconds_to_transform(pipeline: PipelineModel, texts: DataFrame) -> float:
    """The seconds from texts to the three columns of a classifier."""
    return _seconds_to_compute(pipeline.transform(texts).select("rawPrediction", "probability", "prediction"))


def _seconds_to_compute(frame: DataFrame) -> float:
    return _seconds_of(lambda: frame.write.format("noop").mode("overwrite").save())


def _seconds_of(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
