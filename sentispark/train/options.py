"""The options of a training run: a class for each part that reads them, and `TrainOptions`, all of them together."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import Any

from sentispark.dataset.readers import READERS
from sentispark.errors import OptionError
from sentispark.options import (
    Rule,
    any_of,
    at_least,
    between,
    boolean,
    check,
    one_of,
    option,
    optional,
    seed_rule,
    text,
)

__all__ = [
    "BatchOptions",
    "CheckpointOptions",
    "LossOptions",
    "OptimizerOptions",
    "RankOptions",
    "StoppingOptions",
    "TrainOptions",
]


@dataclasses.dataclass(frozen=True)
class StoppingOptions:
    """How long to train, and which epoch's weights to keep."""

    max_epochs: int = option(3, at_least(1), "number of passes over the training rows", flag="--epochs")
    target_loss: float | None = option(
        None,
        optional(between(0, math.inf, open_low=True)),
        "validation loss at which training stops early, or none",
    )
    patience: int | None = option(
        None,
        optional(at_least(1)),
        "epochs without a lower validation loss after which training stops early, or none",
    )
    keep: str = option(
        "best",
        one_of("best", "last"),
        "which model to keep: that of the epoch with the lowest validation loss, or the last",
    )


@dataclasses.dataclass(frozen=True)
class BatchOptions:
    """How many rows a step has, and how they are divided among the ranks."""

    batch_size: int = option(256, at_least(1), "rows per step, over all workers together")
    micro_batch_size: int | None = option(
        None,
        optional(at_least(1)),
        "rows that a worker computes at once when its batch is too large for its memory; gradients are accumulated",
    )
    balance: str = option(
        "auto",
        one_of("auto", "epoch", "off"),
        "how batch sizes follow the workers' speed: auto, every few steps; epoch, as in the 2019 system; or off",
    )
    balance_limit: float = option(
        8.0, between(1, math.inf), "most rows that one worker may get, as a multiple of an even share"
    )


@dataclasses.dataclass(frozen=True)
class OptimizerOptions:
    """The optimizers, their learning rates and the schedule."""

    learning_rate: float = option(4e-3, between(0, math.inf, open_low=True), "highest learning rate of the schedule")
    wide_learning_rate: float = option(
        0.3, between(0, math.inf, open_low=True), "highest learning rate of the net's linear part, which Adagrad trains"
    )
    learning_rate_scaling: str = option(
        "none",
        one_of("none", "linear", "sqrt"),
        "how learning rate and warm-up scale with the ratio of batch size to base batch size",
    )
    base_batch_size: int = option(256, at_least(1), "batch size for which learning rate and warm-up are given")
    optimizer: str = option("adamw", one_of("adamw", "sgd"), "optimizer of all but the net's linear part")
    momentum: float = option(0.9, between(0, 1, open_high=True), "momentum, for sgd")
    weight_decay: float = option(
        0.01, between(0, math.inf), "share of each weight that a step removes, times the learning rate"
    )
    schedule: str = option(
        "cosine", one_of("cosine", "linear", "constant", "one_cycle"), "how the learning rate falls after the warm-up"
    )
    warmup_share: float = option(0.1, between(0, 1), "share of all steps during which the learning rate rises")
    gradient_clip: float | None = option(
        1.0, optional(between(0, math.inf, open_low=True)), "largest norm of a step's gradient; none for no limit"
    )


@dataclasses.dataclass(frozen=True)
class LossOptions:
    """The loss of a row."""

    positive_weight: float | str = option(
        1.0,
        any_of(between(0, math.inf, open_low=True), one_of("balanced")),
        "loss weight of a positive row relative to a negative one; balanced gives both classes the same total weight",
    )
    label_smoothing: float = option(
        0.0, between(0, 1, open_high=True), "how far labels are moved from 0 and 1 toward 0.5"
    )


@dataclasses.dataclass(frozen=True)
class RankOptions:
    """What each rank computes on and with, and what it sends."""

    device: str = option(
        "auto", one_of("auto", "cpu", "cuda"), "where ranks compute; auto uses GPUs if every rank has one"
    )
    precision: str = option(
        "tf32",
        one_of("float32", "tf32", "bfloat16"),
        "arithmetic on GPUs: float32, products in tf32, or bfloat16 for all but weights, loss and LSTM (there tf32); "
        "CPUs always use float32",
    )
    gradient_wire: str = option(
        "auto",
        one_of("auto", "float32", "float16", "bfloat16", "powersgd", "rows", "rows_bfloat16"),
        "how gradients are sent: as float32, rounded to float16 or bfloat16, as low-rank factors (powersgd), or of the "
        "embedding and the linear part only the rows that occurred, as float32 (rows) or rounded (rows_bfloat16); auto "
        "is rows between CPUs and float32 between GPUs",
    )
    reader: str = option(
        "auto", one_of(*READERS), "what reads the dataset; auto uses petastorm where it can run, else arrow"
    )


@dataclasses.dataclass(frozen=True)
class TrainOptions(RankOptions, LossOptions, OptimizerOptions, BatchOptions, StoppingOptions):
    """How the net is trained."""

    seed: int = option(0, seed_rule(), "seed for the initial weights, dropout and the order of rows")
    embedding_path: str | None = option(
        None,
        optional(text()),
        "text file of pretrained word vectors (GloVe, word2vec, fastText; .gz or not) to start from",
    )
    initial_model: str | None = option(
        None,
        optional(text()),
        "folder of a trained model whose weights to start from; its vocabulary must be the dataset's",
    )

    def __post_init__(self) -> None:
        check(self)
        if self.embedding_path is not None and self.initial_model is not None:
            raise OptionError("'initialModel' brings word vectors of its own. Leave out 'embeddingPath', or the model.")


def _is_seconds(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch(r"[1-9][0-9]{0,8}s", value) is not None


@dataclasses.dataclass(frozen=True)
class CheckpointOptions:
    """Where and how often a training is saved, so that it can be resumed."""

    checkpoint_dir: str | None = option(
        None,
        optional(text()),
        "folder for checkpoints, shared by all workers; a training that finds one of its own there resumes",
    )
    checkpoint_interval: int | str | None = option(
        None,
        optional(any_of(at_least(1), Rule("seconds such as 60s", _is_seconds))),
        "steps, such as 500, or seconds, such as 60s, between checkpoints, in addition to those at epochs' ends",
    )
    keep_checkpoints: int = option(2, at_least(1), "number of newest checkpoints to keep")
    fresh: bool = option(False, boolean(), "delete the checkpoints of earlier runs first, instead of resuming")

    def __post_init__(self) -> None:
        check(self)

    @property
    def interval_steps(self) -> int | None:
        """The interval if it is given in steps."""
        return self.checkpoint_interval if isinstance(self.checkpoint_interval, int) else None

    @property
    def interval_seconds(self) -> float | None:
        """The interval if it is given in seconds."""
        return float(self.checkpoint_interval[:-1]) if isinstance(self.checkpoint_interval, str) else None
