"""What a dataset folder holds: its chunks, how its texts were encoded, and how a chunk is found whole."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from typing import Any

from sentispark.errors import DatasetError

__all__ = ["FILE_NAME", "FORMAT_VERSION", "SPLITS", "Chunk", "Manifest", "id_type_of"]

FILE_NAME = "_manifest.json"
FORMAT_VERSION = 2
SPLITS = ("train", "validation", "test")


def id_type_of(vocabulary_size: int) -> str:
    """The NumPy type of token ids below a bound: int16 where they fit, or int32."""
    return "int16" if vocabulary_size <= 1 << 15 else "int32"


@dataclasses.dataclass(frozen=True)
class Chunk:
    """One Parquet file of one row group.

    Attributes
    ----------
    split : {"train", "validation", "test"}
    file : str
        Its path below the dataset's folder.
    rows, positives : int
        All rows, and those with label 1.
    weight : float
        The sum of the rows' weights; `rows` where there are none.
    size : int
        Bytes of the file.
    positives_weight : float or None
        What the rows with label 1 have of `weight`; None in a weighted dataset of format version 1.
    """

    split: str
    file: str
    rows: int
    positives: int
    weight: float
    size: int
    positives_weight: float | None = None


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The contents of `_manifest.json`.

    Attributes
    ----------
    sequence_length : int
        L, the length of every sequence.
    vocabulary_size : int
        Token ids are below it; padding (0) and unknown (1) are counted in.
    vocabulary_fingerprint : str or None
        `WordList.fingerprint` of `vocabulary.json`; None where the dataset was made of sequences alone.
    weighted : bool
        Whether the chunks have a column `weight`.
    chunks : tuple of Chunk
        In the order of their rows.
    text_options : mapping
        The options the texts were encoded with; empty where the dataset was made of sequences alone.
    counts : mapping
        What became of the rows that were read.
    origin : str or None
        A hash of the files and options it was made of; None where it was made of sequences alone.
    """

    sequence_length: int
    vocabulary_size: int
    vocabulary_fingerprint: str | None
    weighted: bool
    chunks: tuple[Chunk, ...]
    text_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    counts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    origin: str | None = None

    @property
    def id_type(self) -> str:
        """The NumPy type of the token ids in the chunks: int16 where they fit."""
        return id_type_of(self.vocabulary_size)

    def chunks_of(self, split: str) -> tuple[Chunk, ...]:
        """The chunks of one split."""
        return tuple(chunk for chunk in self.chunks if chunk.split == split)

    def rows(self, split: str) -> int:
        """The number of rows of one split."""
        return sum(chunk.rows for chunk in self.chunks_of(split))

    def positives(self, split: str) -> int:
        """The number of rows of one split with label 1."""
        return sum(chunk.positives for chunk in self.chunks_of(split))

    def mean_weight(self, split: str) -> float:
        """The mean weight of a row; 1 where the split has no rows or the dataset no weights."""
        rows = self.rows(split)
        return sum(chunk.weight for chunk in self.chunks_of(split)) / rows if rows else 1.0

    def class_weights(self, split: str) -> tuple[float, float]:
        """The weights of the rows with label 0 and with label 1 of one split.

        Raises
        ------
        DatasetError
            If the dataset is of a version that did not keep them.
        """
        if not self.weighted:
            return float(self.rows(split) - self.positives(split)), float(self.positives(split))
        chunks = self.chunks_of(split)
        if any(chunk.positives_weight is None for chunk in chunks):
            raise DatasetError(
                "The dataset must tell the weight of its positive rows. It is of format version 1. Write it again."
            )
        both, positives = sum(chunk.weight for chunk in chunks), sum(chunk.positives_weight for chunk in chunks)
        # Summed in another order, the same numbers differ in their last digits: such a rest is not a weight.
        return both - positives if both - positives > 1e-9 * both else 0.0, positives

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps({"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes, *, source: str) -> Manifest:
        """The inverse of `to_json`.

        Raises
        ------
        DatasetError
            Naming `source`, if the text is no manifest or of a later format version.
        """
        try:
            content = json.loads(text)
            version = content.pop("format_version")
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise DatasetError(f"'{source}' must be a manifest. It is damaged: {error!r}.") from error
        if version not in range(1, FORMAT_VERSION + 1):
            raise DatasetError(
                f"'{source}' must be of format version {FORMAT_VERSION} or earlier. It is of {version}. "
                "Prepare the dataset again."
            )
        try:
            return cls(**{**content, "chunks": tuple(_chunk(chunk) for chunk in content["chunks"])})
        except (TypeError, KeyError, ValueError) as error:
            raise DatasetError(f"'{source}' must be a manifest. It is damaged: {error!r}.") from error


def _chunk(content: Mapping[str, Any]) -> Chunk:
    """A chunk as the file describes it. Raises ValueError if its path leads out of its split's folder."""
    chunk = Chunk(**content)
    if chunk.split not in SPLITS or not re.fullmatch(rf"{chunk.split}/\w[\w.-]*", chunk.file, re.ASCII):
        raise ValueError(f"'{chunk.file}' is no file of the split '{chunk.split}'")
    return chunk
