"""A trained net as a value: what it is made of, its weights and its history; saved as safetensors and JSON.

Torch is loaded only where the net itself is built, so a driver that passes nets on does without.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any

from sentispark.errors import DatasetError
from sentispark.files import Folder
from sentispark.nn.options import NetOptions

if TYPE_CHECKING:
    from sentispark.nn.lstm import ReviewLSTM

__all__ = ["NET_FILE", "TrainedNet"]

# A net of an older version must load in every newer one: see tests/ml/test_golden.py.
FORMAT_VERSION = 1
NET_FILE = "net.json"
WEIGHTS_FILE = "weights.safetensors"
HISTORY_FILE = "history.json"


@dataclasses.dataclass(frozen=True)
class TrainedNet:
    """What training leaves.

    Attributes
    ----------
    options : NetOptions
    vocabulary_size : int
    sequence_length : int
        Length of the sequences it was trained on.
    weights : bytes
        The state of the net in the safetensors format.
    history : list of dict
        One entry an epoch: `epoch, train_loss, validation, seconds, rows_per_second, data_wait_share, rank_wait_share,
        batch_sizes, balance`. The shares are those of the time that ranks waited, on average; `balance` has decisions
        on batch sizes.
    run : dict
        What the run was: `workers`, `threads` (of each rank), `reader`, `kept_epoch`, `batch_sizes` (for
        `TrainConfig.sizes`), its options, `vocabulary_fingerprint` and `versions`.
    """

    options: NetOptions
    vocabulary_size: int
    sequence_length: int
    weights: bytes
    history: list[dict[str, Any]]
    run: dict[str, Any]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the net: its shape and its weights."""
        shape = json.dumps([dataclasses.asdict(self.options), self.vocabulary_size, self.sequence_length])
        return hashlib.sha256(shape.encode() + self.weights).hexdigest()

    def module(self) -> ReviewLSTM:
        """The net on the CPU, ready to predict. Raises `DatasetError` if the weights are not this net's."""
        import safetensors.torch

        from sentispark.nn.lstm import ReviewLSTM

        net = ReviewLSTM(self.vocabulary_size, self.options)
        try:
            net.load_state_dict(safetensors.torch.load(self.weights))
        except (safetensors.SafetensorError, RuntimeError) as error:
            raise DatasetError(f"The weights must be those of the net that '{NET_FILE}' describes: {error}.") from error
        return net.eval()

    def to_files(self) -> dict[str, bytes]:
        """The net as the contents of three files, by their names."""
        shape = {
            "format_version": FORMAT_VERSION,
            "options": dataclasses.asdict(self.options),
            "vocabulary_size": self.vocabulary_size,
            "sequence_length": self.sequence_length,
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
            Naming `source`, if a file is gone (`read` raises FileNotFoundError) or damaged.
        """
        try:
            shape = json.loads(read(NET_FILE))
            if shape["format_version"] > FORMAT_VERSION:
                raise DatasetError(
                    f"'{source}' must be of format version {FORMAT_VERSION} or earlier. It is of "
                    f"{shape['format_version']}. Use the version of sentispark that wrote it, or a newer one."
                )
            return cls(
                options=NetOptions(**shape["options"]),
                vocabulary_size=shape["vocabulary_size"],
                sequence_length=shape["sequence_length"],
                weights=read(WEIGHTS_FILE),
                history=json.loads(read(HISTORY_FILE)),
                run=shape["run"],
            )
        except (FileNotFoundError, ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"'{source}' must hold a trained net. It is damaged: {error!r}.") from error

    def save(self, folder: Folder) -> None:
        """Write the net's files into a folder."""
        for name, content in self.to_files().items():
            folder.write(name, content)

    @classmethod
    def load(cls, folder: Folder) -> TrainedNet:
        """Read what `save` wrote. Raises `DatasetError` if a file is gone or damaged."""
        return cls.from_files(folder.read, source=folder.url)
