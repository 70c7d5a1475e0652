"""What looks like a secret is refused, what a job needs is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emr.secrecy import require_no_secrets
from sentispark.errors import OptionError

LETTERS = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", min_size=16, max_size=16)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--tags", "password=hunter2"],
        ["--train-flags=--conf spark.hadoop.fs.s3a.secret.key=abc"],
        ["--train-flags", "--api-key abc"],
        ["--token", "abc"],
        ["--reviews", "https://bucket.s3.amazonaws.com/a?X-Amz-Credential=x"],
        ["--torch-index", "https://me:pass@packages.example.com/simple"],
        ["--prepare-flags=AWS_SESSION_TOKEN=abc"],
    ],
)
def test_a_secret_is_refused(arguments: list[str]) -> None:
    with pytest.raises(OptionError, match="must not contain secrets"):
        require_no_secrets(arguments)


@given(st.sampled_from(["AKIA", "ASIA"]), LETTERS, st.sampled_from(["", "--tags=key=", "s3://bucket/"]))
def test_an_access_key_is_refused_and_not_repeated(kind: str, letters: str, before: str) -> None:
    with pytest.raises(OptionError) as error:
        require_no_secrets([before + kind + letters])
    assert kind + letters not in str(error.value)


def test_ordinary_arguments_pass() -> None:
    require_no_secrets(
        [
            "create",
            "--root=s3://bucket/secret-santa/reviews",
            "--reviews",
            "s3://bucket/tokens/*.csv",
            "s3://bucket/asiapacificreviews12/*.csv",
            "--prepare-flags=--text-col token --rating-scale 1-5",
            "--tags",
            "owner=me@example.com,project=x",
            "--torch-index",
            "https://download.pytorch.org/whl/cu126",
        ]
    )
