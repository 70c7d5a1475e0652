"""A standalone Spark cluster on hosts made of namespaces: the first runs master and driver, the others a worker."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import pyspark
from pyspark.find_spark_home import _find_spark_home

from sentispark.spark.java import ensure_java
from tests.helpers.hosts import Host, hosts

_SECONDS_TO_START = 60.0
_MASTER, _WEB = 7077, 8080
ROOT = Path(__file__).parents[2]


class SparkHosts:
    """A running cluster.

    Attributes
    ----------
    driver : Host
    workers : list of Host
    master : str
        The master's URL.
    """

    def __init__(self, made: Sequence[Host], folder: Path, *, cores: int, named: bool) -> None:
        self.driver, *self.workers = made
        self._folder, self._cores, self._named = folder, cores, named
        self.master = f"spark://{self.driver.address}:{_MASTER}"
        self.environment = dict(os.environ)
        ensure_java(self.environment, pyspark.__version__)
        self.environment |= {
            "SPARK_HOME": str(_find_spark_home()),
            "SPARK_DAEMON_MEMORY": "256m",
            "PYSPARK_PYTHON": sys.executable,
            "PYSPARK_DRIVER_PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "SPARK_WORKER_DIR": str(folder / "work"),
        }

    def start(self) -> None:
        """Start master and workers; returns once all workers have reported."""
        master = "org.apache.spark.deploy.master.Master"
        self._daemon(self.driver, master, "--host", self.driver.address, "--port", _MASTER, "--webui-port", _WEB)
        for worker in self.workers:
            name = ["--host", worker.name] if self._named else []
            self._daemon(
                worker, "org.apache.spark.deploy.worker.Worker", *name, "--cores", self._cores, "-m", "2g", self.master
            )
        deadline = time.monotonic() + _SECONDS_TO_START
        while self._alive() < len(self.workers):
            logs = "".join(log.read_text(errors="replace")[-2000:] for log in self._folder.glob("*.log"))
            assert time.monotonic() < deadline, f"The workers have not registered: {logs}"
            time.sleep(0.2)

    def run(self, script: str, *arguments: object, seconds: float = 150) -> str:
        """The output of a script on the first host, whose `sys.argv[1]` is the master's URL."""
        return self.driver.run(
            sys.executable, "-c", script, self.master, *arguments, seconds=seconds, env=self.environment
        )

    def _daemon(self, host: Host, kind: str, *arguments: object) -> None:
        launcher = Path(self.environment["SPARK_HOME"], "bin", "spark-class")
        log = self._folder / f"{host.name}.log"
        host.start(launcher, kind, *arguments, log=log, env=self.environment)

    def _alive(self) -> int:
        page = f"http://{self.driver.address}:{_WEB}/json/"
        try:
            # Without the proxies of the environment.
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(page, timeout=2) as answer:
                return json.load(answer)["aliveworkers"]
        except (OSError, ValueError, KeyError):
            return 0


@contextlib.contextmanager
def spark_hosts(
    workers: int, folder: Path, *, cores: int = 1, rate: str | None = None, named: bool = False
) -> Iterator[SparkHosts]:
    """A cluster of `workers` workers, each on its own host.

    Parameters
    ----------
    workers : int
    folder : Path
        For logs and the executors' files.
    cores : int
        Cores of each worker.
    rate : str, optional
        Limit on what each host sends, such as "1gbit".
    named : bool
        Whether workers register with their host's name instead of its address, as on YARN.
    """
    with hosts(workers + 1, rate=rate) as made:
        cluster = SparkHosts(made, folder, cores=cores, named=named)
        cluster.start()
        yield cluster
