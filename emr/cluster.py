"""Options → the calls that upload the code and create a cluster with its first steps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from emr.calls import Call
from emr.checkout import ARCHIVE, BOOTSTRAP, Code
from emr.fleet import Fleet
from emr.options import ClusterOptions
from emr.steps import under

__all__ = ["bucket_and_key", "creation"]

# The second one is what the policies of EMR_DefaultRole_V2 ask for.
_TAGS = {"project": "sentispark", "for-use-with-amazon-emr-managed-policies": "true"}
# Without GPUs, torch's own index: the build that pip finds by itself brings gigabytes of CUDA.
_TORCH_INDEX_OF_CPUS = "https://download.pytorch.org/whl/cpu"
_SPOT_TIMEOUT_MINUTES = 10
# The root disk, in GiB: torch's CUDA libraries alone are larger than half of the default of 15.
_DISK_GIB = 50


def creation(
    options: ClusterOptions, fleet: Fleet, root: str | None, code: Code, steps: Sequence[dict[str, Any]]
) -> Iterator[Call]:
    """The calls that create a cluster, whose steps then run one after the other.

    Raises
    ------
    OptionError
        If there is no root.
    """
    folder = under(root, f"code/{code.version}")
    for name, content in code.files.items():
        bucket, key = bucket_and_key(f"{folder}/{name}")
        yield Call("s3", "put_object", {"Bucket": bucket, "Key": key, "Body": content})
    hardware = "gpu" if fleet.gpus else "cpu"
    index = options.torch_index or ("" if fleet.gpus else _TORCH_INDEX_OF_CPUS)
    arguments = [f"{folder}/{ARCHIVE}", hardware, *([index] if index else [])]
    bootstrap = {"Path": f"{folder}/{BOOTSTRAP}", "Args": arguments}
    yield Call(
        "emr",
        "run_job_flow",
        {
            "Name": f"sentispark {hardware}",
            "ReleaseLabel": options.release,
            "Applications": [{"Name": "Hadoop"}, {"Name": "Spark"}],
            "Configurations": json.loads(Path(__file__).with_name(f"{hardware}.json").read_text()),
            "BootstrapActions": [{"Name": "sentispark", "ScriptBootstrapAction": bootstrap}],
            "Instances": {
                "InstanceFleets": _fleets(options, fleet),
                "KeepJobFlowAliveWhenNoSteps": True,
                **({"Ec2SubnetIds": list(options.subnets)} if options.subnets else {}),
            },
            "EbsRootVolumeSize": _DISK_GIB,
            "AutoTerminationPolicy": {"IdleTimeout": 60 * options.idle_minutes},
            "LogUri": under(root, "logs/"),
            "ServiceRole": options.service_role,
            "JobFlowRole": options.instance_profile,
            "Tags": [{"Key": key, "Value": value} for key, value in _tags(options).items()],
            "Steps": list(steps),
        },
    )


def bucket_and_key(url: str) -> tuple[str, str]:
    """The parts of an S3 URL.

    >>> bucket_and_key("s3://bucket/folder/file")
    ('bucket', 'folder/file')
    """
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def _tags(options: ClusterOptions) -> dict[str, str]:
    """The user's tags and the project's, which cannot be replaced."""
    own = dict(tag.split("=", 1) for tag in options.tags)
    return {**own, **_TAGS}


def _fleets(options: ClusterOptions, fleet: Fleet) -> list[dict[str, Any]]:
    """The primary node, one worker that stays, and the other workers."""
    fleets = [_fleet("MASTER", [options.primary_type], on_demand=1), _fleet("CORE", fleet.types, on_demand=1)]
    others = fleet.instances - 1
    if others and options.spot:
        fleets.append(_fleet("TASK", fleet.types, spot=others))
    elif others:
        fleets.append(_fleet("TASK", fleet.types, on_demand=others))
    return fleets


def _fleet(role: str, types: Sequence[str], *, on_demand: int = 0, spot: int = 0) -> dict[str, Any]:
    """An instance fleet; what spot cannot provide in time is replaced by on-demand instances."""
    launch = {
        "SpotSpecification": {
            "TimeoutDurationMinutes": _SPOT_TIMEOUT_MINUTES,
            "TimeoutAction": "SWITCH_TO_ON_DEMAND",
            "AllocationStrategy": "price-capacity-optimized",
        }
    }
    return {
        "Name": role.lower(),
        "InstanceFleetType": role,
        "TargetOnDemandCapacity": on_demand,
        "TargetSpotCapacity": spot,
        "InstanceTypeConfigs": [{"InstanceType": name} for name in types],
        **({"LaunchSpecifications": launch} if spot else {}),
    }
