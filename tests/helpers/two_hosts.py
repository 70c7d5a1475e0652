"""Two ranks on two hosts beside two ranks on one, a core each: `python -m tests.helpers.two_hosts` (as root).

Prints one line of JSON: rows a second of the last epoch of each run, and their ratio, run by run in turns.
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

from tests.helpers.spark_hosts import spark_hosts

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


def train(cluster, dataset: Path, *, epochs: int, options: dict | None = None, conf: dict | None = None) -> dict:
    """What two ranks of a cluster on hosts have learnt, and how fast."""
    told = cluster.run(_TRAIN, dataset, epochs, json.dumps(conf or {}), json.dumps(options or {}))
    return json.loads(told.splitlines()[-1])


def main() -> int:
    """Measure, and print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset", help="folder that `sentispark prepare` wrote")
    parser.add_argument("--turns", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--epochs", type=int, default=2, help="default: %(default)s")
    parser.add_argument("--rate", default=None, help="what each host can send, such as 1gbit; default: no limit")
    flags = parser.parse_args()
    dataset = Path(flags.dataset).resolve()
    told = {"two_hosts": [], "one_host": []}
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        for name in ("two", "one"):
            os.mkdir(Path(folder, name))
        two = stack.enter_context(spark_hosts(2, Path(folder, "two"), cores=1, rate=flags.rate))
        one = stack.enter_context(spark_hosts(1, Path(folder, "one"), cores=2))
        for _ in range(flags.turns):
            for name, cluster in (("two_hosts", two), ("one_host", one)):
                run = train(cluster, dataset, epochs=flags.epochs)
                told[name].append(run["history"][-1]["rows_per_second"])
                print(name, run, file=sys.stderr)  # noqa: T201
    ratios = [two / one for two, one in zip(told["two_hosts"], told["one_host"], strict=True)]
    print(json.dumps({**told, "ratio": round(statistics.median(ratios), 3)}))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
