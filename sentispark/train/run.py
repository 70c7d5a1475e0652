"""One rank from its config to its result: the one function that both launchers call."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import platform
from collections.abc import Iterator

import numpy as np
import safetensors.torch
import torch

from sentispark import __version__
from sentispark.dataset.batches import epoch_steps
from sentispark.dataset.dataset import Dataset, open_dataset
from sentispark.dataset.readers import choose_reader
from sentispark.dataset.store import RowStore
from sentispark.errors import SentisparkError, TrainingError
from sentispark.nn.lstm import ReviewLSTM
from sentispark.train.config import TrainConfig, check_trainable, positive_weight
from sentispark.train.events import Emit
from sentispark.train.pace import Pace
from sentispark.train.precision import products
from sentispark.train.result import TrainedNet
from sentispark.train.slowdown import Slowdown
from sentispark.train.step import Stepper
from sentispark.train.trainer import Trainer
from sentispark.train.vectors import read_vectors
from sentispark.train.world import World

__all__ = ["run_rank"]

_log = logging.getLogger(__name__)


def run_rank(
    config: TrainConfig, world: World, emit: Emit = lambda event: None, *, slowdown: Slowdown | None = None
) -> TrainedNet:
    """Train as one rank of a world.

    Parameters
    ----------
    config : TrainConfig
        The same on every rank.
    world : World
        Not yet joined: what can fail for one rank alone, such as opening its data, is done before the ranks meet, so
        that no other rank waits for it.
    emit : callable
        Takes the first rank's events.
    slowdown : Slowdown, optional
        For measuring: what this rank's steps take longer.

    Returns
    -------
    TrainedNet
        The same on every rank.

    Raises
    ------
    TrainingError
        Naming the rank and its host, with the cause chained.
    """
    try:
        with _stores(config, world) as (dataset, stores), _own_randomness(world):
            check_trainable(dataset, config, world.size)
            net = _untrained(config, dataset)
            with world.joined(), products(config.train.precision):
                return _train(
                    config, world, dataset, stores, net, emit if world.is_first else lambda event: None, slowdown
                )
    except (SentisparkError, RuntimeError) as error:  # torch's own: another rank was lost, memory ran out
        raise TrainingError(f"[rank {world.rank}/{world.size} on {platform.node()}] {error}") from error


@contextlib.contextmanager
def _stores(config: TrainConfig, world: World) -> Iterator[tuple[Dataset, dict[str, RowStore]]]:
    """The dataset and its rows, those that this rank will use read already."""
    dataset = open_dataset(config.dataset)
    reader = choose_reader(config.train.reader)
    with contextlib.ExitStack() as stack:
        stores = {split: stack.enter_context(RowStore(dataset, split, reader)) for split in ("train", "validation")}
        for store in stores.values():
            store.load(*(len(store) * edge // world.size for edge in (world.rank, world.rank + 1)))
        yield dataset, stores


def _own_randomness(world: World) -> contextlib.AbstractContextManager[None]:
    """What follows leaves torch's random state as it was: Spark gives this process to other tasks afterwards."""
    return torch.random.fork_rng(devices=[world.device] if world.device.type == "cuda" else [])


def _untrained(config: TrainConfig, dataset: Dataset) -> ReviewLSTM:
    """The net before its first step, the same on every rank."""
    torch.manual_seed(config.train.seed)
    net = ReviewLSTM(dataset.manifest.vocabulary_size, config.net)
    if path := config.train.embedding_path:
        token_ids, vectors = read_vectors(path, dataset, config.net.embedding_size)
        _log.info("%d of %d words start from vectors of '%s'.", len(token_ids), len(dataset.word_list.words), path)
        with torch.no_grad():
            net.embedding.weight[token_ids] = torch.from_numpy(vectors)
    return net


def _train(
    config: TrainConfig,
    world: World,
    dataset: Dataset,
    stores: dict[str, RowStore],
    net: ReviewLSTM,
    emit: Emit,
    slowdown: Slowdown | None,
) -> TrainedNet:
    manifest, options = dataset.manifest, config.train
    net.to(world.device)
    torch.manual_seed(options.seed * world.size + world.rank)  # each rank drops values of its own
    stepper = Stepper(
        net,
        options,
        world,
        steps=options.max_epochs * epoch_steps(manifest.rows("train"), options.batch_size),
        positive_weight=positive_weight(dataset, options),
        mean_weight=manifest.mean_weight("train"),
        slowdown=slowdown,
    )
    pace = Pace(options, world, stepper.clock, config.sizes)
    threads = world.gathered(np.array([torch.get_num_threads()])).ravel().astype(int).tolist()
    history, state, kept = Trainer(net, stepper, pace, stores, options, world, emit).train()
    return TrainedNet(
        options=config.net,
        vocabulary_size=manifest.vocabulary_size,
        sequence_length=manifest.sequence_length,
        weights=safetensors.torch.save({name: tensor.cpu().contiguous() for name, tensor in state.items()}),
        history=history,
        run={
            "workers": world.size,
            "reader": stores["train"].reader.name,
            "backend": world.backend,
            "device": world.device.type,
            "threads": threads,
            "kept_epoch": kept,
            "batch_sizes": pace.record,
            "options": dataclasses.asdict(options),
            "text_options": dict(manifest.text_options),
            "vocabulary_fingerprint": manifest.vocabulary_fingerprint,
            "versions": {"sentispark": __version__, "torch": torch.__version__, "python": platform.python_version()},
        },
    )
