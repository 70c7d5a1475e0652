"""`sentispark bench inference`: texts to predictions beside a bare torch loop and two kinds of UDF."""

from __future__ import annotations

import contextlib
import logging
import statistics
from pathlib import Path
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession

from sentispark.ml.model import LSTMClassificationModel
from sentispark.nn.options import NetOptions
from sentispark.reviews.read import read_reviews
from sentispark.spark.session import task_cores
from sentispark.study.inference import (
    BareLoop,
    seconds_by_batch_udf,
    seconds_by_row_udf,
    seconds_by_transform,
    untrained_net,
)
from sentispark.study.plots import draw_ratios
from sentispark.study.prepare import generated_reviews
from sentispark.text.encoder import ReviewEncoder

__all__ = ["measure"]

_log = logging.getLogger(__name__)

ROWS = 60_000
# Of so many rows the UDF of a row at a time gets one: all of them would take it minutes a turn.
ROW_UDF_SHARE = 50


def measure(spark: SparkSession, folder: Path, *, rows: int | None, times: int) -> dict[str, Any]:
    """Ratios of rows a second, the transform's over each other's; a figure of them goes into the folder."""
    cores = task_cores(spark)
    files = generated_reviews(folder / "data", rows or ROWS, processes=cores)
    texts = read_reviews(spark, files).usable.select("text").repartition(cores).cache()
    count = texts.count()
    encoder = ReviewEncoder(inputCol="text").fit(texts)
    trained = untrained_net(
        NetOptions(), vocabulary_size=encoder.word_list.size, sequence_length=encoder.getSequenceLength()
    )
    pipeline = PipelineModel([encoder, LSTMClassificationModel.from_trained(trained)])
    path = str(folder / "data" / "encoded")
    encoder.transform(texts).select("sequence", "length").write.mode("overwrite").parquet(path)
    encoded = spark.read.parquet(path)
    few = encoded.limit(count // ROW_UDF_SHARE).repartition(cores).cache()
    few_rows = few.count()
    with contextlib.closing(BareLoop(trained, path, cores)) as bare:
        ways = {
            "transform": lambda: count / seconds_by_transform(pipeline, texts),
            "bare_torch": lambda: count / bare.seconds(),
            "predict_batch_udf": lambda: count / seconds_by_batch_udf(trained, encoded),
            "row_udf": lambda: few_rows / seconds_by_row_udf(trained, few),
        }
        turns = [{name: run() for name, run in ways.items()} for _ in range(times + 1)][1:]
    for turn in turns:
        _log.info("rows a second: %s", {name: round(speed) for name, speed in turn.items()})
    ratios = {
        f"vs_{name}": statistics.median(turn["transform"] / turn[name] for turn in turns)
        for name in ways
        if name != "transform"
    }
    draw_ratios(ratios, folder / "ratios.png")
    speeds = {name: statistics.median(turn[name] for turn in turns) for name in ways}
    return {"rows": count, "ratios": ratios, "rows_per_second": speeds}
