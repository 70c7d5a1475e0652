"""A training config to a trained net: each task of a Spark barrier stage runs one rank."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark import BarrierTaskContext
from pyspark.sql import SparkSession

from sentispark.cluster.preflight import require_slots
from sentispark.cluster.progress import Address, listening, sending

if TYPE_CHECKING:
    from sentispark.train.config import TrainConfig
    from sentispark.train.events import Emit
    from sentispark.train.result import TrainedNet
    from sentispark.train.world import World

__all__ = ["train_on_cluster"]

# The net comes back in rows of this many bytes: Spark's and Arrow's limits are far above, Connect's is 4 MiB.
PIECE_BYTES = 1 << 20

_SCHEMA = "name string, piece long, content binary"
_log = logging.getLogger(__name__)


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
    with listening(host, emit) as address:
        text, target = config.to_json(), tuple(address)
        job = spark.range(0, workers, 1, workers).mapInArrow(
            lambda batches: _rank_task(batches, text, target), _SCHEMA, barrier=True
        )
        rows = _collected(job)
    return _unpacked(rows)


def _rank_task(
    batches: Iterator[pa.RecordBatch], config_text: str, target: tuple[str, int, str]
) -> Iterator[pa.RecordBatch]:
    """Runs on an executor: one rank from start to end. The first one's net goes back to the driver."""
    from sentispark.train.config import TrainConfig
    from sentispark.train.run import run_rank

    for _ in batches:
        pass
    config = TrainConfig.from_json(config_text)
    world = _meet(BarrierTaskContext.get(), config.train.device)
    with sending(Address(*target) if world.is_first else None) as send:
        trained = run_rank(config, world, send)
    if world.is_first:
        yield from _packed(trained)


def _meet(context: BarrierTaskContext, wanted_device: str) -> World:
    """The world of this barrier stage: tasks tell each other where they are, and the first one opens the store."""
    import torch
    from torch.distributed import TCPStore

    from sentispark.train.world import PATIENCE, World, pick_device

    rank, hosts = context.partitionId(), [info.address.split(":")[0] for info in context.getTaskInfos()]
    neighbours = [other for other, host in enumerate(hosts) if host == hosts[rank]]
    gpu = _own_gpu(context, place=neighbours.index(rank), neighbours=len(neighbours))
    device = pick_device(wanted_device, gpu=gpu)
    # The store takes its own free port, so nobody can take it in between.
    server = TCPStore(hosts[0], 0, is_master=True, wait_for_workers=False, timeout=PATIENCE) if rank == 0 else None
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
    described: dict[str, Any] = {
        "options": trained.options.__dict__,
        "vocabulary_size": trained.vocabulary_size,
        "sequence_length": trained.sequence_length,
        "history": trained.history,
        "run": trained.run,
    }
    for name, content in (("described", json.dumps(described).encode()), ("weights", trained.weights)):
        for piece, start in enumerate(range(0, len(content), PIECE_BYTES)):
            row = {"name": [name], "piece": [piece], "content": [content[start : start + PIECE_BYTES]]}
            yield pa.RecordBatch.from_pydict(row)


def _unpacked(rows: list[Any]) -> TrainedNet:
    from sentispark.nn.options import NetOptions
    from sentispark.train.result import TrainedNet

    contents = {
        name: b"".join(row.content for row in sorted(rows) if row.name == name) for name in ("described", "weights")
    }
    described = json.loads(contents["described"])
    options = NetOptions(**described.pop("options"))
    return TrainedNet(options=options, weights=contents["weights"], **described)


def _collected(job: Any) -> list[Any]:
    """The job's rows; a rank's failure as one sentence with Spark's own error chained."""
    from sentispark.errors import TrainingError

    try:
        return job.collect()
    except Exception as error:
        lines = [line.strip() for line in str(error).splitlines()]
        told = [line.split("TrainingError: ", 1)[1] for line in lines if "TrainingError: " in line]
        raise TrainingError(told[0] if told else f"A rank failed: {lines[0] if lines else error!r}") from error
