"""What is wrong with a cluster for a barrier stage, found on the driver before any data is touched."""

from __future__ import annotations

import os
import platform
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

from sentispark.errors import SetupError
from sentispark.files import Folder
from sentispark.spark.causes import collected
from sentispark.spark.session import shares_this_machine

__all__ = ["barrier_obstacle", "hosts_without", "require_shared", "require_slots", "task_slots"]

# Executors of a cluster that has just started need a while to report.
SECONDS_FOR_EXECUTORS = 30.0


def barrier_obstacle(*, workers: int, slots: int, dynamic_allocation: bool) -> str | None:
    """Why a barrier stage of so many ranks cannot run, in one sentence; None if it can."""
    if dynamic_allocation:
        return (
            "Barrier stages need 'spark.dynamicAllocation.enabled' to be false (SPARK-24942). It is true. "
            "Start the session with it off and with enough executors."
        )
    if slots < workers:
        return (
            f"'numWorkers' must be at most the number of tasks that run at once ({slots}). Got {workers}. "
            "Add executors or cores, or lower numWorkers."
        )
    return None


def task_slots(spark: SparkSession) -> int:
    """The tasks that the cluster can run at once, with the executors it has now."""
    context = spark.sparkContext._jsc.sc()
    return int(context.maxNumConcurrentTasks(context.resourceProfileManager().defaultResourceProfile()))


def require_slots(
    spark: SparkSession,
    workers: int,
    *,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Return once the cluster has room for all ranks at once; Spark itself would wait ten minutes without a word.

    A client of Spark Connect cannot ask how much room there is; there Spark's own word has to do.

    Raises
    ------
    SetupError
        If it has not, or not within half a minute where executors may still be starting.
    """
    if is_remote():
        return
    dynamic = spark.sparkContext.getConf().get("spark.dynamicAllocation.enabled", "false") == "true"
    master = spark.sparkContext.master or ""
    local = master.startswith("local[") or master == "local"
    last = clock() + (0 if local else SECONDS_FOR_EXECUTORS)
    while obstacle := barrier_obstacle(workers=workers, slots=task_slots(spark), dynamic_allocation=dynamic):
        if dynamic or clock() >= last:
            raise SetupError(obstacle)
        wait(0.5)


def require_shared(spark: SparkSession, folder: Folder, *, workers: int, file: str = "") -> None:
    """Return if ranks will see what the driver sees in a folder of its own file system.

    Parameters
    ----------
    spark : SparkSession
    folder : Folder
    workers : int
        The ranks; tasks look where those will be.
    file : str
        What they look for in the folder; by default a file that is written there and removed again.

    Raises
    ------
    SetupError
        Naming the hosts that do not see it.
    """
    if not folder.is_local or shares_this_machine(spark):
        return
    name = file or f".seen-by-all-{uuid.uuid4().hex}"
    if not file:
        folder.write(name, b"")
    try:
        hosts = hosts_without(spark, folder.path(name), workers)
    finally:
        if not file:
            Path(folder.path(name)).unlink()
    if hosts:
        raise SetupError(
            f"'{folder.url}' must be a folder that all executors share with the driver. {', '.join(hosts)} "
            "cannot see what the driver sees there. Name one on HDFS, an object store or a shared disk."
        )


def hosts_without(spark: SparkSession, path: str, tasks: int) -> list[str]:
    """The hosts of so many tasks of a barrier stage on which there is no such path."""

    def look(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            pass
        if not os.path.exists(path):
            yield pa.RecordBatch.from_pydict({"host": [platform.node()]})

    found = collected(spark.range(0, tasks, 1, tasks).mapInArrow(look, "host string", barrier=True))
    return sorted({row.host for row in found})
