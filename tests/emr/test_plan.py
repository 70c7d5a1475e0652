"""Actions and options become calls that AWS's own model of its API accepts; jobs get flags and settings that exist."""

from __future__ import annotations

import functools
import importlib
import itertools
import json
import re
from typing import Any

import botocore.session
import pytest
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from emr.calls import Call
from emr.checkout import Code
from emr.instances import INSTANCES
from emr.options import ClusterOptions, JobOptions, TargetOptions
from emr.plan import chosen_fleet, plan
from emr.steps import JOBS
from sentispark.errors import OptionError
from tests.helpers.spark_settings import unknown_settings

CODE = Code({"sentispark.tar.gz": b"archive", "bootstrap.sh": b"script"})
JOB_OPTIONS = JobOptions(
    root="s3://bucket/root/", reviews=("s3://bucket/a.csv", "s3://bucket/b.csv"), new_reviews=("s3://bucket/c.csv",)
)
CLUSTER, NO_TARGET = ClusterOptions(), TargetOptions()
EXISTING = TargetOptions(cluster="j-1")
JOBS_IN_ORDER = st.lists(st.sampled_from(JOBS), unique=True)
CLUSTERS = st.builds(
    ClusterOptions,
    workers=st.integers(1, 50).map(lambda number: 4 * number),
    worker_types=st.sampled_from([(), *((name,) for name in INSTANCES)]),
    spot=st.booleans(),
    idle_minutes=st.integers(1, 10080),
    tags=st.sampled_from([(), ("owner=me", "project=another")]),
    subnets=st.sampled_from([(), ("subnet-1", "subnet-2")]),
)


def planned(
    *actions: str,
    jobs: JobOptions = JOB_OPTIONS,
    cluster: ClusterOptions = CLUSTER,
    target: TargetOptions = NO_TARGET,
) -> list[Call]:
    return plan(actions, jobs, cluster, target, CODE)


@functools.cache
def model_of(service: str) -> Any:
    """AWS's own description of a service's API."""
    return botocore.session.get_session().get_service_model(service)


def problems(call: Call) -> str:
    """What AWS's model of the operation has against the call's arguments."""
    operation = "".join(word.capitalize() for word in call.operation.split("_"))
    shape = model_of(call.service).operation_model(operation).input_shape
    return ParamValidator().validate(call.arguments, shape).generate_report()


def command(job: str, **cluster: Any) -> list[str]:
    """The step's command line."""
    (call,) = planned(job, cluster=ClusterOptions(**cluster), target=EXISTING)
    return call.arguments["Steps"][0]["HadoopJarStep"]["Args"]


def settings(line: list[str]) -> dict[str, str]:
    return dict(value.split("=", 1) for flag, value in itertools.pairwise(line) if flag == "--conf")


@given(JOBS_IN_ORDER, CLUSTERS)
def test_a_creation_is_what_aws_takes(jobs: list[str], cluster: ClusterOptions) -> None:
    calls = planned("create", *jobs, cluster=cluster)
    assert [problems(call) for call in calls] == ["", "", ""]
    assert [step["Name"] for step in calls[-1].arguments["Steps"]] == [f"sentispark {job}" for job in jobs]


@given(JOBS_IN_ORDER, CLUSTERS)
def test_steps_are_the_same_in_a_new_cluster_and_in_one_that_exists(jobs: list[str], cluster: ClusterOptions) -> None:
    created = planned("create", *jobs, cluster=cluster)[-1].arguments["Steps"]
    added = planned(*jobs, "status", cluster=cluster, target=EXISTING)
    assert [problems(call) for call in added] == [""] * len(added)
    assert [call.arguments["Steps"] for call in added if call.operation == "add_job_flow_steps"] == [created] * bool(
        jobs
    )


@given(JOBS_IN_ORDER, CLUSTERS)
def test_there_are_as_many_instances_as_the_fleet_has_and_one_never_is_spot(
    jobs: list[str], cluster: ClusterOptions
) -> None:
    fleets = planned("create", *jobs, cluster=cluster)[-1].arguments["Instances"]["InstanceFleets"]
    primary, core, *others = fleets
    assert (primary["InstanceFleetType"], core["InstanceFleetType"]) == ("MASTER", "CORE")
    assert [(one["TargetOnDemandCapacity"], one["TargetSpotCapacity"]) for one in (primary, core)] == [(1, 0), (1, 0)]
    rest = sum(one["TargetOnDemandCapacity"] + one["TargetSpotCapacity"] for one in others)
    assert 1 + rest == chosen_fleet(["create", *jobs], cluster).instances
    assert all((one["TargetSpotCapacity"] > 0) == cluster.spot for one in others)
    assert all(
        one["LaunchSpecifications"]["SpotSpecification"]["TimeoutAction"] == "SWITCH_TO_ON_DEMAND"
        for one in others
        if cluster.spot
    )


@given(JOBS_IN_ORDER, CLUSTERS)
def test_every_cluster_is_tagged_and_ends_when_idle(jobs: list[str], cluster: ClusterOptions) -> None:
    arguments = planned("create", *jobs, cluster=cluster)[-1].arguments
    assert {"Key": "project", "Value": "sentispark"} in arguments["Tags"]
    assert len({tag["Key"] for tag in arguments["Tags"]}) == len(arguments["Tags"])
    assert arguments["AutoTerminationPolicy"] == {"IdleTimeout": 60 * cluster.idle_minutes}


