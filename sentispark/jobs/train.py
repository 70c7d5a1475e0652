"""`sentispark train`: from a prepared dataset to a trained pipeline."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession

from sentispark.cluster.options import RestartOptions
from sentispark.dataset.dataset import open_dataset
from sentispark.jobs.flags import add_flags
from sentispark.ml.classifier import LSTMClassifier
from sentispark.ml.options import FitOptions
from sentispark.ml.pipeline import encoder_of
from sentispark.nn.options import NetOptions
from sentispark.options import camel_case, options_of
from sentispark.outputs import replaced_folder
from sentispark.overlap import require_apart
from sentispark.spark.folders import spark_folder
from sentispark.spark.params import options_from
from sentispark.spark.persistence import save_pipeline
from sentispark.train.options import CheckpointOptions, TrainOptions

__all__ = ["OF_DATAFRAMES", "add_arguments", "run", "train"]

_OPTIONS = (FitOptions, RestartOptions, CheckpointOptions, TrainOptions, NetOptions)
# Options that apply to fits on DataFrames only.
OF_DATAFRAMES = ("cache_dir", "max_sequence_length", "validation_fraction")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("dataset", help="folder that 'prepare' wrote")
    parser.add_argument("--output", required=True, help="folder for the model, a Spark ML pipeline that takes text")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if sentispark wrote it")
    add_flags(parser, FitOptions, without=OF_DATAFRAMES)
    add_flags(parser, RestartOptions)
    add_flags(parser, CheckpointOptions)
    add_flags(parser, TrainOptions)
    add_flags(parser, NetOptions)


def run(spark: SparkSession, flags: argparse.Namespace) -> dict[str, Any]:
    """Run the command and return what it prints as JSON."""
    names = [field.name for kind in _OPTIONS for field in options_of(kind)]
    params = {camel_case(name): getattr(flags, name) for name in names if name not in OF_DATAFRAMES}
    return train(flags.dataset, flags.output, LSTMClassifier(**params), overwrite=flags.overwrite)


def train(dataset_path: str, output: str, classifier: LSTMClassifier, *, overwrite: bool = False) -> dict[str, Any]:
    """Fit the classifier to a prepared dataset and save the pipeline from text to prediction.

    Returns
    -------
    dict
        `workers, reader, epochs, attempts, seconds, output`.

    Raises
    ------
    InputError
        If the output contains an input or is inside one.
    DatasetError
        If the dataset cannot be used, the output exists and `overwrite` is false, or sentispark did
        not write it.
    SetupError
        If the output cannot be written to.
    TrainingError
        If a rank failed.
    """
    started = time.perf_counter()
    dataset, folder = open_dataset(spark_folder(dataset_path)), spark_folder(output)
    options = options_from(classifier, TrainOptions)
    models = [spark_folder(options.initial_model)] if options.initial_model else []
    vectors = [spark_folder(options.embedding_path).url] if options.embedding_path else []
    require_apart(folder, folders=[dataset.folder, *models], files=vectors)
    if checkpoints := options_from(classifier, CheckpointOptions).checkpoint_dir:
        require_apart(spark_folder(checkpoints), folders=[dataset.folder, folder])
    with replaced_folder(folder, overwrite=overwrite) as draft:
        encoder = encoder_of(dataset)
        model = classifier.fitDataset(dataset)
        save_pipeline(PipelineModel([encoder, model]), draft)
    return {
        "workers": model.summary.run["workers"],
        "reader": model.summary.run["reader"],
        "epochs": model.summary.history,
        "attempts": model.summary.run["attempts"],
        "seconds": round(time.perf_counter() - started, 2),
        "output": output,
    }


if __name__ == "__main__":
    from sentispark.jobs.cli import main

    sys.exit(main(["train", *sys.argv[1:]]))
