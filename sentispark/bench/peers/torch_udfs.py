"""Calls of a torch net as a user of Spark would write them: UDFs on encoded rows, at their full length."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from pyspark import RDD
from pyspark.ml.functions import predict_batch_udf
from pyspark.sql import DataFrame, Row
from pyspark.sql.types import FloatType

from sentispark.train.result import TrainedNet

__all__ = ["predict_by_batch", "predict_by_row"]


def predict_by_batch(trained: TrainedNet, encoded: DataFrame, *, batch_rows: int) -> DataFrame:
    """Sequences to logits with PySpark's `predict_batch_udf`, as its documentation shows it."""

    def make_predict() -> Callable[..., np.ndarray]:
        import torch

        torch.set_num_threads(1)
        net = trained.module()

        def predict(sequence: np.ndarray, length: np.ndarray) -> np.ndarray:
            with torch.inference_mode():
                logits = net(torch.from_numpy(sequence.astype(np.int64)), torch.from_numpy(length.astype(np.int64)))
                return np.asarray(logits.numpy())

        return predict

    predict = predict_batch_udf(
        make_predict,
        return_type=FloatType(),
        batch_size=batch_rows,
        input_tensor_shapes={0: [trained.sequence_length]},
    )
    return encoded.select(predict("sequence", "length"))


def predict_by_row(trained: TrainedNet, encoded: DataFrame) -> RDD[float]:
    """Sequences to logits row by row, as in Horovod's Spark estimators."""

    def predict(rows: Iterable[Row]) -> Iterable[float]:
        import torch

        torch.set_num_threads(1)
        net = trained.module()
        with torch.inference_mode():
            for row in rows:
                yield float(net(torch.tensor([row.sequence]), torch.tensor([row.length]))[0])

    return encoded.rdd.mapPartitions(predict)