@given(CLUSTERS)
def test_a_training_has_an_executor_for_each_rank_and_no_dynamic_allocation(cluster: ClusterOptions) -> None:
    (call,) = planned("train", cluster=cluster, target=EXISTING)
    line = call.arguments["Steps"][0]["HadoopJarStep"]["Args"]
    conf, fleet = settings(line), chosen_fleet(["train"], cluster)
    assert conf["spark.dynamicAllocation.enabled"] == "false"
    assert conf["spark.executor.instances"] == str(fleet.ranks) == line[line.index("--workers") + 1]
    assert conf["spark.executor.cores"] == conf["spark.task.cpus"]
    assert conf.get("spark.task.resource.gpu.amount") == ("1" if fleet.gpus else None)


@pytest.mark.parametrize("job", JOBS)
def test_jobs_have_flags_and_settings_that_exist(job: str) -> None:
    from sentispark.jobs.cli import _parser

    line = command(job)
    script = next(number for number, word in enumerate(line) if word.endswith(f"/sentispark/jobs/{job}.py"))
    importlib.import_module(f"sentispark.jobs.{job}")
    flags = _parser([job]).parse_args([job, *line[script + 1 :]])
    assert flags.output.startswith("s3://bucket/root/")
    assert settings(line)
    assert unknown_settings(settings(line)) == []


def test_a_training_is_safe_on_spot_instances() -> None:
    line = command("train")
    assert line[line.index("--checkpoint-dir") + 1] == "s3://bucket/root/checkpoints"
    assert line[line.index("--checkpoint-interval") + 1] == "60s"
    # The driver is on the primary node, and is told when YARN is about to lose a node.
    assert line[line.index("--deploy-mode") + 1] == "client"
    assert settings(line)["spark.decommission.enabled"] == "true"
    assert settings(line)["spark.shuffle.service.enabled"] == "false"


@pytest.mark.parametrize("name", INSTANCES)
def test_executors_fit_into_the_memory_that_yarn_has(name: str) -> None:
    # 3 GiB for each vCPU, and 1 GiB of them for YARN's own container.
    gib, cores = re.compile("[0-9]+g").findall, INSTANCES[name].cores
    for job, executors in {"train": max(INSTANCES[name].gpus, 1), "predict": (cores - 1) // 2}.items():
        conf = settings(command(job, worker_types=(name,)))
        sizes = gib(conf["spark.executor.memory"] + conf["spark.executor.memoryOverhead"])
        assert 1 + executors * sum(int(size.rstrip("g")) for size in sizes) <= 3 * cores
        assert 1 + executors * int(conf["spark.executor.cores"]) <= cores


@pytest.mark.parametrize("job", ["prepare", "predict"])
def test_the_other_jobs_run_on_any_cluster(job: str) -> None:
    lines = [command(job, worker_types=(name,)) for name in INSTANCES]
    assert lines == [command(job)] * len(lines)


def test_one_job_writes_what_the_next_reads() -> None:
    prepare, train, predict = (command(job) for job in JOBS)
    assert prepare[prepare.index("--output") + 1] == "s3://bucket/root/dataset" in train
    assert train[train.index("--output") + 1] == "s3://bucket/root/model" in predict


def test_the_user_s_flags_come_last() -> None:
    jobs = JobOptions(root="s3://bucket/root", train_flags="--epochs 3 --embedding-path 's3://b/a b'")
    (call,) = planned("train", jobs=jobs, target=EXISTING)
    line = call.arguments["Steps"][0]["HadoopJarStep"]["Args"]
    assert line[-4:] == ["--epochs", "3", "--embedding-path", "s3://b/a b"]


def test_gpus_are_assigned_only_where_there_are_some() -> None:
    gpu = planned("create", "train")[-1].arguments
    cpu = planned("create", "prepare")[-1].arguments
    assert "yarn.io/gpu" in json.dumps(gpu["Configurations"])
    assert "gpu" not in json.dumps(cpu)
    assert [one["BootstrapActions"][0]["ScriptBootstrapAction"]["Args"][1] for one in (gpu, cpu)] == ["gpu", "cpu"]


def test_code_is_uploaded_to_where_nodes_look_for_it() -> None:
    *uploads, creation = planned("create")
    script = creation.arguments["BootstrapActions"][0]["ScriptBootstrapAction"]
    uploaded = [f"s3://{call.arguments['Bucket']}/{call.arguments['Key']}" for call in uploads]
    assert uploaded == [script["Args"][0], script["Path"]]


@pytest.mark.parametrize(
    ("actions", "options", "message"),
    [
        (
            ("train", "create"),
            {},
            "'create' must come first, followed only by prepare, train, predict. Got train create.",
        ),
        (("create", "status"), {}, "'create' must come first, followed only by prepare, train, predict. Got create"),
        (
            ("train", "terminate"),
            {"cluster": "j-1"},
            "'terminate' must be given alone: it ends a cluster at once, jobs included. Got train terminate.",
        ),
        (("train", "train"), {}, "Each action must be given once. Got 'train' twice."),
        (("train",), {}, "'--cluster' must be the id that 'create' prints. Got none for 'train'. Add --cluster ID."),
        (
            ("logs",),
            {"target": EXISTING},
            "'--step' must be an id that 'status' prints. Got none for 'logs'.",
        ),
        (("create",), {"target": EXISTING}, "'--cluster' must not be given with 'create'"),
        (("create",), {"jobs": JobOptions()}, "'--root' must be a folder on S3. Got none."),
        (("create", "prepare"), {"jobs": JobOptions(root="s3://bucket/a")}, "'--reviews' must name review files"),
        (("create", "predict"), {"jobs": JobOptions(root="s3://bucket/a")}, "'--new-reviews' must name review files"),
        (
            ("create", "train"),
            {"jobs": JobOptions(root="s3://bucket/a", train_flags="--epochs '3")},
            "'--train-flags' must be flags as in a shell, with closed quotes. Got \"--epochs '3\".",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(actions: tuple[str, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(OptionError) as error:
        planned(*actions, **options)
    assert str(error.value).startswith(message)
