"""A standalone Spark cluster on this machine. Each worker has its own address, and is a host of its own to Spark."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyspark
from pyspark.find_spark_home import _find_spark_home

from sentispark.spark.java import ensure_java

_SECONDS_TO_START = 60.0
ROOT = Path(__file__).parents[2]
_DEPLOY = "org.apache.spark.deploy"


@contextlib.contextmanager
def standalone(workers: int, folder: Path, *, memory: str = "1g") -> Iterator[str]:
    """The URL of a master with workers of one core.

    Parameters
    ----------
    workers : int
        At most 200.
    folder : Path
        For logs and the executors' files.
    memory : str
        Of each worker.
    """
    environ = dict(os.environ)
    ensure_java(environ, pyspark.__version__)
    environ |= {
        "SPARK_HOME": str(_find_spark_home()),
        "SPARK_DAEMON_MEMORY": "256m",
        "PYSPARK_PYTHON": sys.executable,
        "PYTHONPATH": str(ROOT),
        "SPARK_WORKER_DIR": str(folder / "work"),
    }
    started: list[subprocess.Popen[bytes]] = []

    def start(name: str, *arguments: str) -> Path:
        log = folder / f"{name}.log"
        with log.open("wb") as file:
            command = [f"{environ['SPARK_HOME']}/bin/spark-class", *arguments]
            started.append(subprocess.Popen(command, env=environ, stdout=file, stderr=subprocess.STDOUT))
        return log

    try:
        log = start("master", f"{_DEPLOY}.master.Master", "--host", "127.0.0.1", "--port", "0", "--webui-port", "0")
        url = _found(log, "Starting Spark master at ")
        for number in range(workers):
            own = ["--host", f"127.0.0.{2 + number}", "--cores", "1", "--memory", memory, "--webui-port", "0"]
            start(f"worker-{number}", f"{_DEPLOY}.worker.Worker", *own, url)
        for number in range(workers):
            _found(folder / f"worker-{number}.log", "Successfully registered with master ")
        yield url
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            process.wait()


def _found(log: Path, words: str) -> str:
    """The word after some words in a log, once they are there."""
    ends = time.monotonic() + _SECONDS_TO_START
    while words not in (text := log.read_text()):
        assert time.monotonic() < ends, text[-2000:]
        time.sleep(0.1)
    return text.split(words)[1].split()[0]
