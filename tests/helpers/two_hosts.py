"""Two ranks on two hosts compared with two ranks on one, a core each: `python -m tests.helpers.two_hosts` (as root).

The runs take turns. Prints one line of JSON: rows per second in the last epoch of each run, and their ratio.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.helpers.spark_hosts import SparkHosts, spark_hosts

_TRAIN = """
import json, sys
from sentispark import LSTMClassifier, get_spark

master, dataset, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3])
get_spark(master=master, conf={"spark.executor.memory": "1g", "spark.ui.enabled": "false", **json.loads(sys.argv[4])})
model = LSTMClassifier(numWorkers=2, maxEpochs=epochs, seed=1, **json.loads(sys.argv[5])).fit(dataset)
trained = model.trained
history = [{name: entry[name] for name in ("train_loss", "rows_per_second")} for entry in trained.history]
print(json.dumps({"history": history, "threads": trained.run["threads"], "weights": trained.fingerprint}))
"""


def train(
    cluster: SparkHosts,
    dataset: Path,
    *,
    epochs: int,
    options: dict[str, Any] | None = None,
    conf: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """The history, threads and weights of a training by two ranks of a cluster."""
    output = cluster.run(_TRAIN, dataset, epochs, json.dumps(conf or {}), json.dumps(options or {}))
    return dict(json.loads(output.splitlines()[-1]))


def main() -> int:
    """Measure, and print the results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", help="folder that `sentispark prepare` wrote")
    parser.add_argument("--turns", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=2, help="(default: %(default)s)")
    parser.add_argument("--rate", default=None, help="limit on what each host sends, such as 1gbit (default: none)")
    flags = parser.parse_args()
    dataset = Path(flags.dataset).resolve()
    speeds: dict[str, list[float]] = {"two_hosts": [], "one_host": []}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        for name in ("two", "one"):
            os.mkdir(Path(folder, name))
        two = stack.enter_context(spark_hosts(2, Path(folder, "two"), cores=1, rate=flags.rate))
        one = stack.enter_context(spark_hosts(1, Path(folder, "one"), cores=2))
        for _ in range(flags.turns):
            for name, cluster in (("two_hosts", two), ("one_host", one)):
                run = train(cluster, dataset, epochs=flags.epochs)
                speeds[name].append(run["history"][-1]["rows_per_second"])
                print(name, run, file=sys.stderr)  # noqa: T201
    ratios = [two / one for two, one in zip(speeds["two_hosts"], speeds["one_host"], strict=True)]
    print(json.dumps({**speeds, "ratio": round(statistics.median(ratios), 3)}))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
