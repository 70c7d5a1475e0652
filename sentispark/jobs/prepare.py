"""Review files to an encoded dataset."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import logging
import sys
import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from pyspark import StorageLevel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sentispark.dataset.manifest import SPLITS
from sentispark.dataset.write import pack_tokens, write_dataset
from sentispark.errors import InputError
from sentispark.files import replaced_folder
from sentispark.jobs.flags import add_flags, options_from_flags
from sentispark.options import camel_case
from sentispark.reviews.clean import distinct_reviews, labelled
from sentispark.reviews.options import ReviewOptions
from sentispark.reviews.read import read_reviews
from sentispark.spark.persistence import spark_folder
from sentispark.text.encoder import ReviewEncoder, token_ids
from sentispark.text.options import TextOptions
from sentispark.text.wordlist import WordList

__all__ = ["add_arguments", "prepare", "run"]

QUARANTINE = "quarantine"

_log = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument("input", nargs="+", help="review files, folders or globs: JSON lines, CSV, Parquet; gz too")
    parser.add_argument("--output", required=True, help="folder for the dataset")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if it exists")
    add_flags(parser, ReviewOptions)
    add_flags(parser, TextOptions)


def run(spark: SparkSession, flags: argparse.Namespace) -> dict[str, Any]:
    """The command: its result as the line of JSON has it."""
    return prepare(
        spark,
        flags.input,
        flags.output,
        options_from_flags(flags, ReviewOptions),
        options_from_flags(flags, TextOptions),
        overwrite=flags.overwrite,
    )


def prepare(
    spark: SparkSession,
    paths: list[str],
    output: str,
    reviews: ReviewOptions,
    text: TextOptions,
    *,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the dataset of the reviews in some files, and say what became of every record.

    Parameters
    ----------
    spark : SparkSession
    paths : list of str
        Files, folders or globs.
    output : str
        Folder of the dataset. It holds the records that could not be used too, under `quarantine`.
    reviews : ReviewOptions
    text : TextOptions
    overwrite : bool
        Whether an existing output is replaced; it stays as it is until the new one is whole.

    Returns
    -------
    dict
        `rows_read, rows_quarantined, quarantine_reasons, duplicates_merged, rows_written, positive_share,
        vocabulary_size, sequence_length, seconds, output`. `rows_read` is the sum of quarantined, merged and written.

    Raises
    ------
    InputError
        If the paths match nothing, or nothing in them can be used.
    DatasetError
        If the output exists and is not to be replaced.
    """
    started = time.perf_counter()
    if reviews.validation_share + reviews.test_share >= 1:
        raise InputError("The shares of validation and test must leave rows for training. They sum to 1 or more.")
    with replaced_folder(spark_folder(output), overwrite=overwrite) as draft:
        records = read_reviews(spark, paths, reviews.text_col, reviews.rating_col, reviews.format).records
        with _kept(_distinct(records, reviews)) as distinct:
            _log.info("reading, cleaning and merging reviews")
            counts, split_rows, positives = _counted(distinct)
            if not split_rows.get("train"):
                raise InputError(_nothing_usable(counts, split_rows))
            usable = distinct.where("reason IS NULL")
            _log.info("counting words")
            encoder = ReviewEncoder(inputCol="text", **_params(text)).fit(usable.where("split = 'train'"))
            _log.info("encoding and writing %d reviews", sum(split_rows.values()))
            write_dataset(
                _encoded(usable, encoder.word_list, text, reviews.seed),
                draft,
                split_rows=split_rows,
                sequence_length=text.sequence_length,
                vocabulary_size=encoder.word_list.size,
                word_list=encoder.word_list,
                text_options=dataclasses.asdict(text),
                counts=counts,
            )
            if counts["rows_quarantined"]:
                bad = distinct.where("reason IS NOT NULL").select("reason", "file", "record", "copies")
                bad.write.parquet(draft.child(QUARANTINE).url)
    return {
        **counts,
        "positive_share": round(positives / sum(split_rows.values()), 4),
        "vocabulary_size": len(encoder.vocabulary),
        "sequence_length": text.sequence_length,
        "seconds": round(time.perf_counter() - started, 2),
        "output": output,
    }


def _params(text: TextOptions) -> dict[str, Any]:
    return {camel_case(name): value for name, value in dataclasses.asdict(text).items()}


def _distinct(records: DataFrame, reviews: ReviewOptions) -> DataFrame:
    return labelled(
        distinct_reviews(records),
        positive_from=reviews.positive_from,
        validation_share=reviews.validation_share,
        test_share=reviews.test_share,
    )


@contextlib.contextmanager
def _kept(frame: DataFrame) -> Iterator[DataFrame]:
    """The frame, computed once for all that is done with it in the block."""
    frame.persist(StorageLevel.MEMORY_AND_DISK)
    try:
        yield frame
    finally:
        frame.unpersist()


def _counted(distinct: DataFrame) -> tuple[dict[str, Any], dict[str, int], int]:
    """What became of the records, the rows of each split, and the positive ones among them."""
    groups = distinct.groupBy("reason", "split").agg(
        F.count("*").alias("rows"), F.sum("copies").alias("copies"), F.sum("label").alias("positives")
    )
    reasons: dict[str, int] = {}
    split_rows = dict.fromkeys(SPLITS, 0)
    read = merged = positives = 0
    for group in groups.collect():
        read += group.copies
        if group.reason is None:
            split_rows[group.split] = group.rows
            merged += group.copies - group.rows
            positives += group.positives
        else:
            reasons[group.reason] = reasons.get(group.reason, 0) + group.copies
    counts = {
        "rows_read": read,
        "rows_quarantined": sum(reasons.values()),
        "quarantine_reasons": dict(sorted(reasons.items())),
        "duplicates_merged": merged,
        "rows_written": split_rows,
    }
    return counts, split_rows, positives


def _nothing_usable(counts: dict[str, Any], split_rows: dict[str, int]) -> str:
    if sum(split_rows.values()):
        return (
            "The input must hold enough reviews for a training split. It holds too few: add files or lower the shares."
        )
    reasons = ", ".join(f"{reason}: {rows}" for reason, rows in counts["quarantine_reasons"].items()) or "no records"
    return (
        f"The input must hold a usable review. None of its {counts['rows_read']} records is one ({reasons}). "
        "Check the names of the text and the rating column."
    )


def _encoded(usable: DataFrame, word_list: WordList, text: TextOptions, seed: int) -> DataFrame:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            tokens = pack_tokens(token_ids(batch.column("text"), word_list, text))
            yield pa.RecordBatch.from_arrays([*batch.columns[1:], tokens], names=["split", "order", "label", "tokens"])

    order = F.xxhash64(F.lit(seed), "text").alias("order")
    return usable.select("text", "split", order, "label").mapInArrow(
        run, "split string, order long, label int, tokens binary"
    )


if __name__ == "__main__":
    from sentispark.jobs.cli import main

    sys.exit(main(["prepare", *sys.argv[1:]]))
