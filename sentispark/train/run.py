"""One rank from its config to its result: the one function that both launchers call."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import platform
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import safetensors.torch
import torch

from sentispark import __version__
from sentispark.dataset.batches import Epoch, SectionedEpoch, epoch_steps
from sentispark.dataset.dataset import Dataset, open_dataset
from sentispark.dataset.readers import choose_reader
from sentispark.dataset.store import RowStore
from sentispark.errors import OptionError, SentisparkError
from sentispark.nn.net import Net, build_net
from sentispark.text.token_ids import FIRST_WORD
from sentispark.train.batch_sizes import BatchSizeController
from sentispark.train.checkpointing import Checkpointing
from sentispark.train.config import TrainConfig, check_trainable, positive_weight
from sentispark.train.events import Emit, Event
from sentispark.train.failures import kind_of_failure
from sentispark.train.identity import identity_of
from sentispark.train.initial import initial_net
from sentispark.train.loss import WeightedLoss
from sentispark.train.precision import products
from sentispark.train.reduce import chosen_wire
from sentispark.train.result import TrainedNet
from sentispark.train.step import StepHook, Stepper
from sentispark.train.trainer import Trainer, TrainerHook
from sentispark.train.vectors import read_vectors
from sentispark.train.world import World

__all__ = ["new_trainer", "run_rank"]

_log = logging.getLogger(__name__)


def _silent(event: Event) -> None:
    pass


def run_rank(
    config: TrainConfig,
    world: World,
    emit: Emit = _silent,
    *,
    before_step: StepHook | None = None,
    preempted: Callable[[], bool] = lambda: False,
) -> TrainedNet:
    """Train as one rank of a world.

    Parameters
    ----------
    config : TrainConfig
        The same on every rank.
    world : World
        Not yet joined: what can fail for a single rank, such as opening its data, is done before the ranks meet, so
        that no other rank waits for it.
    emit : callable
        Called with the first rank's events.
    before_step : callable, optional
        Called at the beginning of each step, within the time that counts as this rank's own.
    preempted : callable
        Whether this rank's machine is about to be taken away. With checkpoints, all ranks then save and stop.

    Returns
    -------
    TrainedNet
        The same on every rank.

    Raises
    ------
    TrainingError
        Or one of its subclasses: `RankLostError` if another rank was lost, `RankMemoryError`, `PreemptedError`. The
        message names the rank and its host; the cause is chained.
    """
    try:
        with _stores(config, world) as (dataset, stores), _random_state_restored(world):
            check_trainable(dataset, config, world.size)
            net = _untrained(config, dataset)
            with world.joined(), products(config.train.precision):
                # In a function of its own: the trainer's DDP must be deleted before the process group.
                emit = emit if world.is_first else _silent
                return _train(config, world, dataset, stores, net, emit, before_step, preempted)
    except (SentisparkError, RuntimeError, MemoryError) as error:
        kind, where = kind_of_failure(error), f"[rank {world.rank}/{world.size} on {platform.node()}]"
        raise kind(f"{where} {error}") from error


@contextlib.contextmanager
def _stores(config: TrainConfig, world: World) -> Iterator[tuple[Dataset, dict[str, RowStore]]]:
    """The dataset and its stores; the rows that this rank will use have been read."""
    dataset = open_dataset(config.dataset)
    reader = choose_reader(config.train.reader)
    with contextlib.ExitStack() as stack:
        stores = {split: stack.enter_context(RowStore(dataset, split, reader)) for split in ("train", "validation")}
        for store in stores.values():
            store.load(*(len(store) * edge // world.size for edge in (world.rank, world.rank + 1)))
        yield dataset, stores


def _random_state_restored(world: World) -> contextlib.AbstractContextManager[None]:
    """A context that restores torch's random state at its end: Spark reuses this process for other tasks."""
    return torch.random.fork_rng(devices=[world.device] if world.device.type == "cuda" else [])


def _untrained(config: TrainConfig, dataset: Dataset) -> Net:
    """The net before its first step, the same on every rank."""
    torch.manual_seed(config.train.seed)
    if path := config.train.initial_model:
        trained = initial_net(path)
        net = build_net(trained.vocabulary_size, config.net)
        net.load_state_dict(trained.module().state_dict())
        return net
    net = build_net(dataset.manifest.vocabulary_size, config.net)
    if path := config.train.embedding_path:
        if net.word_vectors is None:
            raise OptionError("'embeddingPath' needs a net that has word vectors. This one has none. Leave it out.")
        token_ids, vectors = read_vectors(path, dataset, config.net.embedding_size)
        words = dataset.manifest.vocabulary_size - FIRST_WORD
        _log.info("%d of %d words start from vectors of '%s'.", len(token_ids), words, path)
        with torch.no_grad():
            net.word_vectors[token_ids] = torch.from_numpy(vectors)
    return net


