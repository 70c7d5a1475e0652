"""`python -m sentispark.jobs.bench_alone`: a preparation whenever it is asked for, in a session of its own.

Run by `bench` alone.
"""

from __future__ import annotations

import json
import sys

from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews.options import ReviewOptions
from sentispark.spark.session import get_spark
from sentispark.study.streaming import LENGTH, WORDS
from sentispark.text.options import TextOptions

__all__ = ["OPTIONS", "main"]

# The reference system's: its words, its length, its stop words and with them its cleaning.
OPTIONS = TextOptions(stop_words="reference", vocab_size=WORDS, sequence_length=LENGTH)


def main(arguments: list[str]) -> None:
    """Arguments: cores, driver memory, output folder, input files. Answers a line of input by `seconds`, as JSON."""
    cores, memory, output, *paths = arguments
    spark = get_spark(master=f"local[{cores}]", conf={"spark.driver.memory": memory})
    for _ in sys.stdin:
        # Spark ends Python workers that were idle for a minute: a short preparation starts them.
        for inputs in (paths[:1], paths):
            done = prepare_dataset(spark, inputs, output, ReviewOptions(), OPTIONS, overwrite=True)
        print(json.dumps({"seconds": done["seconds"]}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
