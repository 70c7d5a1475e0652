"""`python -m sentispark.bench.prepare_worker`: prepares the same files each time it receives a line of input.

`sentispark bench prepare` starts it as a process with its own Spark session.
"""

from __future__ import annotations

import json
import sys

from sentispark.bench.reference import REFERENCE_TEXT
from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews.options import ReviewOptions
from sentispark.spark.session import get_spark

__all__ = ["main"]


def main(arguments: list[str]) -> None:
    """Answer each line of input with the `seconds` of a preparation, as JSON.

    Parameters
    ----------
    arguments : list of str
        Cores, driver memory, output folder, input files.
    """
    cores, memory, output, *paths = arguments
    spark = get_spark(master=f"local[{cores}]", conf={"spark.driver.memory": memory})
    for _ in sys.stdin:
        # Spark ends Python workers that were idle for a minute: a short preparation starts them again.
        for inputs in (paths[:1], paths):
            done = prepare_dataset(spark, inputs, output, ReviewOptions(), REFERENCE_TEXT, overwrite=True)
        print(json.dumps({"seconds": done["seconds"]}), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    main(sys.argv[1:])
