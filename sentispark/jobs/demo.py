"""All steps on generated reviews: generate, prepare, train, evaluate, predict, report."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import Any

from pyspark.sql import SparkSession

from sentispark.cluster.preflight import task_slots
from sentispark.errors import InputError
from sentispark.evaluate.plots import training_report
from sentispark.files import Folder
from sentispark.jobs.evaluate import evaluate
from sentispark.jobs.predict import predict
from sentispark.jobs.train import train
from sentispark.ml.classifier import LSTMClassifier
from sentispark.outputs import replaced_folder
from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews.generate import write_reviews
from sentispark.reviews.options import ReviewOptions
from sentispark.text.options import TextOptions

__all__ = ["add_arguments", "run"]

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("--output", default="demo", help="folder for all files of the demo (default: demo)")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if sentispark wrote it")
    parser.add_argument("--rows", type=int, default=40_000, help="reviews to generate (default: 40000)")
    parser.add_argument("--workers", type=int, help="number of training ranks (default: 2, or 1 on a single core)")


def run(spark: SparkSession, flags: argparse.Namespace) -> dict[str, Any]:
    """The result of each step by its name, and the path of the report's PNG file."""
    if not Folder(flags.output).is_local:
        raise InputError(f"'--output' must be a local folder. Got '{flags.output}'.")
    with replaced_folder(Folder(flags.output), overwrite=flags.overwrite) as draft:
        results = _run(spark, draft, rows=flags.rows, workers=flags.workers or min(2, task_slots(spark)))
    # The draft has been moved into place: report the final paths.
    for result in results.values():
        if "output" in result:
            result["output"] = result["output"].replace(draft.url, flags.output)
    return {**results, "report": f"{flags.output}/report.png"}


def _run(spark: SparkSession, folder: Folder, *, rows: int, workers: int) -> dict[str, Any]:
    reviews, dataset, model, predictions = (
        folder.child(name).path() for name in ("reviews", "dataset", "model", "predictions")
    )
    folder.child("reviews").make()
    _log.info("generating %d reviews", rows)
    files = [str(path) for path in write_reviews(f"{reviews}/reviews.jsonl.gz", rows, files=2)]
    _log.info("preparing the dataset")
    prepared = prepare_dataset(spark, files, dataset, ReviewOptions(), TextOptions())
    _log.info("training on %d ranks", workers)
    trained = train(dataset, model, LSTMClassifier(numWorkers=workers))
    evaluated = evaluate(spark, model, dataset)
    _log.info("test accuracy %.4f, majority %.4f", evaluated["accuracy"], evaluated["majority_accuracy"])
    predicted = predict(spark, model, files, predictions)
    training_report(trained["epochs"], evaluated["confusion"], folder.path("report.png"))
    return {"prepare": prepared, "train": trained, "evaluate": evaluated, "predict": predicted}


if __name__ == "__main__":
    from sentispark.jobs.cli import main

    sys.exit(main(["demo", *sys.argv[1:]]))
