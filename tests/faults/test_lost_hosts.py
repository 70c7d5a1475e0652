"""A host whose link goes down, or whose power is cut: nobody closes its connections, and the training goes on."""

from __future__ import annotations

import json
import threading
import time

import pytest

from tests.helpers.spark_hosts import spark_hosts
from tests.helpers.toy import toy_rows, write_toy

pytestmark = [pytest.mark.distributed, pytest.mark.endtoend, pytest.mark.alone]

_TRAIN = """
import json, sys
from sentispark import LSTMClassifier, get_spark

master, dataset, options = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
get_spark(master=master, conf={"spark.executor.memory": "1g", "spark.ui.enabled": "false"})
model = LSTMClassifier(numWorkers=3, seed=1, batchSize=40, balance="off", reader="arrow", embeddingSize=4, hiddenSize=4,
    wideSize=50, **options).fit(dataset)
print(json.dumps({"attempts": model.summary.run["attempts"], "epochs": len(model.summary.history)}))
"""


@pytest.mark.timeout(400)
def test_the_training_goes_on_with_the_hosts_that_are_left(tmp_path):
    dataset = write_toy(tmp_path / "toy", {"train": toy_rows(2000, seed=1), "validation": toy_rows(100, seed=2)})
    run, report = tmp_path / "run", []
    options = {"maxEpochs": 12, "checkpointDir": str(run), "checkpointInterval": 20, "slotPatience": 3.0}
    with spark_hosts(3, tmp_path) as cluster:
        training = threading.Thread(
            target=lambda: report.append(cluster.run(_TRAIN, dataset, json.dumps(options), seconds=300))
        )
        training.start()
        wait_for_step(61, run, training)
        cluster.workers[1].kill_all()
        wait_for_step(newest_step(run) + 61, run, training)
        cluster.workers[2].unplug()
        training.join()
    found = json.loads(report[0].splitlines()[-1])
    powered_off, unplugged, *_, last = found["attempts"]
    assert found["epochs"] == 12
    assert [attempt["workers"] for attempt in (powered_off, unplugged, last)] == [3, 2, 1]
    assert cluster.workers[1].name in powered_off["error"]
    assert cluster.workers[2].name in unplugged["error"]
    assert "no sign of life" in unplugged["error"]
    assert (last["error"], last["first_step"] >= 120) == (None, True)


def newest_step(run):
    return max((int(path.name.split("-")[1]) for path in run.glob("step-*")), default=0)


def wait_for_step(step, run, training):
    ends = time.monotonic() + 90
    while newest_step(run) < step:
        assert time.monotonic() < ends
        assert training.is_alive()
        time.sleep(0.05)
