"""Actions and options → the calls to AWS, in order. Nothing is sent here."""

from __future__ import annotations

from collections.abc import Sequence

from emr.calls import Call
from emr.checkout import Code
from emr.cluster import bucket_and_key, creation
from emr.fleet import Fleet, fleet_of
from emr.instances import CPU_WORKERS, GPU_WORKERS
from emr.options import ClusterOptions, JobOptions, TargetOptions
from emr.steps import JOBS, step, under
from sentispark.errors import OptionError

__all__ = ["ACTIONS", "chosen_fleet", "plan"]

ACTIONS = {
    "create": "start a cluster, with the jobs that follow as its first steps",
    "prepare": "turn the reviews into a dataset",
    "train": "train a model on the dataset",
    "predict": "predict the new reviews with the model",
    "status": "print the states of a cluster and its steps",
    "logs": "print what a step wrote",
    "terminate": "end a cluster and its steps",
}


def plan(
    actions: Sequence[str], jobs: JobOptions, cluster: ClusterOptions, target: TargetOptions, code: Code
) -> list[Call]:
    """The calls that carry out the actions: first jobs, in the order given, then what is asked about the cluster.

    Parameters
    ----------
    actions : sequence of str
        Of `ACTIONS`.
    jobs, cluster, target : options
    code : Code
        What a new cluster gets.

    Raises
    ------
    OptionError
        If the actions do not go together, or an option is missing or contradicts another.
    """
    _require_order(actions)
    fleet = chosen_fleet(actions, cluster)
    steps = [step(action, jobs, fleet) for action in actions if action in JOBS]
    if "create" in actions:
        if target.cluster:
            raise OptionError(f"'--cluster' must not be given with 'create', which makes one. Got {target.cluster}.")
        return list(creation(cluster, fleet, jobs.root, code, steps))
    cluster_id = _given(target.cluster, "--cluster", "the id that 'create' prints", actions)
    calls = [Call("emr", "add_job_flow_steps", {"JobFlowId": cluster_id, "Steps": steps})] if steps else []
    if "status" in actions:
        calls.append(Call("emr", "describe_cluster", {"ClusterId": cluster_id}))
        calls.append(Call("emr", "list_steps", {"ClusterId": cluster_id}))
    if "logs" in actions:
        step_id = _given(target.step, "--step", "an id that 'status' prints", actions)
        calls += _logs(under(jobs.root, f"logs/{cluster_id}/steps/{step_id}"))
    if "terminate" in actions:
        calls.append(Call("emr", "terminate_job_flows", {"JobFlowIds": [cluster_id]}))
    return calls


def chosen_fleet(actions: Sequence[str], options: ClusterOptions) -> Fleet:
    """The workers: of the types that the user names, otherwise with GPUs if there is a training."""
    return fleet_of(options.worker_types or (GPU_WORKERS if "train" in actions else CPU_WORKERS), options.workers)


def _require_order(actions: Sequence[str]) -> None:
    twice = sorted({action for action in actions if actions.count(action) > 1})
    if twice:
        raise OptionError(f"Each action must be given once. Got '{twice[0]}' twice.")
    if "terminate" in actions and len(actions) > 1:
        raise OptionError(
            f"'terminate' must be given alone: it ends a cluster at once, jobs included. Got {' '.join(actions)}. "
            "Wait for the jobs, or leave it out: an idle cluster ends by itself."
        )
    others = [action for action in actions if action not in ("create", *JOBS)]
    if "create" in actions and (others or actions[0] != "create"):
        raise OptionError(
            f"'create' must come first, followed only by {', '.join(JOBS)}. Got {' '.join(actions)}. "
            "The other actions need --cluster with the id that 'create' prints."
        )


def _given(value: str | None, flag: str, what: str, actions: Sequence[str]) -> str:
    if value is None:
        raise OptionError(f"'{flag}' must be {what}. Got none for '{actions[0]}'. Add {flag} ID.")
    return value


def _logs(folder: str) -> list[Call]:
    """The calls that get what a step's driver printed and logged."""
    urls = (bucket_and_key(f"{folder}/{name}.gz") for name in ("stderr", "stdout"))
    return [Call("s3", "get_object", {"Bucket": bucket, "Key": key}) for bucket, key in urls]
