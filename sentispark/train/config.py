"""Configuration of a training run: dataset, net and options, as one value that travels as JSON."""

from __future__ import annotations

import dataclasses
import difflib
import json
from typing import Any

from sentispark.dataset.dataset import Dataset
from sentispark.errors import InputError, OptionError
from sentispark.nn.options import NetOptions
from sentispark.options import NONE, Rule, camel_case
from sentispark.train.initial import check_initial, initial_net
from sentispark.train.options import BatchOptions, CheckpointOptions, LossOptions, TrainOptions
from sentispark.train.vectors import check_vectors

__all__ = ["TrainConfig", "check_batch_size", "check_trainable", "one_class_sentence", "positive_weight"]


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One training run.

    Attributes
    ----------
    dataset : str
        Path or URL of a prepared dataset that every rank can read.
    train : TrainOptions
    net : NetOptions
    batch_sizes : tuple of (int, tuple of int), optional
        Pairs: a step, counted over all epochs from 0, and the ranks' batch sizes from that step on, as in the
        `batch_sizes` of an earlier run. With them nothing is balanced, and that run is repeated bit for bit.
    checkpoints : CheckpointOptions
    """

    dataset: str
    train: TrainOptions = dataclasses.field(default_factory=TrainOptions)
    net: NetOptions = dataclasses.field(default_factory=NetOptions)
    batch_sizes: tuple[tuple[int, tuple[int, ...]], ...] | None = None
    checkpoints: CheckpointOptions = dataclasses.field(default_factory=CheckpointOptions)

    def to_json(self) -> str:
        """The text that `from_json` reads."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> TrainConfig:
        """A config from `{"dataset": …, "train": {…}, "net": {…}, "checkpoints": {…}, "batch_sizes": […]}`.

        Only "dataset" is required.

        Raises
        ------
        OptionError
            If the text is not such JSON, or an option is unknown or breaks its rule.
        """
        try:
            content = json.loads(text)
        except ValueError as error:
            raise OptionError(f"The config must be JSON. It is not: {error}.") from error
        if not isinstance(content, dict) or "dataset" not in content:
            raise OptionError("The config must be a JSON object with a 'dataset'. It has none.")
        if not isinstance(content["dataset"], str):
            raise OptionError(f"'dataset' must be a path or URL. Got {content['dataset']!r}.")
        parts = {"train": TrainOptions, "net": NetOptions, "checkpoints": CheckpointOptions}
        _known(content, {"dataset", "batch_sizes", *parts}, "the config")
        return cls(
            content["dataset"],
            **{name: _built(kind, content.get(name, {}), name) for name, kind in parts.items()},
            batch_sizes=_schedule(content.get("batch_sizes")),
        )


def check_batch_size(options: BatchOptions, ranks: int) -> None:
    """Raise `OptionError` if the global batch has fewer rows than there are ranks."""
    if options.batch_size < ranks:
        raise OptionError(
            f"'batchSize' must be at least the number of workers ({ranks}). Got {options.batch_size}. "
            "Raise batchSize or lower numWorkers."
        )


def positive_weight(dataset: Dataset, options: LossOptions) -> float:
    """The factor of a positive row's loss; "balanced" is the total weight of negative training rows over positive ones.

    Raises
    ------
    OptionError
        If the option is "balanced" and one class has no rows or no weight.
    """
    if not isinstance(options.positive_weight, str):
        return options.positive_weight
    negative, positive = dataset.manifest.label_weights("train")
    if not negative or not positive:
        raise OptionError(
            "'positiveWeight' must be a number if only one class has training rows"
            + (" of weight above 0." if dataset.manifest.weighted else ".")
            + " Got 'balanced'."
        )
    return negative / positive


def one_class_sentence(dataset: Dataset) -> str | None:
    """The warning for a training on rows of one class; None if there are two."""
    negatives, positives = dataset.manifest.label_counts("train")
    if negatives and positives:
        return None
    rows, kind, missing = negatives + positives, *(("positive", "negative") if positives else ("negative", "positive"))
    return f"All {rows} training rows are {kind}: the model cannot tell them from {missing} ones. Check the labels."


def check_trainable(dataset: Dataset, config: TrainConfig, ranks: int) -> None:
    """Raise `OptionError` or `InputError` if the dataset cannot be trained on with these options."""
    dataset.require_split("train")
    check_batch_size(config.train, ranks)
    if config.train.initial_model is not None:
        check_initial(initial_net(config.train.initial_model), dataset, config.net)
    for step, sizes in config.batch_sizes or ():
        if len(sizes) != ranks or sum(sizes) != config.train.batch_size or min(sizes) < 0:
            raise OptionError(
                f"'batch_sizes' must be those of {ranks} workers and sum to batchSize ({config.train.batch_size}). "
                f"From step {step} on they are {list(sizes)}."
            )
    ends_early = [name for name in ("target_loss", "patience") if getattr(config.train, name) is not None]
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


def _schedule(pairs: Any) -> tuple[tuple[int, tuple[int, ...]], ...] | None:
    try:
        return None if pairs is None else tuple(sorted((int(step), tuple(map(int, sizes))) for step, sizes in pairs))
    except (TypeError, ValueError) as error:
        raise OptionError(
            f"'batch_sizes' must be pairs of a step and the batch sizes from that step on. Got {pairs!r}."
        ) from error


def _built(options_class: type, values: dict[str, Any], part: str) -> Any:
    if not isinstance(values, dict):
        raise OptionError(f"'{part}' must be a JSON object. Got {values!r}.")
    names = {field.name for field in dataclasses.fields(options_class)}
    _known(values, names, f"'{part}'")
    rules = {field.name: field.metadata["rule"] for field in dataclasses.fields(options_class)}
    return options_class(**{name: _value(value, rules[name]) for name, value in values.items()})


def _value(value: Any, rule: Rule) -> Any:
    """An option's value from JSON, where "none" may stand for null unless the option is text."""
    if rule.optional and value == NONE and not rule.holds(value):
        return None
    return tuple(value) if isinstance(value, list) else value


def _known(values: dict[str, Any], names: set[str], where: str) -> None:
    for name in values:
        if name not in names:
            close = difflib.get_close_matches(name, names, n=1)
            raise OptionError(
                f"'{name}' is not an option of {where}." + (f" Did you mean '{close[0]}'?" if close else "")
            )
