"""A training that finishes although ranks are lost: it is restarted from its newest checkpoint, with fewer if need be.

Spark does not run a failed barrier stage again if it ends in a collect, so the driver starts a new one. A failure that
would happen again, such as that of an option or of the data, is not retried.
"""

from __future__ import annotations

import collections
import dataclasses
import itertools
import logging
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

from sentispark.cluster.barrier import train_on_cluster
from sentispark.cluster.monitor import RankMonitor
from sentispark.cluster.options import RestartOptions
from sentispark.cluster.preflight import task_slots
from sentispark.cluster.progress import passing_on
from sentispark.errors import PreemptedError, RankLostError, RankMemoryError, SetupError, TrainingError

if TYPE_CHECKING:
    from sentispark.train.config import TrainConfig
    from sentispark.train.events import Emit
    from sentispark.train.result import Attempt, TrainedNet
    from sentispark.train.step import StepHook

__all__ = ["Budget", "train_with_restarts"]

_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 1.0, 30.0

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Budget:
    """How often a training may still be restarted.

    Attributes
    ----------
    restarts, preemptions : int
        After a failure, and after a notice that a machine is taken away.
    ran_out_of_memory : bool
        Whether the last failure was that: the same batches would not fit a third time either.
    """

    restarts: int
    preemptions: int
    ran_out_of_memory: bool = False

    def after(self, error: TrainingError) -> Budget | None:
        """What is left after a failure; None if the training must not be restarted."""
        if isinstance(error, PreemptedError):
            return dataclasses.replace(self, preemptions=self.preemptions - 1) if self.preemptions else None
        memory = isinstance(error, RankMemoryError)
        if not self.restarts or not isinstance(error, (RankLostError, RankMemoryError)):
            return None
        if memory and self.ran_out_of_memory:
            return None
        return dataclasses.replace(self, restarts=self.restarts - 1, ran_out_of_memory=memory)


def train_with_restarts(
    spark: SparkSession,
    config: TrainConfig,
    workers: int,
    emit: Emit,
    options: RestartOptions,
    *,
    before_step: StepHook | None = None,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> TrainedNet:
    """Train with `workers` ranks, again if some are lost; without checkpoints, again from the beginning.

    Returns
    -------
    TrainedNet
        Its `run["attempts"]` says what happened.

    Raises
    ------
    SetupError, TrainingError
        See `train_on_cluster`; the last attempt's.
    """
    attempts: list[Attempt] = []
    budget, ranks, first = Budget(options.max_restarts, options.max_preemptions), workers, clock()
    with passing_on(emit) as emit:
        while True:
            monitor, began = RankMonitor(ranks, emit), clock()
            try:
                trained = train_on_cluster(spark, config, monitor, before_step=before_step)
                attempts.append(_attempt(monitor, began - first, clock() - began, None))
                _count_waste(attempts)
                return dataclasses.replace(trained, run={**trained.run, "attempts": attempts})
            except (SetupError, TrainingError) as raised:
                if isinstance(raised, SetupError) and not attempts:
                    raise
                # Slots that disappear between two attempts mean that executors were lost.
                error = RankLostError(str(raised)) if isinstance(raised, SetupError) else raised
                attempts.append(_attempt(monitor, began - first, clock() - began, error))
                left = budget.after(error)
                if left is None:
                    raise
                wait(min(_FIRST_WAIT_SECONDS * 2 ** (len(attempts) - 1), _LONGEST_WAIT_SECONDS))
                budget, ranks = left, _workers(spark, workers, options, clock=clock, wait=wait)
                if not ranks:
                    raise
                shown = _shown(error, attempts)
                emit({"kind": "restart", "workers": ranks, "attempt": len(attempts) + 1, "error": shown})


def _workers(
    spark: SparkSession,
    wanted: int,
    options: RestartOptions,
    *,
    clock: Callable[[], float],
    wait: Callable[[float], None],
) -> int:
    """The ranks for which there are slots, after waiting for the ones that are gone; 0 if they are too few."""
    if is_remote():  # a client of Spark Connect cannot query the slots
        return wanted
    last = clock() + options.slot_patience
    while (slots := task_slots(spark)) < wanted and clock() < last:
        wait(0.5)
    if slots >= min(wanted, options.min_workers):
        return min(wanted, slots)
    return 0


def _attempt(monitor: RankMonitor, began: float, seconds: float, error: TrainingError | None) -> Attempt:
    return {
        "workers": len(monitor.hosts),
        "hosts": monitor.hosts,
        "began": round(began, 2),
        "seconds": round(seconds, 2),
        "first_step": monitor.first_step,
        "last_step": monitor.last_step,
        "wasted_steps": 0,
        "error": None if error is None else str(error),
    }


def _count_waste(attempts: list[Attempt]) -> None:
    """The steps of each attempt that the next one had to take again."""
    for attempt, following in itertools.pairwise(attempts):
        attempt["wasted_steps"] = max(0, attempt["last_step"] - following["first_step"])


def _shown(error: TrainingError, attempts: list[Attempt]) -> str:
    """The error on one line; of several hosts, one on which ranks failed twice is named."""
    errors = "\n".join(each["error"] or "" for each in attempts)
    failed = re.findall(r"^\[rank \d+/\d+ on (\S+)\]", errors, re.MULTILINE)
    hosts = {host for each in attempts for host in each["hosts"]}
    often = [host for host, count in collections.Counter(failed).items() if count > 1 and len(hosts) > 1]
    return str(error).splitlines()[0] + "".join(f" Ranks on {host} have failed more than once." for host in often)
