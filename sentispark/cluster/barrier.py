"""A training config → a trained net: each task of a Spark barrier stage runs one rank."""

from __future__ import annotations

import contextlib
import os
import platform
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark import BarrierTaskContext, InheritableThread, TaskContext
from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql.utils import is_remote

from sentispark.cluster.executors import executor_here, leaving, replace_executor
from sentispark.cluster.link import RankLink
from sentispark.cluster.preflight import require_slots
from sentispark.cluster.progress import SAVE, STACKS, Address, listening
from sentispark.errors import ExecutorLostError, RankLostError, TrainingError, sentence_of
from sentispark.spark.cancel import cancelable
from sentispark.spark.causes import explained_error, is_spark_error
from sentispark.spark.session import is_remote_client, local_cores, setting

if TYPE_CHECKING:
    from sentispark.cluster.monitor import RankMonitor
    from sentispark.train.config import TrainConfig
    from sentispark.train.result import TrainedNet
    from sentispark.train.step import StepHook
    from sentispark.train.world import World

__all__ = ["given_gpu", "host_of", "train_on_cluster"]

# Bytes of the net in each row of the result: Spark's and Arrow's limits are far higher, Connect's is 4 MiB.
PIECE_BYTES = 1 << 20

# How often the driver looks after the ranks, and how long it waits for their stacks when one was lost.
_SECONDS_BETWEEN_LOOKS, _SECONDS_FOR_STACKS = 1.0, 1.0

_SCHEMA = "name string, piece long, content binary"


def train_on_cluster(
    spark: SparkSession, config: TrainConfig, monitor: RankMonitor, *, before_step: StepHook | None = None
) -> TrainedNet:
    """Train once, with a rank in each of the tasks that run at once.

    Parameters
    ----------
    spark : SparkSession
    config : TrainConfig
        Its dataset must be readable from every executor.
    monitor : RankMonitor
        New, for as many ranks as are to run; it passes the first rank's events on.
    before_step : callable, optional
        Sent to the ranks; see `run_rank`.

    Raises
    ------
    SetupError
        Before anything starts, if the cluster has too few task slots for the ranks.
    TrainingError
        If a rank failed; the message names the one that failed first, and its host. `RankLostError` if a restart may
        help.
    """
    ranks = len(monitor.hosts)
    require_slots(spark, ranks)
    host = setting(spark, "spark.driver.host", "127.0.0.1")
    with (
        listening(monitor, host=host, bind=setting(spark, "spark.driver.bindAddress", host)) as address,
        cancelable(spark) as cancel,
        _watching(spark, monitor, cancel),
    ):
        text, cores = config.to_json(), _local_cores(spark)
        job = spark.range(0, ranks, 1, ranks).mapInArrow(
            lambda batches: _rank_task(batches, text, address, cores, before_step), _SCHEMA, barrier=True
        )
        return _unpacked(_collected(job, monitor))


def _rank_task(
    batches: Iterable[pa.RecordBatch],
    config_text: str,
    driver: Address | None,
    local_cores: int | None,
    before_step: StepHook | None,
) -> Iterator[pa.RecordBatch]:
    """Runs on an executor: one rank from start to end. The first rank sends the net back to the driver."""
    from sentispark.train.config import TrainConfig
    from sentispark.train.failures import kind_of_failure
    from sentispark.train.run import run_rank

    for _ in batches:
        pass
    context = BarrierTaskContext.get()
    with RankLink(driver, context.partitionId(), platform.node(), executor_here()) as link:
        try:
            config = TrainConfig.from_json(config_text)
            world = _meet(context, config.train.device, local_cores)
            trained = run_rank(config, world, link.send, before_step=before_step, preempted=link.save_asked)
        except TrainingError:
            raise
        except Exception as error:
            where = f"[rank {context.partitionId()}/{len(context.getTaskInfos())} on {platform.node()}]"
            raise kind_of_failure(error)(f"{where} {sentence_of(error)}") from error
        if world.is_first:
            yield from _packed(trained)


