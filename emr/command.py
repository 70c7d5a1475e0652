"""Flags → a plan, which is printed (`--dry-run`) or, after a yes, sent. Errors are one sentence and exit status 1."""

from __future__ import annotations

import argparse
import gzip
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emr.calls import Call, send, shown
from emr.checkout import read_code
from emr.fleet import cost_sentence
from emr.options import ClusterOptions, JobOptions, TargetOptions
from emr.plan import ACTIONS, chosen_fleet, plan
from emr.secrecy import require_no_secrets
from emr.steps import JOBS
from sentispark.errors import SentisparkError, SetupError, sentence_of
from sentispark.jobs.flags import add_flags, options_from_flags

__all__ = ["main"]

_CHECKOUT = Path(__file__).resolve().parents[1]


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit status."""
    try:
        require_no_secrets(sys.argv[1:] if arguments is None else arguments)
        return _run(_parser().parse_intermixed_args(arguments))
    except (SentisparkError, OSError) as error:
        print(f"launch.py: {sentence_of(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("launch.py: interrupted. Anything AWS had already accepted keeps running.", file=sys.stderr)
        return 128 + signal.SIGINT


def _parser() -> argparse.ArgumentParser:
    listed = "; ".join(f"{name}: {does}" for name, does in ACTIONS.items())
    parser = argparse.ArgumentParser(prog="launch.py", description="Run sentispark on Amazon EMR.")
    parser.add_argument("actions", nargs="+", choices=ACTIONS, metavar="ACTION", help=listed)
    parser.add_argument("--dry-run", action="store_true", help="print the calls to AWS, one a line, and send none")
    parser.add_argument("--yes", action="store_true", help="start without asking")
    parser.add_argument("--region", help="AWS region (default: that of your AWS configuration)")
    for kind in (JobOptions, ClusterOptions, TargetOptions):
        add_flags(parser, kind)
    return parser


def _run(flags: argparse.Namespace) -> int:
    jobs, cluster, target = (options_from_flags(flags, kind) for kind in (JobOptions, ClusterOptions, TargetOptions))
    calls = plan(flags.actions, jobs, cluster, target, read_code(_CHECKOUT))
    cost = _cost(flags.actions, cluster, target)
    if cost:
        print(cost, file=sys.stderr)
    if flags.dry_run:
        print(*map(shown, calls), sep="\n")
        return 0
    if cost and not flags.yes:
        _require_yes()
    result: dict[str, Any] = {}
    for call, response in send(calls, region=flags.region):
        result |= _result(call, response)
    if result:
        print(json.dumps(result))
    return 0


def _cost(actions: Sequence[str], cluster: ClusterOptions, target: TargetOptions) -> str:
    """What the actions cost, in words; empty if they start nothing."""
    if "create" in actions:
        return (
            f"{cost_sentence(chosen_fleet(actions, cluster), cluster.primary_type)} "
            f"The cluster runs until it has had no work for {cluster.idle_minutes} minutes, or until 'terminate'."
        )
    if any(action in JOBS for action in actions):
        return f"Cluster {target.cluster} is billed while it runs, at least until these jobs end."
    return ""


def _require_yes() -> None:
    """Return if the user types yes.

    Raises
    ------
    SetupError
        If there is no terminal, or the answer is another.
    """
    if not sys.stdin.isatty():
        raise SetupError("This costs money and must be confirmed, but there is no terminal to ask on. Use --yes.")
    print("Type yes to start: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != "yes":
        raise SetupError("The answer was not yes, and nothing was started.")


def _result(call: Call, response: dict[str, Any]) -> dict[str, Any]:
    """What the command's line of JSON says about a call; logs are printed as they are."""
    if call.operation == "run_job_flow":
        return {"cluster": response["JobFlowId"]}
    if call.operation == "add_job_flow_steps":
        return {"cluster": call.arguments["JobFlowId"], "steps": response["StepIds"]}
    if call.operation == "describe_cluster":
        status = response["Cluster"]["Status"]
        reason = status.get("StateChangeReason", {}).get("Message", "")
        return {"cluster": call.arguments["ClusterId"], "state": status["State"], "reason": reason}
    if call.operation == "list_steps":
        steps = reversed(response["Steps"])  # AWS has the newest first
        return {"steps": [{"id": one["Id"], "name": one["Name"], "state": one["Status"]["State"]} for one in steps]}
    if call.operation == "terminate_job_flows":
        return {"terminated": call.arguments["JobFlowIds"]}
    if call.operation == "get_object":
        print(gzip.decompress(response["Body"].read()).decode("utf-8", "replace"), end="")
    return {}
