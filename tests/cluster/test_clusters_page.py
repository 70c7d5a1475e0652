"""What docs/clusters.md shows exists: settings, flags, options; and what can be tried here, is.

A training runs on separate executors with the settings; those of clouds have no effect here. The script for Slurm runs
with stand-ins for Slurm's commands.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sentispark import __version__
from sentispark.train.config import TrainConfig
from tests.helpers.shell import objections
from tests.helpers.spark_settings import unknown_settings
from tests.helpers.toy import toy_rows, write_toy

PAGE = Path(__file__).parents[2] / "docs" / "clusters.md"
MANIFESTS = list(yaml.safe_load_all(PAGE.with_name("kubernetes.yaml").read_text()))
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


def blocks(language):
    """The blocks of a language in each section, by the section's title."""
    sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    pattern = re.compile(rf"```{language}\n(.*?)```", re.DOTALL)
    return {section.splitlines()[0].split(":")[0]: pattern.findall(section) for section in sections}


def settings(block):
    return dict(line.split("=", 1) for line in block.split())


def commands():
    """The arguments of sentispark's commands on the page and in the manifest, the command first."""
    shown = "".join(block for found in blocks("sh").values() for block in found)
    words = [shlex.split(line, comments=True) for line in shown.replace("\\\n", " ").splitlines()]
    words += [manifest["spec"]["template"]["spec"]["containers"][0]["args"] for manifest in manifests("Job")]
    job = json.loads(blocks("json")["Databricks"][0])["tasks"][0]["spark_python_task"]
    words.append([job["python_file"], *job["parameters"]])
    for line in words:
        for number, word in enumerate(line):
            if name := re.fullmatch(r".*/(prepare|train|evaluate|predict)\.py", word):
                arguments = line[number + 1 :]
                # gcloud has flags of its own before the two dashes.
                yield [name[1], *(arguments[arguments.index("--") + 1 :] if "--" in arguments else arguments)]


def free_port():
    with socket.socket() as listener:
        listener.bind(("localhost", 0))
        return listener.getsockname()[1]


def manifests(kind):
    return [manifest for manifest in MANIFESTS if manifest["kind"] == kind]


def test_the_settings_exist():
    found = [settings(block) for blocks_of in blocks("properties").values() for block in blocks_of]
    found.append(json.loads(blocks("json")["Databricks"][0])["tasks"][0]["new_cluster"]["spark_conf"])
    for manifest in manifests("Job"):
        line = manifest["spec"]["template"]["spec"]["containers"][0]["args"]
        found.append(settings("\n".join(word.removeprefix("--conf=") for word in line if word.startswith("--conf="))))
    names = [name for one in found for name in one]
    assert len(names) > 25
    assert unknown_settings(names) == []
    assert unknown_settings(["spark.executor.instancse"]) == ["spark.executor.instancse"]


def test_the_flags_exist():
    from sentispark.jobs.cli import _parser

    lines = list(commands())
    assert [line[0] for line in lines] == ["train"] * 6
    for name, *arguments in lines:
        importlib.import_module(f"sentispark.jobs.{name}")
        flags = _parser([name]).parse_args([name, *arguments])
        assert (flags.num_workers, flags.output.endswith("/model")) == (8, True)


def test_the_manifest_is_what_kubernetes_takes():
    pytest.importorskip("lightkube")
    from tests.helpers.kubernetes import problems

    assert [problems(manifest) for manifest in MANIFESTS] == [[]] * 5
    (job,) = manifests("Job")
    wrong = job["spec"] | {"backoffLimit": "three", "replicas": 2}
    del wrong["template"]
    assert problems(job | {"spec": wrong}) == [
        "Job.spec has no field replicas",
        "Job.spec lacks template",
        "Job.spec.backoffLimit is 'three'",
    ]


def test_the_names_in_the_manifest_refer_to_each_other():
    (account,), (role,), (binding,), (service,), (job,) = map(
        manifests, ("ServiceAccount", "Role", "RoleBinding", "Service", "Job")
    )
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert [subject["name"] for subject in binding["subjects"]] == [account["metadata"]["name"]]
    pod = job["spec"]["template"]["spec"]
    assert pod["serviceAccountName"] == account["metadata"]["name"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    (driver,) = pod["containers"]
    assert f"--conf=spark.driver.host={service['metadata']['name']}" in driver["args"]
    assert f"--conf=spark.kubernetes.container.image={driver['image']}" in driver["args"]
    used = set(re.findall(r"\$\((\w+)\)", " ".join(driver["args"])))
    assert used == {variable["name"] for variable in driver["env"]}


def test_the_wheel_is_of_this_version():
    (task,) = json.loads(blocks("json")["Databricks"][0])["tasks"]
    assert Path(task["libraries"][0]["whl"]).name == f"sentispark-{__version__}-py3-none-any.whl"


def test_the_config_for_torchrun_has_options_that_exist():
    config = TrainConfig.from_json(blocks("json")["Slurm"][0])
    assert (config.train.max_epochs, config.checkpoints.checkpoint_dir) == (3, "checkpoints")


def test_shellcheck_has_nothing_against_the_script_for_slurm():
    assert objections(blocks("sh")["Slurm"][0]) == ""
    assert "SC2086" in objections("#!/usr/bin/env bash\necho $1\n")


@pytest.mark.distributed
def test_the_script_for_slurm_trains(tmp_path):
    write_toy(tmp_path / "dataset", {"train": toy_rows(60, seed=1)})
    config = json.loads(blocks("json")["Slurm"][0])
    config["train"] |= {"max_epochs": 1, "batch_size": 20}
    config["net"] = {"embedding_size": 4, "hidden_size": 4, "wide_size": 50}
    (tmp_path / "job.json").write_text(json.dumps(config))
    (tmp_path / "train.sbatch").write_text(blocks("sh")["Slurm"][0].replace(":29500", f":{free_port()}"))
    stand_ins = {
        "scontrol": "echo localhost",
        "srun": 'shift 2; exec "$@"',  # without --cpus-per-task
        "torchrun": f'exec {sys.executable} -m torch.distributed.run "$@"',
    }
    for name, line in stand_ins.items():
        (tmp_path / name).write_text(f"#!/usr/bin/env bash\n{line}\n")
        (tmp_path / name).chmod(0o755)
    slurm = {
        "SLURM_NNODES": "1",
        "SLURM_GPUS_ON_NODE": "2",
        "SLURM_CPUS_PER_TASK": "2",
        "SLURM_JOB_NODELIST": "node[1]",
        "SLURM_JOB_ID": "1",
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
    }
    done = subprocess.run(
        ["bash", "train.sbatch"], capture_output=True, text=True, timeout=200, cwd=tmp_path, env={**os.environ, **slurm}
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1])["workers"] == 2
    assert (tmp_path / "model").is_dir()


@pytest.mark.endtoend
def test_a_training_runs_with_them(tmp_path):
    page, conf = blocks("properties"), {}
    for title in TESTED:
        block = settings(page[title][0])
        assert all(conf.get(name, value) == value for name, value in block.items())
        conf.update(block)
    dataset = write_toy(tmp_path / "dataset", {"train": toy_rows(60, seed=1)})
    command = [sys.executable, "-c", SCRIPT, json.dumps(conf), str(dataset)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == "2"