def new_trainer(
    config: TrainConfig,
    world: World,
    dataset: Dataset,
    stores: Mapping[str, RowStore],
    net: Net,
    *,
    emit: Emit = _silent,
    before_step: StepHook | None = None,
    after_step: TrainerHook = lambda trainer: None,
    after_epoch: TrainerHook = lambda trainer: None,
) -> Trainer:
    """A rank's trainer before its first step.

    Parameters
    ----------
    config : TrainConfig
    world : World
        Joined.
    dataset : Dataset
    stores : mapping of str to RowStore
        The stores of `train` and of `validation`, which may have no rows.
    net : Net
        The same weights on every rank.
    emit, before_step, after_step, after_epoch : callable
        See `Trainer` and `Stepper`.
    """
    manifest, options = dataset.manifest, config.train
    net.to(world.device)
    stepper = Stepper(
        net,
        options,
        world,
        steps=options.max_epochs * epoch_steps(manifest.rows("train"), options.batch_size),
        loss=WeightedLoss(positive_weight(dataset, options), manifest.mean_weight("train"), options.label_smoothing),
        before_step=before_step,
    )

    def epoch_of(number: int) -> Epoch:
        return SectionedEpoch(
            stores["train"], global_batch=options.batch_size, seed=options.seed, epoch=number, trim=net.trims
        )

    return Trainer(
        net,
        stepper,
        BatchSizeController(options, world, stepper.clock, config.batch_sizes),
        epoch_of,
        stores["validation"],
        options=options,
        world=world,
        emit=emit,
        after_step=after_step,
        after_epoch=after_epoch,
    )


def _train(
    config: TrainConfig,
    world: World,
    dataset: Dataset,
    stores: Mapping[str, RowStore],
    net: Net,
    emit: Emit,
    before_step: StepHook | None,
    preempted: Callable[[], bool],
) -> TrainedNet:
    with _checkpointing(config, world, dataset, emit, preempted) as checkpointing:
        hooks: dict[str, TrainerHook] = {}
        if checkpointing:
            hooks = {"after_step": checkpointing.after_step, "after_epoch": checkpointing.after_epoch}
        trainer = new_trainer(config, world, dataset, stores, net, emit=emit, before_step=before_step, **hooks)
        if checkpointing:
            checkpointing.resume(trainer)
        trainer.train()
    return _trained(config, world, dataset, trainer, reader=stores["train"].reader.name)


def _checkpointing(
    config: TrainConfig, world: World, dataset: Dataset, emit: Emit, preempted: Callable[[], bool]
) -> contextlib.AbstractContextManager[Checkpointing | None]:
    if config.checkpoints.checkpoint_dir is None:
        return contextlib.nullcontext()
    steps = epoch_steps(dataset.manifest.rows("train"), config.train.batch_size)
    identity = identity_of(dataset, config)
    return Checkpointing(config.checkpoints, identity, world, steps_of_epoch=steps, emit=emit, preempted=preempted)


def _trained(config: TrainConfig, world: World, dataset: Dataset, trainer: Trainer, *, reader: str) -> TrainedNet:
    manifest, vectors = dataset.manifest, trainer.net.word_vectors
    threads = world.gathered(np.array([torch.get_num_threads()])).ravel().astype(int).tolist()
    weights = {name: tensor.cpu().contiguous() for name, tensor in trainer.best.weights.items()}
    return TrainedNet(
        options=config.net,
        # An initial model may have more words than the dataset.
        vocabulary_size=manifest.vocabulary_size if vectors is None else len(vectors),
        sequence_length=manifest.sequence_length,
        weights=safetensors.torch.save(weights),
        history=trainer.history,
        run={
            "workers": world.size,
            "reader": reader,
            "backend": world.backend,
            "device": world.device.type,
            "gradient_wire": chosen_wire(config.train.gradient_wire, world.backend) if world.size > 1 else None,
            "threads": threads,
            "kept_epoch": trainer.best.epoch,
            "batch_sizes": [[begin, sizes] for begin, sizes in trainer.batch_sizes.schedule],
            "options": dataclasses.asdict(config.train),
            "text_options": dict(manifest.text_options),
            "vocabulary_fingerprint": manifest.vocabulary_fingerprint,
            "versions": {"sentispark": __version__, "torch": torch.__version__, "python": platform.python_version()},
            "attempts": [],
        },
    )
