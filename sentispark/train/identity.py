"""What makes two trainings the same one, so that one may continue from the other's checkpoint."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from sentispark.dataset.dataset import Dataset
from sentispark.errors import DatasetError
from sentispark.options import camel_case
from sentispark.train.config import TrainConfig
from sentispark.train.initial import initial_net

__all__ = ["identity_of", "require_same"]

# Options that only decide where and how the same steps are computed, and the one that has a rule of its own.
_FREE = {"balance", "balance_limit", "device", "max_epochs", "micro_batch_size", "reader"}


def identity_of(dataset: Dataset, config: TrainConfig) -> dict[str, Any]:
    """Everything that a training depends on, as values that JSON can hold."""
    manifest = dataset.manifest
    options = dataclasses.asdict(config.train)
    if config.train.initial_model is not None:
        options["initial_model"] = initial_net(config.train.initial_model).fingerprint
    return {
        "dataset": manifest.fingerprint,
        "vocabulary": manifest.vocabulary_fingerprint,
        "train": options,
        "net": dataclasses.asdict(config.net),
    }


def require_same(saved: Mapping[str, Any], now: Mapping[str, Any], *, epochs: int, folder: str) -> None:
    """Raise `DatasetError` unless a training may continue from a checkpoint; each difference is named.

    Parameters
    ----------
    saved, now : mapping
        What `identity_of` returned for the training that was saved, and for the one that is about to start.
    epochs : int
        The epochs that the checkpoint has completed.
    folder : str
        The folder of the checkpoint, for the message.
    """
    found = [*_differences(saved, now), *_of_epochs(saved["train"], now["train"], epochs)]
    if found:
        raise DatasetError(
            f"'{folder}' holds a checkpoint of another training: {'; '.join(found)}. "
            "Name another folder, or set 'fresh' to delete the checkpoints there and start over."
        )


def _differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    found = [f"its {name} is another one" for name in ("dataset", "vocabulary") if saved[name] != now[name]]
    for part in ("train", "net"):
        before, after = _as_json(saved[part]), _as_json(now[part])
        found += [
            f"'{camel_case(name)}' was {_shown(before, name)} and is {_shown(after, name)}"
            for name in sorted({*before, *after} - _FREE)
            if (name in before, before.get(name)) != (name in after, after.get(name))
        ]
    return found


def _of_epochs(saved: Mapping[str, Any], now: Mapping[str, Any], epochs: int) -> list[str]:
    """More or fewer epochs are fine where the learning rate of a step does not depend on them."""
    before, after = saved["max_epochs"], now["max_epochs"]
    if after == before:
        return []
    if now["schedule"] != "constant" or now["warmup_share"]:
        reason = f"the '{now['schedule']}' schedule" if now["schedule"] != "constant" else "the warm-up"
        return [f"'maxEpochs' was {before} and is {after}, on which {reason} depends"]
    return [f"'maxEpochs' is {after}, but {epochs} are done"] if after < epochs else []


def _as_json(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in options.items()}


def _shown(options: Mapping[str, Any], name: str) -> str:
    return repr(options[name]) if name in options else "unknown"
