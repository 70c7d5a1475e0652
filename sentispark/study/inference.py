"""How fast texts are judged: by the pipeline, by a bare loop over encoded rows in memory, and by two kinds of UDF.

Each way is measured with two numbers of rows, in turns, which tells what a call costs from what a further row costs.

Who encodes texts with Spark and then calls a torch net in a UDF has the encoder's sequences, at their full length; that
is what `predict_batch_udf` and the UDF of a row at a time get here. The bare loop is as fast as this net goes on these
cores: its rows lie in memory, sorted by length, each batch trimmed to its longest row.
"""

from __future__ import annotations

import dataclasses
import multiprocessing
import statistics
import time
from collections.abc import Iterator
from multiprocessing.pool import Pool
from typing import Any

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyspark.ml import PipelineModel
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import FloatType

from sentispark.ml.options import PredictOptions
from sentispark.nn.options import NetOptions
from sentispark.train.result import TrainedNet

__all__ = [
    "BareLoop",
    "Cost",
    "cost_of",
    "seconds_by_batch_udf",
    "seconds_by_row_udf",
    "seconds_by_transform",
    "times_wide_over_alone",
    "untrained_net",
]

# All ways take as many rows at once.
BATCH_ROWS = PredictOptions.prediction_batch_size


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a way costs, by a line through two sizes: the seconds of a call without rows, and those of a row."""

    call_seconds: float
    row_seconds: float

    def seconds(self, rows: int) -> float:
        """What so many rows take."""
        return self.call_seconds + rows * self.row_seconds


def cost_of(few_rows: int, few_seconds: float, rows: int, seconds: float) -> Cost:
    """The cost of a way that took so long for few rows and so long for more; of one size alone, all is the rows'."""
    row_seconds = (seconds - few_seconds) / (rows - few_rows) if rows > few_rows else seconds / rows
    return Cost(seconds - rows * row_seconds, row_seconds)


def untrained_net(options: NetOptions, *, vocabulary_size: int, sequence_length: int) -> TrainedNet:
    """A net that has learnt nothing: it takes as long as one that has."""
    import safetensors.torch
    import torch

    from sentispark.nn.lstm import ReviewLSTM

    torch.manual_seed(0)
    weights = safetensors.torch.save(ReviewLSTM(vocabulary_size, options).state_dict())
    return TrainedNet(options, vocabulary_size, sequence_length, weights, history=[], run={})


def seconds_by_transform(pipeline: PipelineModel, texts: DataFrame) -> float:
    """Texts to three columns."""
    return _seconds(pipeline.transform(texts).select("rawPrediction", "probability", "prediction"))


def times_wide_over_alone(pipeline: PipelineModel, texts: DataFrame, folder: str, *, columns: int, times: int) -> float:
    """How many times as long a prediction takes whose text stands among other columns of text, in Parquet files.

    Parameters
    ----------
    pipeline : PipelineModel
    texts : DataFrame
        One column, `text`.
    folder : str
        Where the two tables are written.
    columns : int
        Of the wide table; all are texts of about the same length.
    times : int
        Turns; the median of their ratios is what is given.
    """
    others = [F.reverse("text").alias(f"text{number}") for number in range(1, columns)]
    texts.write.mode("overwrite").parquet(f"{folder}/alone")
    texts.select("text", *others).write.mode("overwrite").parquet(f"{folder}/wide")
    spark = texts.sparkSession
    tables = [spark.read.parquet(f"{folder}/{name}") for name in ("wide", "alone")]

    def turn() -> float:
        wide, alone = (_seconds(pipeline.transform(table).select("prediction")) for table in tables)
        return wide / alone

    return statistics.median([turn() for _ in range(times + 1)][1:])


def seconds_by_batch_udf(trained: TrainedNet, encoded: DataFrame) -> float:
    """Sequences to logits by PySpark's `predict_batch_udf`, as its documentation shows it."""

    def make_predict():
        import torch

        torch.set_num_threads(1)
        net = trained.module()

        def predict(sequence: np.ndarray, length: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                return net(
                    torch.from_numpy(sequence.astype(np.int64)), torch.from_numpy(length.astype(np.int64))
                ).numpy()

        return predict

    predict = predict_batch_udf(
        make_predict,
        return_type=FloatType(),
        batch_size=BATCH_ROWS,
        input_tensor_shapes={0: [trained.sequence_length]},
    )
    return _seconds(encoded.select(predict("sequence", "length")))


def seconds_by_row_udf(trained: TrainedNet, encoded: DataFrame) -> float:
    """Sequences to logits one row after another, as Horovod's estimator for Spark does it."""

    def predict(rows: Iterator[Any]) -> Iterator[float]:
        import torch

        torch.set_num_threads(1)
        net = trained.module()
        with torch.inference_mode():
            for row in rows:
                yield float(net(torch.tensor([row.sequence]), torch.tensor([row.length]))[0])

    started = time.perf_counter()
    encoded.rdd.mapPartitions(predict).count()
    return time.perf_counter() - started


def _seconds(frame: DataFrame) -> float:
    started = time.perf_counter()
    frame.write.format("noop").mode("overwrite").save()
    return time.perf_counter() - started


class BareLoop:
    """The net over encoded rows in memory, a process with one thread on each core.

    Parameters
    ----------
    trained : TrainedNet
    encoded : str
        Path of Parquet files with `sequence` and `length`.
    cores : int
    """

    def __init__(self, trained: TrainedNet, encoded: str, cores: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pools: list[Pool] = [context.Pool(1, _load, (trained, encoded, core, cores)) for core in range(cores)]

    def seconds(self, share: int = 1) -> float:
        """What the slowest process takes for its rows, or for those of one in so many of its batches."""
        return max(result.get() for result in [pool.apply_async(_forward, (share,)) for pool in self._pools])

    def rows(self, share: int = 1) -> int:
        """The rows of all processes, or those of one in so many of their batches."""
        return sum(pool.apply(_rows, (share,)) for pool in self._pools)

    def close(self) -> None:
        """End the processes."""
        for pool in self._pools:
            pool.terminate()
            pool.join()


_held: list[Any] = []


def _load(trained: TrainedNet, encoded: str, core: int, cores: int) -> None:
    import torch

    torch.set_num_threads(1)
    table = pq.read_table(encoded, columns=["sequence", "length"])
    table = table.take(np.arange(core, len(table), cores)).combine_chunks()
    length = table.column("length").to_numpy()
    flat = pc.list_flatten(table.column("sequence")).to_numpy()
    order = np.argsort(length, kind="stable")
    sequence, length = flat.reshape(len(length), -1)[order].astype(np.int64), length[order].astype(np.int64)
    batches = []
    for start in range(0, len(length), BATCH_ROWS):
        rows = slice(start, start + BATCH_ROWS)
        steps = max(1, int(length[rows][-1]))
        batches.append((torch.from_numpy(sequence[rows, :steps].copy()), torch.from_numpy(length[rows])))
    _held[:] = [trained.module(), batches]


def _rows(share: int) -> int:
    return sum(len(length) for _, length in _held[1][::share])


def _forward(share: int = 1) -> float:
    import torch

    net, batches = _held
    started = time.perf_counter()
    with torch.inference_mode():
        for sequence, length in batches[::share]:
            net(sequence, length)
    return time.perf_counter() - started
