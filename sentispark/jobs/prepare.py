"""`sentispark prepare`: review files to an encoded dataset."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from pyspark.sql import SparkSession

from sentispark.jobs.flags import add_flags, options_from_flags
from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews.formats.table import FORMATS
from sentispark.reviews.options import ReviewOptions
from sentispark.text.options import TextOptions

__all__ = ["add_arguments", "run"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.add_argument(
        "input", nargs="+", help=f"review files, folders or globs: {', '.join(FORMATS)}, also compressed"
    )
    parser.add_argument("--output", required=True, help="folder for the dataset")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if sentispark wrote it")
    parser.add_argument(
        "--vocabulary", metavar="DATASET", help="use the vocabulary and the text options of this earlier dataset"
    )
    add_flags(parser, ReviewOptions)
    add_flags(parser, TextOptions)


def run(spark: SparkSession, flags: argparse.Namespace) -> dict[str, Any]:
    """Run the command and return what it prints as JSON."""
    return prepare_dataset(
        spark,
        flags.input,
        flags.output,
        options_from_flags(flags, ReviewOptions),
        options_from_flags(flags, TextOptions),
        vocabulary=flags.vocabulary,
        overwrite=flags.overwrite,
    )


if __name__ == "__main__":
    from sentispark.jobs.cli import main

    sys.exit(main(["prepare", *sys.argv[1:]]))
