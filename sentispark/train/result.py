"""A trained net as a value: what it is made of, its weights and its history; saved as safetensors and JSON.

Torch is loaded only where the net itself is built, so a driver that only passes nets on does not need it.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypedDict

from sentispark.dataset.manifest import LABEL_NAMES
from sentispark.errors import DatasetError
from sentispark.files import Folder
from sentispark.nn.options import NetOptions
from sentispark.train.events import EpochEntry

if TYPE_CHECKING:
    from sentispark.nn.net import Net

__all__ = ["NET_FILE", "Attempt", "RunRecord", "TrainedNet"]

# A net of an older version must load in every newer one: see tests/ml/test_golden.py.
FORMAT_VERSION = 2
NET_FILE = "net.json"
WEIGHTS_FILE = "weights.safetensors"
HISTORY_FILE = "history.json"


class Attempt(TypedDict):
    """One of the attempts of a training that Spark ran."""

    workers: int
    hosts: list[str]  # of each rank
    began: float  # seconds after the first attempt
    seconds: float
    first_step: int  # after which it began, over all epochs: 0, or that of a checkpoint
    last_step: int  # that it was known to have taken
    wasted_steps: int  # that the next attempt had to take again
    error: str | None


class RunRecord(TypedDict):
    """How a net was trained."""

    workers: int
    reader: str
    backend: str
    device: str
    gradient_wire: str | None  # what "auto" chose; None for a single rank
    threads: list[int]  # of each rank
    kept_epoch: int  # whose weights these are, from 1
    batch_sizes: list[list[Any]]  # for `TrainConfig.batch_sizes`: a step, and the sizes from it on
    options: dict[str, Any]
    text_options: dict[str, Any]
    vocabulary_fingerprint: str | None
    versions: dict[str, str]
    attempts: list[Attempt]  # empty if Spark did not start the ranks


@dataclasses.dataclass(frozen=True)
class TrainedNet:
    """The result of a training.

    Attributes
    ----------
    options : NetOptions
    vocabulary_size : int
    sequence_length : int
        Length of the sequences it was trained on.
    weights : bytes
        The state of the net in the safetensors format.
    history : list of EpochEntry
        One entry an epoch.
    run : RunRecord
    label_names : tuple of str
        What the labels 0, 1, … mean.
    """

    options: NetOptions
    vocabulary_size: int
    sequence_length: int
    weights: bytes
    history: list[EpochEntry]
    run: RunRecord
    label_names: tuple[str, ...] = LABEL_NAMES

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the net's shape and weights."""
        shape = json.dumps([dataclasses.asdict(self.options), self.vocabulary_size, self.sequence_length])
        return hashlib.sha256(shape.encode() + self.weights).hexdigest()

    def module(self) -> Net:
        """The net on the CPU, ready to predict. Raises `DatasetError` if the weights are not this net's."""
        import safetensors.torch

        from sentispark.nn.net import build_net

        try:
            net = build_net(self.vocabulary_size, self.options)
            weights = safetensors.torch.load(self.weights)
            net.load_state_dict({_name(name): tensor for name, tensor in weights.items()})
        except (safetensors.SafetensorError, RuntimeError, TypeError, IndexError) as error:
            raise DatasetError(f"The weights must be those of the net that '{NET_FILE}' describes: {error}.") from error
        net.eval()
        return net

    def to_files(self) -> dict[str, bytes]:
        """The net as the contents of three files, by their names."""
        shape = {
            "format_version": FORMAT_VERSION,
            "options": dataclasses.asdict(self.options),
            "vocabulary_size": self.vocabulary_size,
            "sequence_length": self.sequence_length,
            "label_names": list(self.label_names),
            "run": self.run,
        }
        return {
            WEIGHTS_FILE: self.weights,
            HISTORY_FILE: json.dumps(self.history, indent=1).encode(),
            NET_FILE: json.dumps(shape, indent=1).encode(),
        }

    @classmethod
    def from_files(cls, read: Callable[[str], bytes], *, source: str) -> TrainedNet:
        """The inverse of `to_files`.

        Raises
        ------
        DatasetError
            If a file is missing (`read` raises FileNotFoundError) or damaged; the message names `source`.
        """
        try:
            shape = json.loads(read(NET_FILE))
            if shape["format_version"] > FORMAT_VERSION:
                raise DatasetError(
                    f"'{source}' must be of format version {FORMAT_VERSION} or earlier. It is of "
                    f"{shape['format_version']}. Use the version of sentispark that wrote it, or a newer one."
                )
            names = tuple(shape.get("label_names", LABEL_NAMES))
            if names != LABEL_NAMES:
                raise ValueError(f"its labels are {names}")
            return cls(
                options=NetOptions(**shape["options"]),
                vocabulary_size=shape["vocabulary_size"],
                sequence_length=shape["sequence_length"],
                weights=read(WEIGHTS_FILE),
                history=json.loads(read(HISTORY_FILE)),
                run=shape["run"],
                label_names=names,
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"'{source}' must hold a trained net. It is damaged: {error!r}.") from error

    def save(self, folder: Folder) -> None:
        """Write the net's files into a folder."""
        for name, content in self.to_files().items():
            folder.write(name, content)

    @classmethod
    def load(cls, folder: Folder) -> TrainedNet:
        """Read what `save` wrote. Raises `DatasetError` if a file is missing or damaged."""
        return cls.from_files(folder.read, source=folder.url)


def _name(name: str) -> str:
    """A weight's current name: in format version 1 the recurrent layers were named "lstm"."""
    return f"rnn.{name.removeprefix('lstm.')}" if name.startswith("lstm.") else name