@contextlib.contextmanager
def _watching(spark: SparkSession, monitor: RankMonitor, cancel: Callable[[], None]) -> Iterator[None]:
    """Look after the ranks until the block ends.

    If a rank is lost and Spark does not notice, because its host is gone or its process is frozen, the job is canceled.
    If an executor is about to be taken away, the ranks are asked to save.
    """
    ended = threading.Event()

    def watch() -> None:
        is_asked = False
        while not ended.wait(_SECONDS_BETWEEN_LOOKS):
            if monitor.is_lost():
                monitor.ask(STACKS)
                ended.wait(_SECONDS_FOR_STACKS)
                for executor in monitor.silent_executors:
                    replace_executor(spark, executor)
                cancel()
                return
            if not is_asked and leaving(spark, monitor.executors):
                is_asked = True
                monitor.ask(SAVE)

    thread = threading.Thread(target=watch, name="sentispark-watch", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _meet(context: BarrierTaskContext, wanted_device: str, local_cores: int | None) -> World:
    """The world of this barrier stage: tasks exchange their addresses and devices; the first one opens the store."""
    from torch.distributed import TCPStore  # type: ignore[attr-defined]  # torch exports it and does not say so

    from sentispark.train.gathering import RankInfo, agreed_gpus
    from sentispark.train.network import open_store
    from sentispark.train.world import PATIENCE, World, address_here, device_of, rank_info_here, rank_threads

    rank, hosts = context.partitionId(), [host_of(info.address) for info in context.getTaskInfos()]
    address = address_here(hosts[rank], hosts)
    store = open_store(address or hosts[rank], PATIENCE) if rank == 0 else None
    own = rank_info_here(
        hosts[rank],
        wanted_device,
        os.environ,
        given=given_gpu(context),
        address=address,
        port=store.port if store else None,
    )
    try:
        messages = context.allGather(own.to_json())
    except Exception as error:  # Spark raises EOFError, or what its JVM says
        raise RankLostError(f"Spark ended the ranks' first meeting: {sentence_of(error)}") from error
    infos = [RankInfo.from_json(message) for message in messages]
    gpus = agreed_gpus(infos, wanted_device)
    if rank:
        first = infos[0]
        assert first.port is not None, "the first rank has opened the store"
        store = TCPStore(first.address or hosts[0], first.port, is_master=False, timeout=PATIENCE)
    return World(
        rank=rank,
        size=len(hosts),
        device=device_of(gpus[rank] if gpus else None),
        backend="nccl" if gpus else "gloo",
        threads=rank_threads(os.environ, ranks=hosts.count(hosts[rank]), cores=local_cores, chosen=local_cores is None),
        store=store,
        address=address,
    )


def host_of(address: str) -> str:
    """The host of Spark's `host:port`, in which an IPv6 address is in brackets.

    Examples
    --------
    >>> host_of("node-1:7337"), host_of("[::1]:7337")
    ('node-1', '::1')
    """
    return address.rsplit(":", 1)[0].strip("[]")


def given_gpu(context: TaskContext) -> str | None:
    """The GPU that Spark assigned to a task: a number or a UUID, as the discovery script returns it.

    `CUDA_VISIBLE_DEVICES` is not set, because Spark reuses Python workers and the next fit would inherit it.
    """
    gpu = context.resources().get("gpu")
    return gpu.addresses[0] if gpu else None


def _local_cores(spark: SparkSession) -> int | None:
    """The cores that all ranks share in local mode; None if each task has cores of its own.

    In local mode Spark limits every Python process to one thread, so a single rank would leave the other cores idle.
    """
    master = setting(spark, "spark.master")
    if not master.startswith("local") or master.startswith("local-cluster") or is_remote_client():
        return None
    if setting(spark, "spark.executorEnv.OMP_NUM_THREADS"):
        return None
    return local_cores(master, os.cpu_count() or 1)


def _packed(trained: TrainedNet) -> Iterator[pa.RecordBatch]:
    for name, content in trained.to_files().items():
        for piece, start in enumerate(range(0, len(content), PIECE_BYTES)):
            row = {"name": [name], "piece": [piece], "content": [content[start : start + PIECE_BYTES]]}
            yield pa.RecordBatch.from_pydict(row)


def _unpacked(rows: list[Row]) -> TrainedNet:
    from sentispark.train.result import TrainedNet

    def read(name: str) -> bytes:
        return b"".join(row.content for row in sorted(rows) if row.name == name)

    return TrainedNet.from_files(read, source="the first rank's result")


def _collected(job: DataFrame, monitor: RankMonitor) -> list[Row]:
    """The job's rows; the failure of the rank that failed first as one sentence, with Spark's own error chained."""
    try:
        return _collected_aside(job)
    except Exception as error:
        if not is_spark_error(error):
            raise
        cause = explained_error(error)
        is_lost = isinstance(cause, (ExecutorLostError, RankLostError))
        failure = monitor.failure(str(cause) if isinstance(cause, ExecutorLostError) else "", spark_lost_some=is_lost)
        if failure is None and isinstance(cause, TrainingError):
            failure = cause
        raise failure or (RankLostError if is_lost else TrainingError)(f"A rank failed: {cause}") from error


def _collected_aside(job: DataFrame) -> list[Row]:
    """The job's rows, collected in another thread.

    On Ctrl-C PySpark cancels all jobs in the main thread, which must not be waiting for Spark's answer then.
    """
    if is_remote():
        return job.collect()
    found: list[list[Row]] = []
    errors: list[BaseException] = []

    def collect() -> None:
        try:
            found.append(job.collect())
        except BaseException as error:
            errors.append(error)

    thread = InheritableThread(target=collect, daemon=True)  # with this thread's job tags and pool
    thread.start()
    while thread.is_alive():  # a wait without end would not always notice a signal
        thread.join(0.2)
    if errors:
        raise errors[0]
    return found[0]
