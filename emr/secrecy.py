"""The command's arguments → an error if one contains a secret: AWS's console shows steps and tags to many people."""

from __future__ import annotations

import re
from collections.abc import Iterable

from sentispark.errors import OptionError

__all__ = ["require_no_secrets"]

_NAME = r"(?i:[\w.-]*(secret|password|passwd|token|credential|api[_-]?key|access[_-]?key)[\w.-]*)"
_SECRET = re.compile(
    r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"  # an AWS access key
    r"|(?i:X-Amz)-(Signature|Security-Token|Credential)="  # a presigned URL
    r"|://[^/\s]*:[^/\s]*@"  # a URL with a password
    rf"|{_NAME}=\S"
    rf"|--{_NAME}\s+[^-\s]"
)


def require_no_secrets(arguments: Iterable[str]) -> None:
    """Raise if an argument looks like a secret, without repeating it.

    Raises
    ------
    OptionError

    Examples
    --------
    >>> require_no_secrets(["--tags", "password=hunter2"])
    Traceback (most recent call last):
    ...
    sentispark.errors.OptionError: The arguments must not contain secrets, as AWS shows them to all who may see the cluster. Got what looks like an access key, a password or a presigned URL. Grant access to the role of --instance-profile instead.
    """  # noqa: E501
    if _SECRET.search(" ".join(arguments)):
        raise OptionError(
            "The arguments must not contain secrets, as AWS shows them to all who may see the cluster. Got what looks "
            "like an access key, a password or a presigned URL. Grant access to the role of --instance-profile instead."
        )
