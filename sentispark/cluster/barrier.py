"""A training config → a trained net: each task of a Spark barrier stage runs one rank."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import pyarrow as pa
from pyspark import BarrierTaskContext, TaskContext
from pyspark.sql import DataFrame, Row, SparkSession

from sentispark.cluster.preflight import require_slots
from sentispark.cluster.progress import Address, listening, sending
from sentispark.errors import TrainingError, sentence_of
from sentispark.spark.causes import explained_error, is_spark_error
from sentispark.spark.session import is_remote_client, local_cores, setting

if TYPE_CHECKING:
    from sentispark.train.config import TrainConfig
    from sentispark.train.events import Emit
    from sentispark.train.result import TrainedNet
    from sentispark.train.world import World

__all__ = ["given_gpu", "host_of", "train_on_cluster"]

# Bytes of the net in each row of the result: Spark's and Arrow's limits are far higher, Connect's is 4 MiB.
PIECE_BYTES = 1 << 20

_SCHEMA = "name string, piece long, content binary"


def train_on_cluster(spark: SparkSession, config: TrainConfig, workers: int, emit: Emit) -> TrainedNet:
    """Train with one rank in each of `workers` tasks that run at once.

    Parameters
    ----------
    spark : SparkSession
    config : TrainConfig
        Its dataset must be readable from every executor.
    workers : int
    emit : callable
        Called on the driver with the first rank's events while the job runs.

    Raises
    ------
    SetupError
        Before anything starts, if the cluster has too few task slots for the ranks.
    TrainingError
        If a rank failed; the message names the rank and its host.
    """
    require_slots(spark, workers)
    host = setting(spark, "spark.driver.host", "127.0.0.1")
    with listening(emit, host=host, bind=setting(spark, "spark.driver.bindAddress", host)) as address:
        text, cores = config.to_json(), _local_cores(spark)
        job = spark.range(0, workers, 1, workers).mapInArrow(
            lambda batches: _rank_task(batches, text, address, cores), _SCHEMA, barrier=True
        )
        rows = _collected(job)
    return _unpacked(rows)


def _rank_task(
    batches: Iterable[pa.RecordBatch], config_text: str, driver: Address | None, local_cores: int | None
) -> Iterator[pa.RecordBatch]:
    """Runs on an executor: one rank from start to end. The first rank sends the net back to the driver."""
    from sentispark.train.config import TrainConfig
    from sentispark.train.run import run_rank

    for _ in batches:
        pass
    context = BarrierTaskContext.get()
    try:
        config = TrainConfig.from_json(config_text)
        world = _meet(context, config.train.device, local_cores)
        with sending(driver if world.is_first else None) as send:
            trained = run_rank(config, world, send)
    except TrainingError:
        raise
    except Exception as error:
        ranks = len(context.getTaskInfos())
        raise TrainingError(
            f"[rank {context.partitionId()}/{ranks} on {platform.node()}] {sentence_of(error)}"
        ) from error
    if world.is_first:
        yield from _packed(trained)


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
    infos = [RankInfo.from_json(message) for message in context.allGather(own.to_json())]
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


def _collected(job: DataFrame) -> list[Row]:
    """The job's rows; a rank's failure as one sentence with Spark's own error chained."""
    try:
        return job.collect()
    except Exception as error:
        cause = explained_error(error) if is_spark_error(error) else error
        if isinstance(cause, TrainingError):
            raise cause from error
        raise TrainingError(f"A rank failed: {sentence_of(cause)}") from error
