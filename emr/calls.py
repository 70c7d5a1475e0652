"""Calls to AWS as values: printed by `--dry-run`, otherwise sent."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sentispark.errors import InputError, SetupError, sentence_of

__all__ = ["Call", "send", "shown"]


@dataclass(frozen=True)
class Call:
    """A call of a boto3 client.

    Attributes
    ----------
    service : str
        As in `boto3.client(service)`.
    operation : str
        The name of the client's method.
    arguments : mapping
        Its keyword arguments.
    """

    service: str
    operation: str
    arguments: Mapping[str, Any]


def shown(call: Call) -> str:
    """A call as one line of JSON; of bytes only their number and hash.

    >>> shown(Call("s3", "put_object", {"Key": "a", "Body": b"b"}))
    '{"service": "s3", "operation": "put_object", "arguments": {"Key": "a", "Body": "1 bytes, SHA-256 3e23e8160039"}}'
    """
    return json.dumps(vars(call), default=_described)


def _described(body: bytes) -> str:
    return f"{len(body)} bytes, SHA-256 {hashlib.sha256(body).hexdigest()[:12]}"


def send(calls: Iterable[Call], *, region: str | None) -> Iterator[tuple[Call, dict[str, Any]]]:
    """Send the calls one by one; yields each with its response.

    Raises
    ------
    InputError
        If what a call asks for is not on S3.
    SetupError
        If boto3 is missing, or AWS refuses a call.
    """
    try:
        import boto3
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError as error:
        raise SetupError("The package boto3 is missing. Install it with: pip install boto3") from error
    for call in calls:
        try:
            client = boto3.client(call.service, region_name=region)
            yield call, getattr(client, call.operation)(**call.arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                raise InputError(_absent(call)) from error
            raise SetupError(f"AWS refused '{call.operation}': {sentence_of(error)}") from error
        except BotoCoreError as error:
            raise SetupError(
                f"AWS could not be asked for '{call.operation}': {sentence_of(error)} "
                "'aws sts get-caller-identity' tells whether your credentials work; --region names the region."
            ) from error


def _absent(call: Call) -> str:
    url = f"s3://{call.arguments['Bucket']}/{call.arguments['Key']}"
    return f"'{url}' does not exist. Amazon EMR copies logs there about every five minutes: try again, or see 'status'."
