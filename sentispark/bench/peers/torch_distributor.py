"""A training as a user of Spark and torch would write it: `TorchDistributor`, Petastorm's loader and plain DDP."""

from __future__ import annotations

import itertools
import os
import time
import warnings
from typing import TYPE_CHECKING, Any

from sentispark.train.config import TrainConfig

if TYPE_CHECKING:
    from petastorm.pytorch import BatchedDataLoader

    from sentispark.dataset.dataset import Dataset
    from sentispark.evaluate.metrics import Measures
    from sentispark.nn.net import Net

__all__ = ["train_by_torch_distributor"]

# Size of the loader's shuffle buffer in rows; Petastorm's examples use a few thousand.
_SHUFFLED_ROWS = 4096


def train_by_torch_distributor(config: TrainConfig, *, workers: int) -> dict[str, Any]:
    """Train in local processes, each of which reads its share of the row groups at the full length.

    Parameters
    ----------
    config : TrainConfig
        Its dataset must be local. The net, batch size, learning rate, schedule, gradient clip and epochs are used.
    workers : int
        Number of processes.

    Returns
    -------
    dict
        `seconds` of each epoch, and `validation`, the measures after the last one.
    """
    from pyspark.ml.torch.distributor import TorchDistributor

    distributor = TorchDistributor(num_processes=workers, local_mode=True, use_gpu=False)
    found = distributor.run(_train, config.to_json())
    assert found is not None
    return dict(found)


def _train(config_text: str) -> dict[str, Any]:
    """The training in each process that the distributor starts."""
    warnings.simplefilter("ignore")  # Petastorm calls what pyarrow 14 deprecates for each row group
    import torch
    from torch import distributed
    from torch.nn.parallel import DistributedDataParallel

    from sentispark.dataset.dataset import open_dataset
    from sentispark.nn.net import build_net
    from sentispark.train.optim import optimizers_of
    from sentispark.train.schedule import learning_rate_factor

    config = TrainConfig.from_json(config_text)
    options, dataset = config.train, open_dataset(config.dataset)
    distributed.init_process_group("gloo")
    rank, size = distributed.get_rank(), distributed.get_world_size()
    torch.manual_seed(options.seed)
    net = build_net(dataset.manifest.vocabulary_size, config.net)
    parallel = DistributedDataParallel(net)
    optimizers = optimizers_of(net, options, options.learning_rate)
    # Ranks have different numbers of rows, so each takes the same number of steps from a reader that repeats its rows.
    epoch_steps = dataset.manifest.rows("train") // options.batch_size
    steps = options.max_epochs * epoch_steps

    def factor(step: int) -> float:
        return learning_rate_factor(
            min(step, steps - 1), steps, schedule=options.schedule, warmup_share=options.warmup_share
        )

    schedules = [torch.optim.lr_scheduler.LambdaLR(optimizer, factor) for optimizer in optimizers]
    seconds = []
    with _loader(config.dataset, rank, size, options.batch_size // size) as loader:
        batches = iter(loader)
        for _ in range(options.max_epochs):
            started = time.perf_counter()
            net.train()
            for batch in itertools.islice(batches, epoch_steps):
                logits = parallel(batch["sequence"].long(), batch["length"].long())
                loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, batch["label"].float())
                for optimizer in optimizers:
                    optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                if options.gradient_clip is not None:
                    torch.nn.utils.clip_grad_norm_(net.parameters(), options.gradient_clip)
                for optimizer, schedule in zip(optimizers, schedules, strict=True):
                    optimizer.step()
                    schedule.step()
            distributed.barrier()
            seconds.append(time.perf_counter() - started)
    del parallel
    distributed.destroy_process_group()
    return {"seconds": seconds, "validation": _validation(net, dataset) if rank == 0 else None}


def _loader(dataset: str, rank: int, size: int, batch_rows: int) -> BatchedDataLoader:
    from petastorm import make_batch_reader
    from petastorm.pytorch import BatchedDataLoader

    reader = make_batch_reader(
        f"file://{os.path.abspath(dataset)}/train",
        schema_fields=["sequence", "length", "label"],
        cur_shard=rank,
        shard_count=size,
        num_epochs=None,
        shuffle_row_groups=True,
        workers_count=2,
    )
    return BatchedDataLoader(reader, batch_size=batch_rows, shuffling_queue_capacity=_SHUFFLED_ROWS)


def _validation(net: Net, dataset: Dataset) -> Measures:
    from sentispark.dataset.readers import ArrowReader
    from sentispark.dataset.store import RowStore
    from sentispark.train.evaluation import evaluate
    from sentispark.train.world import World

    with RowStore(dataset, "validation", ArrowReader()) as store:
        return evaluate(net, store, World())
