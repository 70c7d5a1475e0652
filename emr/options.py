"""The options of `launch.py`, declared as those of the library are."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from emr.instances import CPU_WORKERS, GPU_WORKERS, INSTANCES
from sentispark.options import Rule, at_least, boolean, list_of, one_of, option, optional, text

__all__ = ["ClusterOptions", "JobOptions", "TargetOptions"]


def _matching(words: str, pattern: str) -> Rule:
    """A text that matches all of a regular expression."""
    return Rule(words, lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None)


_FOLDER = _matching("a folder on S3 such as s3://bucket/folder", r"s3://[a-z0-9.-]{3,63}(/[\w.=-]+)*/?")
_FILES = _matching("files on S3 such as s3://bucket/reviews/*.jsonl.gz", r"s3://[a-z0-9.-]{3,63}/\S+")
_INSTANCE = replace(one_of(*INSTANCES), choices=())  # too many for the line of usage
_TAG = _matching("KEY=VALUE", r"[\w .:/+@-]{1,128}=[\w .:/=+@-]{0,256}")


@dataclass(frozen=True)
class JobOptions:
    """The jobs."""

    root: str | None = option(
        None,
        optional(_FOLDER),
        "folder on S3 for all that is written: code, logs, dataset, model, checkpoints, predictions",
    )
    reviews: tuple[str, ...] = option((), list_of(_FILES), "review files to prepare, separated by commas")
    new_reviews: tuple[str, ...] = option((), list_of(_FILES), "review files to predict, separated by commas")
    prepare_flags: str = option("", text(), "more flags of 'sentispark prepare', as one argument")
    train_flags: str = option("", text(), "more flags of 'sentispark train', as one argument")
    predict_flags: str = option("", text(), "more flags of 'sentispark predict', as one argument")


@dataclass(frozen=True)
class ClusterOptions:
    """The cluster."""

    workers: int = option(4, at_least(1), "ranks of a training, one for each GPU; without GPUs, for each instance")
    worker_types: tuple[str, ...] = option(
        (),
        list_of(_INSTANCE),
        f"instance types of the workers, separated by commas; none: {','.join(GPU_WORKERS)} for a training, "
        f"otherwise {','.join(CPU_WORKERS)}",
    )
    primary_type: str = option("m5.xlarge", _INSTANCE, "instance type of the primary node")
    spot: bool = option(
        True, boolean(), "use spot instances for all workers but one, falling back to on-demand if none arrive in time"
    )
    idle_minutes: int = option(60, at_least(1, most=10080), "minutes without work after which the cluster ends")
    tags: tuple[str, ...] = option((), list_of(_TAG), "more tags of cluster and instances, separated by commas")
    subnets: tuple[str, ...] = option(
        (), list_of(_matching("a subnet such as subnet-0a1b2c", r"subnet-\w+")), "subnets to choose from"
    )
    release: str = option("emr-7.10.0", _matching("a release of EMR 7", r"emr-7\.\d+\.\d+"), "release of Amazon EMR")
    service_role: str = option("EMR_DefaultRole_V2", text(), "IAM role of Amazon EMR")
    instance_profile: str = option("EMR_EC2_DefaultRole", text(), "IAM instance profile of the instances")
    torch_index: str | None = option(
        None,
        optional(_matching("an https URL", r"https://[\w.-]+(/[\w.-]+)*/?")),
        "package index for torch; none: PyPI for GPUs, otherwise PyTorch's index of CPU builds",
    )


@dataclass(frozen=True)
class TargetOptions:
    """A cluster that exists."""

    cluster: str | None = option(None, optional(_matching("an id such as j-1ABC", r"j-[A-Z0-9]+")), "id of the cluster")
    step: str | None = option(None, optional(_matching("an id such as s-1ABC", r"s-[A-Z0-9]+")), "id of a step")
