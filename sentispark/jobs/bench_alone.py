"""`python -m sentispark.jobs.bench_alone`: one preparation, repeated, in a session of its own. Run by `bench` alone."""

from __future__ import annotations

import json
import sys

from sentispark.jobs.prepare import prepare
from sentispark.reviews.options import ReviewOptions
from sentispark.spark.session import get_spark
from sentispark.study.streaming import LENGTH, WORDS
from sentispark.text.options import TextOptions

__all__ = ["OPTIONS", "main"]

# The reference system's: its words, its length, its stop words and with them its cleaning.
OPTIONS = TextOptions(stop_words="reference", vocab_size=WORDS, sequence_length=LENGTH)


def main(arguments: list[str]) -> None:
    """Arguments: cores, driver memory, times, output folder, input files. Prints `seconds` of each time, as JSON."""
    cores, memory, times, output, *paths = arguments
    spark = get_spark(master=f"local[{cores}]", conf={"spark.driver.memory": memory})
    results = [prepare(spark, paths, output, ReviewOptions(), OPTIONS, overwrite=True) for _ in range(int(times))]
    print(json.dumps({"seconds": [result["seconds"] for result in results], "rows": results[0]["rows_read"]}))


if __name__ == "__main__":
    main(sys.argv[1:])
