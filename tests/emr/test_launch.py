"""`--dry-run` prints exactly the calls that are sent: compared call by call, on moto's AWS in this process."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import boto3
import pytest
from botocore import xform_name
from moto import mock_aws

from emr.calls import Call, shown
from emr.command import main

ROOT = ["--root", "s3://bucket/reviews"]
REVIEWS = ["--reviews", "s3://bucket/raw/*.jsonl.gz"]
NEW_REVIEWS = ["--new-reviews", "s3://bucket/new/*.csv"]
CREATIONS = {
    "one job": ["create", "train", *ROOT],
    "all jobs": ["create", "prepare", "train", "predict", *ROOT, *REVIEWS, *NEW_REVIEWS],
    "no job": ["create", *ROOT, "--no-spot", "--tags", "owner=me,team=a b", "--subnets", "subnet-0a1b"],
}


class Terminal(io.StringIO):
    """A standard input at which somebody types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The calls that were sent to an AWS with an empty bucket, each as `--dry-run` shows it."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    calls: list[str] = []

    def record(params: dict[str, Any], model: Any, **_: Any) -> None:
        calls.append(shown(Call(model.service_model.service_name, xform_name(model.name), params)))

    with mock_aws():
        boto3.client("s3").create_bucket(Bucket="bucket")
        boto3.DEFAULT_SESSION.events.register("provide-client-params", record)
        yield calls


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs the command, which must succeed; returns its standard output."""

    def run_command(*arguments: str) -> str:
        status = main(list(arguments))
        output, errors = capsys.readouterr()
        assert status == 0, errors
        return output

    return run_command


@pytest.fixture
def cluster(sent: list[str], run: Callable[..., str]) -> str:
    """The id of a cluster with one step."""
    created = json.loads(run("create", "prepare", "--yes", *ROOT, *REVIEWS))
    sent.clear()
    return created["cluster"]


@pytest.mark.parametrize("arguments", CREATIONS.values(), ids=CREATIONS)
def test_dry_run_prints_the_calls_that_create_a_cluster(
    arguments: list[str], sent: list[str], run: Callable[..., str]
) -> None:
    planned = run("--dry-run", *arguments).splitlines()
    assert sent == []
    assert re.fullmatch("j-[A-Z0-9]+", json.loads(run("--yes", *arguments))["cluster"])
    assert sent == planned
    assert [json.loads(line)["operation"] for line in planned] == ["put_object", "put_object", "run_job_flow"]


@pytest.mark.parametrize(
    ("arguments", "operations"),
    [
        (["train", "predict", *ROOT, *NEW_REVIEWS], ["add_job_flow_steps"]),
        (["status"], ["describe_cluster", "list_steps"]),
        (["train", "status", *ROOT], ["add_job_flow_steps", "describe_cluster", "list_steps"]),
        (["terminate"], ["terminate_job_flows"]),
    ],
)
def test_dry_run_prints_the_calls_to_a_cluster(
    arguments: list[str], operations: list[str], cluster: str, sent: list[str], run: Callable[..., str]
) -> None:
    planned = run("--dry-run", *arguments, "--cluster", cluster).splitlines()
    assert sent == []
    run("--yes", *arguments, "--cluster", cluster)
    assert sent == planned
    assert [json.loads(line)["operation"] for line in planned] == operations


def test_the_cluster_has_what_was_asked_for(sent: list[str], run: Callable[..., str]) -> None:
    created = json.loads(run("create", "prepare", "--yes", "--tags", "owner=me", *ROOT, *REVIEWS))
    emr = boto3.client("emr")
    found = emr.describe_cluster(ClusterId=created["cluster"])["Cluster"]
    assert found["ReleaseLabel"] == "emr-7.10.0"
    assert found["LogUri"] == "s3://bucket/reviews/logs/"
    assert {tag["Key"]: tag["Value"] for tag in found["Tags"]} == {
        "owner": "me",
        "project": "sentispark",
        "for-use-with-amazon-emr-managed-policies": "true",
    }
    (step,) = emr.list_steps(ClusterId=created["cluster"])["Steps"]
    assert step["Name"] == "sentispark prepare"
    assert step["Config"]["Args"][-3:] == ["s3://bucket/raw/*.jsonl.gz", "--output", "s3://bucket/reviews/dataset"]


def test_status_names_the_steps_in_their_order(cluster: str, run: Callable[..., str]) -> None:
    run("train", "--yes", "--cluster", cluster, *ROOT)
    status = json.loads(run("status", "--cluster", cluster))
    assert status["cluster"] == cluster
    assert [(step["name"], step["state"]) for step in status["steps"]] == [
        ("sentispark prepare", "RUNNING"),
        ("sentispark train", "PENDING"),
    ]


def test_a_terminated_cluster_says_so(cluster: str, run: Callable[..., str]) -> None:
    assert json.loads(run("terminate", "--cluster", cluster)) == {"terminated": [cluster]}
    assert json.loads(run("status", "--cluster", cluster))["state"] == "TERMINATED"


def test_logs_are_what_the_step_wrote(sent: list[str], run: Callable[..., str]) -> None:
    for name, text in {"stdout": '{"rows": 3}\n', "stderr": "read\n"}.items():
        key = f"reviews/logs/j-1/steps/s-1/{name}.gz"
        boto3.client("s3").put_object(Bucket="bucket", Key=key, Body=gzip.compress(text.encode()))
    arguments = ["logs", "--cluster", "j-1", "--step", "s-1", *ROOT]
    planned = run("--dry-run", *arguments).splitlines()
    sent.clear()
    assert run(*arguments) == 'read\n{"rows": 3}\n'
    assert sent == planned


def test_logs_that_are_not_there_yet_are_an_error(sent: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["logs", "--cluster", "j-1", "--step", "s-1", *ROOT]) == 1
    assert capsys.readouterr().err == (
        "launch.py: 's3://bucket/reviews/logs/j-1/steps/s-1/stderr.gz' does not exist. Amazon EMR copies logs there "
        "about every five minutes: try again, or see 'status'.\n"
    )


def test_what_aws_refuses_is_an_error_in_one_sentence(sent: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["create", "train", "--yes", "--root", "s3://nobodys/reviews"]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 2  # the first is the estimate
    assert errors[1].startswith("launch.py: AWS refused 'put_object': An error occurred (NoSuchBucket)")


def test_without_a_region_the_error_says_what_to_do(
    sent: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    assert main(["status", "--cluster", "j-1"]) == 1
    assert capsys.readouterr().err == (
        "launch.py: AWS could not be asked for 'describe_cluster': You must specify a region. "
        "'aws sts get-caller-identity' tells whether your credentials work; --region names the region.\n"
    )


class TestCosts:
    """Nothing that costs money starts without an estimate and a yes."""

    @pytest.mark.parametrize("arguments", [["create", "train"], ["create"], ["predict", "--cluster", "j-1"]])
    def test_without_a_terminal_nothing_starts(
        self, arguments: list[str], sent: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO("yes\n"))
        assert main([*arguments, *ROOT, *NEW_REVIEWS]) == 1
        assert capsys.readouterr().err.splitlines()[-1] == (
            "launch.py: This costs money and must be confirmed, but there is no terminal to ask on. Use --yes."
        )
        assert sent == []

    @pytest.mark.parametrize("answer", ["no\n", "\n", "", "y\n"])
    def test_another_answer_starts_nothing(
        self, answer: str, sent: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stdin", Terminal(answer))
        assert main(["create", "train", *ROOT]) == 1
        assert capsys.readouterr().err.endswith("The answer was not yes, and nothing was started.\n")
        assert sent == []

    def test_a_yes_starts_it_after_the_estimate(
        self, sent: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sys, "stdin", Terminal("yes\n"))
        assert main(["create", "train", *ROOT]) == 0
        output, errors = capsys.readouterr()
        assert errors.startswith("Estimate: at most $4.22 an hour for 1 m5.xlarge and 4 g5.xlarge or g6.xlarge")
        assert errors.endswith("Type yes to start: ")
        assert list(json.loads(output)) == ["cluster"]

    def test_ctrl_c_at_the_question_starts_nothing(
        self, sent: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        terminal = Terminal()
        monkeypatch.setattr(terminal, "readline", Mock(side_effect=KeyboardInterrupt))
        monkeypatch.setattr(sys, "stdin", terminal)
        assert main(["create", "train", *ROOT]) == 130
        assert capsys.readouterr().err.endswith(
            "launch.py: interrupted. Anything AWS had already accepted keeps running.\n"
        )
        assert sent == []

    @pytest.mark.parametrize("arguments", [["status"], ["terminate"]])
    def test_what_starts_nothing_does_not_ask(
        self, arguments: list[str], cluster: str, run: Callable[..., str]
    ) -> None:
        assert run(*arguments, "--cluster", cluster)


def test_a_secret_is_refused_and_not_repeated(sent: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    secret = "https://bucket.s3.amazonaws.com/a.csv?X-Amz-Signature=0a1b2c"
    assert main(["create", "prepare", "--yes", *ROOT, "--reviews", secret]) == 1
    output, errors = capsys.readouterr()
    assert errors.startswith("launch.py: The arguments must not contain secrets")
    assert "0a1b2c" not in output + errors
    assert sent == []


@pytest.mark.parametrize(
    ("arguments", "output", "errors"),
    [
        (["--dry-run", "terminate"], "terminate_job_flows", ""),
        (["--dry-run", "create", "train", *ROOT], "run_job_flow", "Estimate"),
        (["status"], "", "launch.py: The package boto3 is missing. Install it with: pip install boto3."),
    ],
)
def test_a_checkout_is_enough_until_a_call_is_sent(
    arguments: list[str], output: str, errors: str, tmp_path: Path
) -> None:
    script = Path(__file__).parents[2] / "emr" / "launch.py"
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    existing = [] if "create" in arguments else ["--cluster", "j-1"]
    command = [sys.executable, "-S", str(script), *arguments, *existing]  # -S: without any package
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=bare)
    assert done.returncode == (0 if output else 1)
    assert output in done.stdout
    assert done.stderr.startswith(errors)
