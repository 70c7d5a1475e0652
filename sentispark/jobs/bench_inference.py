"""`sentispark bench inference`: texts to predictions beside a bare torch loop and two kinds of UDF."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import logging
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession

from sentispark.ml.model import LSTMClassificationModel
from sentispark.nn.options import NetOptions
from sentispark.reviews.read import read_reviews
from sentispark.spark.session import task_cores
from sentispark.study.inference import (
    BareLoop,
    Cost,
    cost_of,
    seconds_by_batch_udf,
    seconds_by_row_udf,
    seconds_by_transform,
    times_wide_over_alone,
    untrained_net,
)
from sentispark.study.plots import draw_ratios
from sentispark.study.prepare import generated_reviews
from sentispark.text.encoder import ReviewEncoder, ReviewEncoderModel
from sentispark.train.result import TrainedNet

__all__ = ["measure"]

_log = logging.getLogger(__name__)

ROWS = 60_000
# The second number of rows is one in so many of the first.
SHARE = 4
# The two kinds of UDF get so many rows at most: all would take them minutes a turn. The rest is their cost of a row.
BATCH_UDF_ROWS, ROW_UDF_ROWS = 12_000, 1_200
# Before a way's clock starts it judges so many rows: Spark ends Python workers that were idle for a minute.
WARM_UP_ROWS = 64
# A table of texts of which one is judged, and the net that judges it: so small that reading counts.
WIDE_COLUMNS, WIDE_ROWS = 100, 10_000
SMALL_NET = NetOptions(embedding_size=8, hidden_size=8, wide_size=1000)


@dataclasses.dataclass(frozen=True)
class _Way:
    """Seconds by number: of the warm-up, of few rows, of more; and how many the latter two are."""

    few: int
    rows: int
    seconds: Callable[[int], float]

    def turn(self) -> tuple[float, Cost]:
        """The seconds of the more, and what they and the few say of the cost."""
        few, more = [self.seconds(rows) for rows in (WARM_UP_ROWS, self.few, self.rows)][1:]
        return more, cost_of(self.few, few, self.rows, more)


def measure(spark: SparkSession, folder: Path, *, rows: int | None, times: int) -> dict[str, Any]:
    """Ratios of rows a second, the transform's over each other's; a figure of them goes into the folder."""
    cores = task_cores(spark)
    files = generated_reviews(folder / "data", rows or ROWS, processes=cores)
    texts = read_reviews(spark, files).usable.select("text").repartition(cores).cache()
    count = texts.count()
    encoder = ReviewEncoder(inputCol="text").fit(texts)
    trained = _net(encoder, NetOptions())
    pipeline = PipelineModel([encoder, LSTMClassificationModel.from_trained(trained)])
    first_call = seconds_by_transform(pipeline, texts.limit(WARM_UP_ROWS))
    path = str(folder / "data" / "encoded")
    encoder.transform(texts).select("sequence", "length").write.mode("overwrite").parquet(path)
    encoded = spark.read.parquet(path)
    with contextlib.closing(BareLoop(trained, path, cores)) as bare:
        few = bare.rows(SHARE)
        ways = {
            "transform": _Way(
                count // SHARE, count, _on(texts, cores, functools.partial(seconds_by_transform, pipeline))
            ),
            "bare_torch": _Way(few, count, lambda rows: bare.seconds(1 if rows == count else SHARE)),
            "predict_batch_udf": _udf(seconds_by_batch_udf, trained, encoded, cores, min(count, BATCH_UDF_ROWS)),
            "row_udf": _udf(seconds_by_row_udf, trained, encoded, cores, min(count, ROW_UDF_ROWS)),
        }
        turns = [{name: way.turn() for name, way in ways.items()} for _ in range(times + 1)][1:]
    # Of a way that got fewer rows, what all would take it.
    seconds = {
        name: [taken if way.rows == count else cost.seconds(count) for taken, cost in (turn[name] for turn in turns)]
        for name, way in ways.items()
    }
    for name, taken in seconds.items():
        _log.info("%s: rows a second %s", name, [round(count / each) for each in taken])
    ratios = {
        f"vs_{name}": statistics.median(
            theirs / ours for theirs, ours in zip(seconds[name], seconds["transform"], strict=True)
        )
        for name in ways
        if name != "transform"
    }
    draw_ratios(ratios, folder / "ratios.png")
    small = PipelineModel([encoder, LSTMClassificationModel.from_trained(_net(encoder, SMALL_NET))])
    narrow = texts.limit(min(count, WIDE_ROWS)).repartition(cores)
    return {
        "rows": count,
        "ratios": ratios,
        "rows_per_second": {name: count / statistics.median(taken) for name, taken in seconds.items()},
        "cost": {
            name: {
                "call_seconds": statistics.median(turn[name][1].call_seconds for turn in turns),
                "microseconds_per_row": 1e6 * statistics.median(turn[name][1].row_seconds for turn in turns),
            }
            for name in ways
        },
        "first_call_seconds": first_call,
        "wide_over_text_alone": times_wide_over_alone(
            small, narrow, str(folder / "data"), columns=WIDE_COLUMNS, times=max(times, 5)
        ),
    }


def _net(encoder: ReviewEncoderModel, options: NetOptions) -> TrainedNet:
    return untrained_net(options, vocabulary_size=encoder.word_list.size, sequence_length=encoder.getSequenceLength())


def _on(frame: DataFrame, cores: int, seconds: Callable[[DataFrame], float]) -> Callable[[int], float]:
    """The seconds by the number of the frame's rows, which lie in memory, in a partition a core."""

    @functools.cache
    def of(rows: int) -> DataFrame:
        part = frame.limit(rows).repartition(cores).cache()
        part.count()
        return part

    return lambda rows: seconds(of(rows))


def _udf(
    seconds: Callable[[TrainedNet, DataFrame], float], trained: TrainedNet, encoded: DataFrame, cores: int, rows: int
) -> _Way:
    return _Way(rows // SHARE, rows, _on(encoded, cores, functools.partial(seconds, trained)))
