"""Why a cluster cannot run a barrier stage, found on the driver before any data is touched."""

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

# Executors of a cluster that has just started need some time to register.
SECONDS_FOR_EXECUTORS = 30.0


def barrier_obstacle(*, workers: int, slots: int, dynamic_allocation: bool) -> str | None:
    """Why a barrier stage with `workers` ranks cannot run on `slots` task slots, in one sentence; None if it can."""
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
    """The number of tasks that the cluster can run at once with its current executors."""
    context = spark.sparkContext._jsc.sc()
    return int(context.maxNumConcurrentTasks(context.resourceProfileManager().defaultResourceProfile()))


def require_slots(
    spark: SparkSession,
    workers: int,
    *,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Return once the cluster has slots for all ranks at once; Spark itself would wait ten minutes silently.

    A client of Spark Connect cannot query the slots; there only Spark's own check applies.

    Raises
    ------
    SetupError
        If it has too few; on a cluster, whose executors may still be starting, after half a minute.
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
    """Raise unless ranks see what the driver sees in a local folder.

    Parameters
    ----------
    spark : SparkSession
    folder : Folder
    workers : int
        The number of ranks; one task for each of them looks.
    file : str
        The file in the folder that they look for; by default one that is written there and removed again.

    Raises
    ------
    SetupError
        If some do not; the message names their hosts.
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
    """The hosts, among those of a barrier stage with that number of tasks, on which the path does not exist."""

    def look(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            pass
        if not os.path.exists(path):
            yield pa.RecordBatch.from_pydict({"host": [platform.node()]})

    found = collected(spark.range(0, tasks, 1, tasks).mapInArrow(look, "host string", barrier=True))
    return sorted({row.host for row in found})
