"""What is wrong with a cluster for a barrier stage, found on the driver before any data is touched."""

from __future__ import annotations

import time
from collections.abc import Callable

from pyspark.sql import SparkSession

from sentispark.errors import SetupError

__all__ = ["barrier_obstacle", "require_slots", "task_slots"]

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
    return context.maxNumConcurrentTasks(context.resourceProfileManager().defaultResourceProfile())


def require_slots(
    spark: SparkSession,
    workers: int,
    *,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Return once the cluster has room for all ranks at once; Spark itself would wait ten minutes without a word.

    Raises
    ------
    SetupError
        If it has not, or not within half a minute where executors may still be starting.
    """
    dynamic = spark.sparkContext.getConf().get("spark.dynamicAllocation.enabled", "false") == "true"
    local = spark.sparkContext.master.startswith("local[") or spark.sparkContext.master == "local"
    last = clock() + (0 if local else SECONDS_FOR_EXECUTORS)
    while obstacle := barrier_obstacle(workers=workers, slots=task_slots(spark), dynamic_allocation=dynamic):
        if dynamic or clock() >= last:
            raise SetupError(obstacle)
        wait(0.5)
