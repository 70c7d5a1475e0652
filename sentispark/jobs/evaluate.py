"""`sentispark evaluate`: the measures of a trained pipeline on a split of a dataset."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from pyspark.sql import SparkSession

from sentispark.dataset.dataset import open_dataset
from sentispark.dataset.manifest import SPLITS
from sentispark.evaluate.metrics import Measures
from sentispark.ml.model import LSTMClassificationModel
from sentispark.ml.pipeline import load_pipeline, require_same_vocabulary
from sentispark.spark.folders import glob_escaped, spark_folder, spark_path

__all__ = ["add_arguments", "evaluate", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", help="folder that 'train' wrote")
    parser.add_argument("dataset", help="folder that 'prepare' wrote")
    parser.add_argument("--split", choices=SPLITS, default="test", help="split on which to evaluate (default: test)")


def run(spark: SparkSession, flags: argparse.Namespace) -> dict[str, Any]:
    """Run the command and return what it prints as JSON."""
    return dict(evaluate(spark, flags.model, flags.dataset, split=flags.split))


def evaluate(spark: SparkSession, model_path: str, dataset_path: str, *, split: str = "test") -> Measures:
    """The measures of a pipeline on a split; see `sentispark.evaluate.metrics.measures`.

    Raises
    ------
    DatasetError
        If the model or the dataset cannot be used, or their vocabularies differ.
    OptionError
        If the split has no rows.
    """
    dataset = open_dataset(spark_folder(dataset_path))
    dataset.require_split(split)
    pipeline = load_pipeline(spark_folder(model_path))
    require_same_vocabulary(pipeline, dataset)
    root = spark_path(dataset.folder)
    files = [glob_escaped(f"{root}/{chunk.file}") for chunk in dataset.manifest.chunks_of(split)]
    model = pipeline.stages[-1]
    assert isinstance(model, LSTMClassificationModel)
    # A pipeline that was fitted on a DataFrame may use other column names.
    return model.copy({model.featuresCol: "sequence", model.labelCol: "label"}).evaluate(spark.read.parquet(*files))


if __name__ == "__main__":
    from sentispark.jobs.cli import main

    sys.exit(main(["evaluate", *sys.argv[1:]]))
