"""What a training run is told: the dataset, the net and the options, as one value that travels as JSON."""

from __future__ import annotations

import dataclasses
import difflib
import json
import math
from typing import Any

from sentispark.dataset.dataset import Dataset
from sentispark.dataset.readers import READERS
from sentispark.errors import InputError, OptionError
from sentispark.nn.options import NetOptions
from sentispark.options import any_of, anything, at_least, between, camel_case, check, one_of, option, seed_rule
from sentispark.train.vectors import check_vectors

__all__ = ["TrainConfig", "TrainOptions", "check_batch_size", "check_trainable"]


@dataclasses.dataclass(frozen=True)
class TrainOptions:
    """How the net is trained."""

    max_epochs: int = option(3, at_least(1), "number of passes over the training rows", flag="--epochs")
    batch_size: int = option(256, at_least(1), "rows per step, over all workers together")
    part_size: int | str = option(
        "none",
        any_of(at_least(1), one_of("none")),
        "rows that a worker computes at once when its batch is too large for its memory; gradients are accumulated",
    )
    wire: str = option(
        "float32",
        one_of("float32", "float16", "bfloat16", "powersgd", "rows"),
        "how gradients travel: float32, rounded, as low-rank factors, or of the embedding only the rows that occurred",
    )
    balance: str = option(
        "auto",
        one_of("auto", "epoch", "off"),
        "how batch sizes follow the workers' speed: auto, every few steps; epoch, as in the 2019 system; or off",
    )
    balance_limit: float = option(
        8.0, between(1, math.inf), "most rows that one worker may get, as a multiple of an even share"
    )
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
        0.01, between(0, math.inf), "share of each weight that a step takes away, times the learning rate"
    )
    schedule: str = option(
        "cosine", one_of("cosine", "linear", "constant", "one_cycle"), "how the learning rate falls after the warm-up"
    )
    warmup_share: float = option(0.1, between(0, 1), "share of all steps during which the learning rate rises")
    gradient_clip: float | str = option(
        1.0, any_of(between(0, math.inf, open_low=True), one_of("none")), "largest norm of a step's gradient, or none"
    )
    positive_weight: float | str = option(
        1.0,
        any_of(between(0, math.inf, open_low=True), one_of("balanced")),
        "loss weight of a positive row relative to a negative one; balanced gives both classes the same total weight",
    )
    embedding_path: str = option(
        "",
        anything(),
        "text file of pretrained word vectors (GloVe, word2vec, fastText; .gz or not) to start from",
    )
    label_smoothing: float = option(
        0.0, between(0, 1, open_high=True), "how far labels are moved from 0 and 1 towards 0.5"
    )
    target_loss: float | str = option(
        "none",
        any_of(between(0, math.inf, open_low=True), one_of("none")),
        "validation loss at which training stops early, or none",
    )
    patience: int | str = option(
        "none",
        any_of(at_least(1), one_of("none")),
        "epochs without a lower validation loss after which training stops early, or none",
    )
    keep: str = option(
        "best",
        one_of("best", "last"),
        "which model to keep: that of the epoch with the lowest validation loss, or the last",
    )
    seed: int = option(0, seed_rule(), "seed for the initial weights, dropout and the order of rows")
    device: str = option(
        "auto", one_of("auto", "cpu", "cuda"), "where ranks compute; auto uses GPUs if every rank has one"
    )
    precision: str = option(
        "tf32",
        one_of("float32", "tf32", "bfloat16"),
        "arithmetic on GPUs: float32, products in tf32, or bfloat16 for all but weights, loss and LSTM (there tf32); "
        "CPUs always use float32",
    )
    reader: str = option(
        "auto", one_of(*READERS), "what reads the dataset; auto uses petastorm where it can run, else arrow"
    )

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes
    ----------
    dataset : str
        Path or URL of a prepared dataset that every rank can read.
    train : TrainOptions
    net : NetOptions
    sizes : tuple of (int, tuple of int), optional
        From which step on, counted over all epochs from 0, which batch sizes hold: what an earlier run has recorded
        as its `batch_sizes`. Nothing is balanced then, and the run can be repeated bit for bit.
    """

    dataset: str
    train: TrainOptions = dataclasses.field(default_factory=TrainOptions)
    net: NetOptions = dataclasses.field(default_factory=NetOptions)
    sizes: tuple[tuple[int, tuple[int, ...]], ...] | None = None

    def to_json(self) -> str:
        """The text that `from_json` reads."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """A config from `{"dataset": …, "train": {…}, "net": {…}, "sizes": […]}`; what is left out has its default.

        Raises
        ------
        OptionError
            If the text is no such JSON, or an option is unknown or breaks its rule.
        """
        try:
            content = json.loads(text)
        except ValueError as error:
            raise OptionError(f"The config must be JSON. It is not: {error}.") from error
        if not isinstance(content, dict) or "dataset" not in content:
            raise OptionError("The config must be a JSON object with a 'dataset'. It has none.")
        if not isinstance(content["dataset"], str):
            raise OptionError(f"'dataset' must be a path or URL. Got {content['dataset']!r}.")
        parts = {"train": TrainOptions, "net": NetOptions}
        _known(content, {"dataset", "sizes", *parts}, "the config")
        return cls(
            content["dataset"],
            **{name: _built(kind, content.get(name, {}), name) for name, kind in parts.items()},
            sizes=_recorded(content.get("sizes")),
        )


def check_batch_size(options: TrainOptions, ranks: int) -> None:
    """Raise `OptionError` if the global batch is too small for each rank to have a row of it."""
    if options.batch_size < ranks:
        raise OptionError(
            f"'batchSize' must be at least the number of workers ({ranks}). Got {options.batch_size}. "
            "Raise batchSize or lower numWorkers."
        )


def positive_weight(dataset: Dataset, options: TrainOptions) -> float:
    """The factor of a positive row's loss; balanced, the weight of all negative training rows by that of the positive.

    Raises
    ------
    OptionError
        If it is to be balanced, and all rows of one class weigh nothing.
    """
    if options.positive_weight != "balanced":
        return options.positive_weight
    negative, positive = dataset.manifest.label_weights("train")
    if not negative or not positive:
        raise OptionError(
            "'positiveWeight' balanced needs rows of both classes"
            + (" that weigh something." if dataset.manifest.weighted else ".")
            + " All training rows are of one."
        )
    return negative / positive


def one_class_sentence(dataset: Dataset) -> str | None:
    """What to tell whoever trains on rows of one class; None if there are two."""
    negatives, positives = dataset.manifest.label_counts("train")
    if negatives and positives:
        return None
    rows, kind, missing = negatives + positives, *(("positive", "negative") if positives else ("negative", "positive"))
    return f"All {rows} training rows are {kind}: the model cannot tell them from {missing} ones. Check the labels."


def check_trainable(dataset: Dataset, config: TrainConfig, ranks: int) -> None:
    """Raise `OptionError` or `InputError` if the dataset cannot be trained on with these options."""
    dataset.require_split("train")
    check_batch_size(config.train, ranks)
    for step, held in config.sizes or ():
        if len(held) != ranks or sum(held) != config.train.batch_size or min(held) < 0:
            raise OptionError(
                f"'sizes' must be those of {ranks} workers and sum to batchSize ({config.train.batch_size}). "
                f"From step {step} on they are {list(held)}."
            )
    ends_early = [name for name in ("target_loss", "patience") if getattr(config.train, name) != "none"]
    if ends_early and not dataset.manifest.rows("validation"):
        raise OptionError(
            f"'{camel_case(ends_early[0])}' needs rows for validation. The dataset has none. "
            "Prepare some, or leave it out."
        )
    if not dataset.manifest.mean_weight("train"):
        raise InputError("The weights of the training rows must not all be 0. They are.")
    if config.train.embedding_path:
        check_vectors(config.train.embedding_path, dataset, config.net.embedding_size)
    positive_weight(dataset, config.train)


def _recorded(sizes: Any) -> tuple[tuple[int, tuple[int, ...]], ...] | None:
    try:
        return None if sizes is None else tuple((int(step), tuple(map(int, held))) for step, held in sizes)
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"'sizes' must be pairs of a step and the batch sizes that hold from it on. Got {sizes!r}."
        ) from error


def _built(options_class: type, values: dict[str, Any], part: str) -> Any:
    if not isinstance(values, dict):
        raise OptionError(f"'{part}' must be a JSON object. Got {values!r}.")
    names = {field.name for field in dataclasses.fields(options_class)}
    _known(values, names, f"'{part}'")
    return options_class(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})


def _known(values: dict[str, Any], names: set[str], where: str) -> None:
    for name in values:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            raise OptionError(
                f"'{name}' is not an option of {where}." + (f" Did you mean '{close[0]}'?" if close else "")
            )
