"""A training runs on separate executors with the settings of docs/clusters.md; those of clouds have no effect here."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.toy import toy_rows, write_toy

PAGE = Path(__file__).parents[2] / "docs" / "clusters.md"
TESTED = ("Settings for Standalone, YARN and Kubernetes", "Standalone", "YARN", "Kubernetes")

SCRIPT = """
import json, sys
from sentispark import LSTMClassifier, get_spark

conf, dataset = json.loads(sys.argv[1]), sys.argv[2]
spark = get_spark(master="local-cluster[2,1,2048]", conf=conf)
assert all(spark.sparkContext.getConf().get(name) == value for name, value in conf.items())
model = LSTMClassifier(numWorkers=2, maxEpochs=1, batchSize=20, embeddingSize=4, hiddenSize=4, wideSize=50).fit(dataset)
print(json.dumps(model.summary.run["workers"]))
"""


def blocks():
    """The first block of settings of each section, by the section's title."""
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    found = {}
    for section in sections:
        title, (block, *_) = section.splitlines()[0], re.findall(r"```properties\n(.*?)```", section, re.DOTALL)
        found[title.split(":")[0]] = dict(line.split("=", 1) for line in block.split())
    return found


@pytest.mark.endtoend
def test_a_training_runs_with_them(tmp_path):
    page, conf = blocks(), {}
    for title in TESTED:
        assert all(conf.get(name, value) == value for name, value in page[title].items())
        conf.update(page[title])
    dataset = write_toy(tmp_path / "dataset", {"train": toy_rows(60, seed=1)})
    command = [sys.executable, "-c", SCRIPT, json.dumps(conf), str(dataset)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "2"
