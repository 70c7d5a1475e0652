"""Jobs → the steps of an EMR cluster: spark-submit with settings that suit its workers."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from emr.fleet import Fleet
from emr.options import JobOptions
from sentispark.errors import OptionError

__all__ = ["JOBS", "SOURCE", "step", "under"]

# Where bootstrap.sh unpacks the code, on every node.
SOURCE = "/opt/sentispark/source"
JOBS = ("prepare", "train", "predict")
# prepare and predict get as many executors as they have work for, as EMR has dynamic allocation on. Two cores with
# 5 GiB fill the nodes of every type in instances.py, whose YARN has 3 GiB for each core.
_ELASTIC = {
    "spark.executor.cores": "2",
    "spark.executor.memory": "2g",
    "spark.executor.memoryOverhead": "3g",
}
_GPU = {
    "spark.executor.resource.gpu.amount": "1",
    "spark.executor.resource.gpu.discoveryScript": f"{SOURCE}/emr/gpus.sh",
    "spark.task.resource.gpu.amount": "1",
}


def step(job: str, options: JobOptions, fleet: Fleet) -> dict[str, Any]:
    """A step of EMR's API that runs a job; its driver is on the primary node, which is not a spot instance.

    Raises
    ------
    OptionError
        If an option is missing that the job needs, or its flags have an open quote.
    """
    settings = _training(fleet) if job == "train" else _ELASTIC
    command = ["spark-submit", "--master", "yarn", "--deploy-mode", "client"]
    for name, value in settings.items():
        command += ["--conf", f"{name}={value}"]
    command += [f"{SOURCE}/sentispark/jobs/{job}.py", *_arguments(job, options, fleet)]
    return {
        "Name": f"sentispark {job}",
        "ActionOnFailure": "CANCEL_AND_WAIT",
        "HadoopJarStep": {"Jar": "command-runner.jar", "Args": command},
    }


def under(root: str | None, name: str) -> str:
    """The URL of a file or folder in the root folder.

    Raises
    ------
    OptionError
        If there is no root.
    """
    if root is None:
        raise OptionError("'--root' must be a folder on S3. Got none. Add --root s3://BUCKET/FOLDER.")
    return f"{root.rstrip('/')}/{name}"


def _training(fleet: Fleet) -> Mapping[str, str]:
    """The settings of a training: one executor, with one task, for each rank."""
    return {
        "spark.dynamicAllocation.enabled": "false",  # barrier stages refuse it
        "spark.executor.instances": str(fleet.ranks),
        "spark.executor.cores": str(fleet.cores_per_rank),
        "spark.task.cpus": str(fleet.cores_per_rank),
        "spark.executor.memory": "4g",
        "spark.executor.memoryOverhead": "6g",  # the rank is outside of the JVM: torch, CUDA, its rows
        # The step begins when the first worker is there, and spot instances are waited for, for up to ten minutes.
        "spark.scheduler.minRegisteredResourcesRatio": "1.0",
        "spark.scheduler.maxRegisteredResourcesWaitingTime": "20min",
        # Spark passes YARN's notice on only without the external shuffle service (SPARK-39018).
        "spark.decommission.enabled": "true",
        "spark.shuffle.service.enabled": "false",
        **(_GPU if fleet.gpus else {}),
    }


def _arguments(job: str, options: JobOptions, fleet: Fleet) -> list[str]:
    """The arguments of the job; the user's own flags come last, so they win."""
    dataset, model = under(options.root, "dataset"), under(options.root, "model")
    if job == "prepare":
        own = [*_files(options.reviews, "--reviews", job), "--output", dataset]
        return own + _words(options.prepare_flags, "--prepare-flags")
    if job == "train":
        own = [dataset, "--output", model, "--workers", str(fleet.ranks)]
        own += ["--checkpoint-dir", under(options.root, "checkpoints"), "--checkpoint-interval", "60s"]
        return own + _words(options.train_flags, "--train-flags")
    own = [model, *_files(options.new_reviews, "--new-reviews", job), "--output", under(options.root, "predictions")]
    return own + _words(options.predict_flags, "--predict-flags")


def _files(files: tuple[str, ...], flag: str, job: str) -> tuple[str, ...]:
    if not files:
        raise OptionError(f"'{flag}' must name review files for '{job}'. Got none. Add {flag} s3://BUCKET/FILES.")
    return files


def _words(flags: str, name: str) -> list[str]:
    try:
        return shlex.split(flags)
    except ValueError as error:
        raise OptionError(f"'{name}' must be flags as in a shell, with closed quotes. Got {flags!r}.") from error
