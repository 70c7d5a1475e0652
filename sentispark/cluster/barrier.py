"""A training config to a trained net: each task of a Spark barrier stage runs one rank."""

from __future__ import annotations

import json
import platform
import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark import BarrierTaskContext
from pyspark.sql import SparkSession

from sentispark.cluster.preflight import require_slots
from sentispark.cluster.progress import Address, listening, sending
from sentispark.errors import TrainingError, sentence_of
from sentispark.spark.causes import is_of_spark, told_by

if TYPE_CHECKING:
    from datetime import timedelta

    from torch.distributed import TCPStore

    from sentispark.train.config import TrainConfig
    from sentispark.train.events import Emit
    from sentispark.train.result import TrainedNet
    from sentispark.train.world import World

__all__ = ["train_on_cluster"]

# The net comes back in rows of this many bytes: Spark's and Arrow's limits are far above, Connect's is 4 MiB.
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
        Takes the first rank's events on the driver while the job runs.

    Raises
    ------
    SetupError
        Before anything starts, if the cluster has no room for the ranks.
    TrainingError
        If a rank failed; its text names the rank and its host.
    """
    require_slots(spark, workers)
    host = spark.conf.get("spark.driver.host", "127.0.0.1")
    with listening(emit, host=host, bind=spark.conf.get("spark.driver.bindAddress", host)) as address:
        text, target = config.to_json(), address and tuple(address)
        job = spark.range(0, workers, 1, workers).mapInArrow(
            lambda batches: _rank_task(batches, text, target), _SCHEMA, barrier=True
        )
        rows = _collected(job)
    return _unpacked(rows)


def _rank_task(
    batches: Iterator[pa.RecordBatch], config_text: str, target: tuple[str, int, str] | None
) -> Iterator[pa.RecordBatch]:
    """Runs on an executor: one rank from start to end. The first one's net goes back to the driver."""
    from sentispark.train.config import TrainConfig
    from sentispark.train.run import run_rank

    for _ in batches:
        pass
    context = BarrierTaskContext.get()
    try:
        config = TrainConfig.from_json(config_text)
        world = _meet(context, config.train.device)
        with sending(Address(*target) if target and world.is_first else None) as send:
            trained = run_rank(config, world, send)
    except TrainingError:
        raise
    except Exception as error:
        ranks = len(context.getTaskInfos())
        raise TrainingError(f"[rank {context.partitionId()}/{ranks} on {platform.node()}] {error!r}") from error
    if world.is_first:
        yield from _packed(trained)


def _meet(context: BarrierTaskContext, wanted_device: str) -> World:
    """The world of this barrier stage: tasks tell each other where they are, and the first one opens the store."""
    import torch
    from torch.distributed import TCPStore

    from sentispark.train.world import PATIENCE, World, pick_device

    rank, hosts = context.partitionId(), [info.address.rsplit(":", 1)[0].strip("[]") for info in context.getTaskInfos()]
    neighbours = [other for other, host in enumerate(hosts) if host == hosts[rank]]
    gpu = _own_gpu(context, place=neighbours.index(rank), neighbours=len(neighbours))
    device = pick_device(wanted_device, gpu=gpu)
    server = _open_store(hosts[0], PATIENCE) if rank == 0 else None
    told = {"port": server.port if server else None, "device": device.type, "torch": torch.__version__}
    all_told = [json.loads(message) for message in context.allGather(json.dumps(told))]
    devices = {other["device"] for other in all_told}
    if len(devices) > 1 and wanted_device == "auto":
        device = torch.device("cpu")
    if rank:
        server = TCPStore(hosts[0], all_told[0]["port"], is_master=False, timeout=PATIENCE)
    return World(
        rank=rank,
        size=len(hosts),
        device=device,
        backend="nccl" if devices == {"cuda"} else "gloo",
        ranks_on_host=len(neighbours),
        store=server,
    )


def _open_store(host: str, timeout: timedelta) -> TCPStore:
    """A store for the ranks to meet, on a free port of this one address; by itself it would listen on all of them."""
    from torch.distributed import TCPStore

    listener = socket.create_server((host, 0), family=socket.getaddrinfo(host, None)[0][0])
    port = listener.getsockname()[1]
    return TCPStore(
        host, port, is_master=True, wait_for_workers=False, timeout=timeout, master_listen_fd=listener.detach()
    )


def _own_gpu(context: BarrierTaskContext, *, place: int, neighbours: int) -> int | None:
    """The GPU that Spark gave this task, else one of the host's where it has enough for all of its ranks.

    `CUDA_VISIBLE_DEVICES` is left alone: Spark reuses Python workers, so the next fit would inherit it.
    """
    import torch

    resources = context.resources()
    if "gpu" in resources:
        return int(resources["gpu"].addresses[0])
    return place if torch.cuda.device_count() >= neighbours else None


def _packed(trained: TrainedNet) -> Iterator[pa.RecordBatch]:
    for name, content in trained.to_files().items():
        for piece, start in enumerate(range(0, len(content), PIECE_BYTES)):
            row = {"name": [name], "piece": [piece], "content": [content[start : start + PIECE_BYTES]]}
            yield pa.RecordBatch.from_pydict(row)


def _unpacked(rows: list[Any]) -> TrainedNet:
    from sentispark.train.result import TrainedNet

    def read(name: str) -> bytes:
        return b"".join(row.content for row in sorted(rows) if row.name == name)

    return TrainedNet.from_files(read, source="what the first rank sent")


def _collected(job: Any) -> list[Any]:
    """The job's rows; a rank's failure as one sentence with Spark's own error chained."""
    try:
        return job.collect()
    except Exception as error:
        cause = told_by(error) if is_of_spark(error) else error
        if isinstance(cause, TrainingError):
            raise cause from error
        raise TrainingError(f"A rank failed: {sentence_of(cause)}") from error
