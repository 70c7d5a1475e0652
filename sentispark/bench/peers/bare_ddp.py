"""`torchrun -m sentispark.bench.peers.bare_ddp`: epochs of sentispark and of a bare DDP loop, in turns.

Both run on the same ranks. The bare loop is that of torch's tutorial: DDP with its defaults, the mean of the losses, an
optimizer. It gets the same batches, which are in memory as tensors before it is timed.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from sentispark.dataset.batches import SectionedEpoch, epoch_steps
from sentispark.dataset.dataset import Dataset, open_dataset
from sentispark.dataset.plan import even_sizes
from sentispark.dataset.readers import Reader, choose_reader
from sentispark.dataset.store import RowStore
from sentispark.nn.net import Net, build_net
from sentispark.train.config import TrainConfig
from sentispark.train.optim import optimizers_of
from sentispark.train.prefetch import PrefetchedBatches
from sentispark.train.run import new_trainer
from sentispark.train.schedule import learning_rate_factor
from sentispark.train.step import Tensors
from sentispark.train.world import World, world_from_environment

__all__ = ["main"]


class BareDDP:
    """The net in DDP, with the optimizers and the schedule of sentispark's options."""

    def __init__(self, net: Net, config: TrainConfig, world: World, *, steps: int) -> None:
        options = config.train
        device_ids = [world.device] if world.device.type == "cuda" else None
        self._net = DistributedDataParallel(net, device_ids=device_ids) if world.size > 1 else net
        self._optimizers = optimizers_of(net, options, options.learning_rate)

        def factor(step: int) -> float:
            return learning_rate_factor(
                min(step, steps - 1), steps, schedule=options.schedule, warmup_share=options.warmup_share
            )

        self._schedules = [torch.optim.lr_scheduler.LambdaLR(optimizer, factor) for optimizer in self._optimizers]
        self._clip, self._world = options.gradient_clip, world

    def epoch(self, batches: Sequence[Tensors]) -> float:
        """Train on the batches, and return the seconds."""
        self._net.train()
        self._world.wait_for_all()
        started = time.perf_counter()
        for sequence, length, label, _ in batches:
            loss = functional.binary_cross_entropy_with_logits(self._net(sequence, length), label)
            for optimizer in self._optimizers:
                optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            if self._clip is not None:
                nn.utils.clip_grad_norm_(self._net.parameters(), self._clip)
            for optimizer, schedule in zip(self._optimizers, self._schedules, strict=True):
                optimizer.step()
                schedule.step()
        self._world.wait_for_all()
        if self._world.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - started


def main(arguments: list[str] | None = None) -> int:
    """Print the seconds of both by turn, as JSON."""
    parser = argparse.ArgumentParser(prog="torchrun -m sentispark.bench.peers.bare_ddp", description=__doc__)
    parser.add_argument("--config", required=True, help="JSON file, as for sentispark.train")
    parser.add_argument("--times", type=int, default=3, help="number of timed turns (default: 3)")
    flags = parser.parse_args(arguments)
    config = TrainConfig.from_json(Path(flags.config).read_text())
    world = world_from_environment(config.train.device, os.environ)
    dataset, reader = open_dataset(config.dataset), choose_reader(config.train.reader)
    with RowStore(dataset, "train", reader) as store, _no_rows(dataset, reader) as empty, world.joined():
        stores = {"train": store, "validation": empty}
        seconds = _in_turns(config, world, dataset, stores, flags.times)
    if world.is_first:
        rows = dataset.manifest.rows("train")
        print(json.dumps({"rows": rows, **seconds}))  # noqa: T201 - read by the process that started the ranks
    return 0


def _no_rows(dataset: Dataset, reader: Reader) -> RowStore:
    """A store without rows, so that no epoch is followed by a validation."""
    empty = dataclasses.replace(dataset, manifest=dataclasses.replace(dataset.manifest, chunks=()))
    return RowStore(empty, "validation", reader)


def _in_turns(
    config: TrainConfig, world: World, dataset: Dataset, stores: dict[str, RowStore], times: int
) -> dict[str, list[float]]:
    store, options = stores["train"], dataclasses.replace(config.train, max_epochs=times + 1)
    torch.manual_seed(options.seed)
    nets = [build_net(dataset.manifest.vocabulary_size, config.net) for _ in range(2)]
    nets[0].to(world.device)
    bare = BareDDP(nets[0], config, world, steps=options.max_epochs * epoch_steps(len(store), options.batch_size))
    trainer = new_trainer(dataclasses.replace(config, train=options), world, dataset, stores, nets[1])
    batch_sizes = even_sizes(options.batch_size, world.size)
    seconds: dict[str, list[float]] = {"bare": [], "sentispark": []}
    for turn in range(1, times + 2):
        epoch = SectionedEpoch(
            store, global_batch=options.batch_size, seed=options.seed, epoch=turn, trim=nets[0].trims
        )
        batches = [batch for batch, _ in PrefetchedBatches(epoch, world, lambda step: batch_sizes)]
        # They take turns in going first, so that a change in the machine's speed favors neither.
        for name in ("bare", "sentispark")[:: 1 if turn % 2 else -1]:
            took = bare.epoch(batches) if name == "bare" else trainer.epoch()["seconds"]
            if turn > 1:
                seconds[name].append(took)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
