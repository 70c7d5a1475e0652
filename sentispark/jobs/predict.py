"""`sentispark predict`: from raw reviews to predictions."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

from pyspark.ml.functions import vector_to_array
from pyspark.sql import Observation, SparkSession
from pyspark.sql import functions as F

from sentispark.jobs.flags import add_flags
from sentispark.ml.pipeline import from_text, load_pipeline
from sentispark.outputs import replaced_folder
from sentispark.overlap import require_apart
from sentispark.prepare.counts import require_usable
from sentispark.reviews.formats.table import FORMATS
from sentispark.reviews.options import ReviewOptions, columns_of, layout_of
from sentispark.reviews.parse import DEFAULT
from sentispark.reviews.read import Reviews, read_reviews, require_new_names
from sentispark.reviews.records import Layout
from sentispark.reviews.replaced import warn_about_replaced
from sentispark.spark.causes import collected, spark_errors_explained
from sentispark.spark.folders import spark_folder, spark_path
from sentispark.spark.params import quoted
from sentispark.spark.writable import require_spark_writes

__all__ = ["add_arguments", "predict", "run"]

# Options about ratings, labels and splits, which a prediction does not need.
_OF_LABELS = (
    "rating_col",
    "rating_scale",
    "positive_from",
    "negative_to",
    "validation_share",
    "test_share",
    "seed",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("model", help="folder that 'train' wrote")
    parser.add_argument(
        "input", nargs="+", help=f"review files, folders or globs: {', '.join(FORMATS)}, also compressed"
    )
    parser.add_argument("--output", required=True, help="folder for the predictions, in Parquet")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if sentispark wrote it")
    add_flags(parser, ReviewOptions, without=_OF_LABELS)
    parser.add_argument("--keep-cols", default="", help="fields to copy to the output, separated by commas: asin,id")


def run(spark: SparkSession, flags: argparse.Namespace) -> dict[str, Any]:
    """Run the command and return what it prints as JSON."""
    return predict(
        spark,
        flags.model,
        flags.input,
        flags.output,
        text_col=columns_of(flags.preset, text_col=flags.text_col)[0],
        format=flags.format,
        layout=layout_of(
            flags.preset, column_names=flags.column_names, csv_escape=flags.csv_escape, encoding=flags.encoding
        ),
        keep_cols=[name.strip() for name in flags.keep_cols.split(",") if name.strip()],
        max_quarantined=flags.max_quarantined,
        overwrite=flags.overwrite,
    )


def predict(
    spark: SparkSession,
    model_path: str,
    paths: list[str],
    output: str,
    *,
    text_col: str = "reviewText",
    format: str = "auto",
    layout: Layout = DEFAULT,
    keep_cols: Sequence[str] = (),
    max_quarantined: float = ReviewOptions.max_quarantined,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write `text`, `probability` (of a positive review, double) and `prediction` (int) of every review.

    Texts are cleaned as the training data were. The fields named by `keep_cols`, such as a review's id, are copied to
    the output as strings.

    Returns
    -------
    dict
        `rows, rows_quarantined, rows_with_replaced, characters_replaced, seconds, rows_per_second, output`; records
        without text are quarantined.

    Raises
    ------
    DatasetError
        If the model cannot be used, the output exists and `overwrite` is false, or sentispark did
        not write it.
    InputError
        If the paths match no file, all records or more than the share `max_quarantined` of them have no text, a field
        in `keep_cols` does not exist, or the output contains an input or is inside the model.
    SetupError
        If the output cannot be written to.
    """
    started = time.perf_counter()
    keep_cols = [keep_cols] if isinstance(keep_cols, str) else keep_cols
    require_new_names(keep_cols, "text", "probability", "prediction")
    model, folder = spark_folder(model_path), spark_folder(output)
    pipeline = from_text(load_pipeline(model))
    markup = pipeline.stages[0].getOrDefault("markup")
    reviews = read_reviews(spark, paths, text_col, None, format, keep_cols=keep_cols, markup=markup, **layout._asdict())
    require_apart(folder, files=[file.path for file in reviews.files], folders=[model])
    counted = Observation()
    observed = reviews.records.observe(
        counted,
        F.count("*").alias("read"),
        F.count("reason").alias("quarantined"),
        F.count_if(F.col("replaced") > 0).alias("rows_with_replaced"),
        F.sum("replaced").alias("characters_replaced"),
    )
    usable = reviews.usable_of(observed).drop("rating")
    predicted = pipeline.transform(usable).select(
        *map(quoted, keep_cols),
        "text",
        vector_to_array(F.col("probability"))[1].alias("probability"),
        F.col("prediction").cast("int").alias("prediction"),
    )
    with replaced_folder(folder, overwrite=overwrite) as draft, spark_errors_explained():
        require_spark_writes(spark, draft, output=output)
        predicted.write.mode("append").parquet(spark_path(draft))
        read, quarantined = counted.get["read"], counted.get["quarantined"]
        if quarantined == read or quarantined > max_quarantined * read:
            _refuse(reviews, read, max_quarantined)
    replaced = counted.get["rows_with_replaced"], counted.get["characters_replaced"] or 0
    warn_about_replaced(reviews, rows=replaced[0], characters=replaced[1])
    seconds = time.perf_counter() - started
    return {
        "rows": read - quarantined,
        "rows_quarantined": quarantined,
        "rows_with_replaced": replaced[0],
        "characters_replaced": replaced[1],
        "seconds": round(seconds, 2),
        "rows_per_second": round((read - quarantined) / seconds, 1),
        "output": output,
    }


def _refuse(reviews: Reviews, read: int, max_quarantined: float) -> None:
    """Raise the error about unusable records. It reads the records again, so it is called only on failure."""
    counts = F.count("*").alias("records"), F.min("record").alias("example")
    found = {line.reason: line for line in collected(reviews.quarantined.groupBy("reason").agg(*counts))}
    reasons = {reason: line.records for reason, line in found.items()}
    require_usable(read, reasons, max_quarantined, lambda reason: found[reason].example)


if __name__ == "__main__":
    from sentispark.jobs.cli import main

    sys.exit(main(["predict", *sys.argv[1:]]))
