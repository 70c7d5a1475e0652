"""S3 on the loopback address: moto's server in this process, and an environment with only that endpoint."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
from collections.abc import Iterator

import pytest
import s3fs
from moto.server import ThreadedMotoServer

_numbers = itertools.count()


@contextlib.contextmanager
def s3_server() -> Iterator[str]:
    """Start a server on a free port; yields its URL."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # it logs every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    s3fs.S3FileSystem.clear_instance_cache()  # a file system keeps the settings it was made with
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        s3fs.S3FileSystem.clear_instance_cache()
        server.stop()


@contextlib.contextmanager
def s3_bucket(server: str) -> Iterator[str]:
    """A new bucket; yields its URL. The user's settings are neither read nor changed."""
    settings = {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1",
    }
    with pytest.MonkeyPatch.context() as environment:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            environment.delenv(name)
        for name, value in settings.items():
            environment.setenv(name, value)
        bucket = f"bucket-{next(_numbers)}"
        s3fs.S3FileSystem().mkdir(bucket)
        yield f"s3://{bucket}"
