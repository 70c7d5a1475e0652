"""Executors as Spark's scheduler knows them: which one a rank runs in, which are about to go, and ending one.

Spark offers this to its own parts only; where it does not answer, as with Spark Connect, nothing is known or done.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable

import psutil
from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

__all__ = ["executor_here", "leaving", "replace_executor"]


def executor_here() -> str | None:
    """The id of the executor whose Python worker this process is; None if it cannot be told."""
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process().parents():
            if found := re.search(r" --executor-id (\S+)", " ".join(process.cmdline())):
                return found[1]
    return None


def leaving(spark: SparkSession, executors: Iterable[str]) -> bool:
    """Whether one of these executors no longer gets tasks: it is being decommissioned, or it was lost."""
    if is_remote():
        return False
    with contextlib.suppress(Exception):  # a backend without executors
        backend = spark.sparkContext._jsc.sc().schedulerBackend()
        return not all(backend.isExecutorActive(executor) for executor in executors)
    return False


def replace_executor(spark: SparkSession, executor: str) -> None:
    """Have Spark end an executor and start another one; its tasks' slots do not count any more, even if it hangs."""
    if not is_remote():
        with contextlib.suppress(Exception):
            spark.sparkContext._jsc.sc().killAndReplaceExecutor(executor)
