"""What a dataset folder holds: its chunks, how its texts were encoded, and what each chunk is checked against."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from sentispark.errors import DatasetError

__all__ = ["FILE_NAME", "FORMAT_VERSION", "LABEL_NAMES", "SPLITS", "Chunk", "Manifest", "id_type_of"]

FILE_NAME = "_manifest.json"
FORMAT_VERSION = 3
SPLITS = ("train", "validation", "test")
# What the labels 0 and 1 mean.
LABEL_NAMES = ("negative", "positive")


_Number = TypeVar("_Number", int, float)


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
    rows : int
    label_counts : tuple of int
        The rows with label 0, 1, …; they sum to `rows`.
    weight : float
        The sum of the rows' weights; equal to `rows` if there are no weights.
    size : int
        Bytes of the file.
    label_weights : tuple of float or None
        The parts of `weight` of the rows with label 0, 1, …; None in a weighted dataset of format version 1.
    checksum : str or None
        The XXH3 hash, 128 bits in hexadecimal, of the file's bytes; None in datasets that were written before it.
    """

    split: str
    file: str
    rows: int
    label_counts: tuple[int, ...]
    weight: float
    size: int
    label_weights: tuple[float, ...] | None = None
    checksum: str | None = None


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The contents of `_manifest.json`.

    Attributes
    ----------
    sequence_length : int
        L, the length of every sequence.
    vocabulary_size : int
        Token ids are below it; it includes padding (0) and unknown (1).
    vocabulary_fingerprint : str or None
        `WordList.fingerprint` of `vocabulary.json`; None if the dataset was made from sequences.
    weighted : bool
        Whether the chunks have a column `weight`.
    chunks : tuple of Chunk
        In the order of their rows.
    text_options : mapping
        The options that the texts were encoded with; empty if the dataset was made from sequences.
    counts : mapping
        The counts of the records that were read, by what became of them.
    origin : str or None
        A hash of the files and options that it was made from; None if it was made from sequences.
    label_names : tuple of str
        What the labels 0, 1, … mean.
    """

    sequence_length: int
    vocabulary_size: int
    vocabulary_fingerprint: str | None
    weighted: bool
    chunks: tuple[Chunk, ...]
    text_options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    counts: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    origin: str | None = None
    label_names: tuple[str, ...] = LABEL_NAMES

    @property
    def id_type(self) -> str:
        """The NumPy type of the token ids in the chunks: int16 where they fit."""
        return id_type_of(self.vocabulary_size)

    @property
    def fingerprint(self) -> str:
        """A hash of what a training reads: datasets with equal fingerprints have the same rows in the same order."""
        content = {
            "sequence_length": self.sequence_length,
            "vocabulary_size": self.vocabulary_size,
            "chunks": [dataclasses.asdict(chunk) for chunk in self.chunks],
            # Without checksums only the origin tells apart files of equal size.
            "origin": None if all(chunk.checksum for chunk in self.chunks) else self.origin,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]

    def chunks_of(self, split: str) -> tuple[Chunk, ...]:
        """The chunks of one split."""
        return tuple(chunk for chunk in self.chunks if chunk.split == split)

    def rows(self, split: str) -> int:
        """The number of rows of one split."""
        return sum(chunk.rows for chunk in self.chunks_of(split))

    def label_counts(self, split: str) -> tuple[int, ...]:
        """The number of rows with label 0, 1, … in one split."""
        return _sums([chunk.label_counts for chunk in self.chunks_of(split)], len(self.label_names), 0)

    def mean_weight(self, split: str) -> float:
        """The mean weight of a row; 1 if the split has no rows or the dataset has no weights."""
        rows = self.rows(split)
        return sum(chunk.weight for chunk in self.chunks_of(split)) / rows if rows else 1.0

    def label_weights(self, split: str) -> tuple[float, ...]:
        """The total weight of the rows with label 0, 1, … in one split.

        Raises
        ------
        DatasetError
            If the dataset's format version did not store them.
        """
        chunks = self.chunks_of(split)
        if any(chunk.label_weights is None for chunk in chunks):
            raise DatasetError(
                "The dataset must hold the weight of each label. It is of format version 1. Write it again."
            )
        return _sums([chunk.label_weights or () for chunk in chunks], len(self.label_names), 0.0)

    def to_json(self) -> str:
        """The text of the file."""
        return json.dumps({"format_version": FORMAT_VERSION, **dataclasses.asdict(self)}, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes, *, source: str) -> Manifest:
        """The inverse of `to_json`.

        Raises
        ------
        DatasetError
            If the text is not a manifest or is of a later format version; the message names `source`.
        """
        try:
            content = json.loads(text)
            version = content.pop("format_version")
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise DatasetError(f"'{source}' must be a manifest. It is damaged: {error!r}.") from error
        if isinstance(version, bool) or version not in range(1, FORMAT_VERSION + 1):
            raise DatasetError(
                f"'{source}' must be of format version {FORMAT_VERSION} or earlier. It is of {version}. "
                "Prepare the dataset again."
            )
        try:
            chunks = tuple(_chunk(chunk, weighted=content["weighted"]) for chunk in content["chunks"])
            names = tuple(content.get("label_names", LABEL_NAMES))
            if names != LABEL_NAMES:
                raise ValueError(f"its labels are {names}")
            return cls(**{**content, "chunks": chunks, "label_names": names})
        except (TypeError, KeyError, ValueError, AttributeError) as error:
            raise DatasetError(f"'{source}' must be a manifest. It is damaged: {error!r}.") from error


def _chunk(content: Mapping[str, Any], *, weighted: bool) -> Chunk:
    """A chunk as the file describes it. Raises ValueError if its path leads out of its split's folder."""
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
    chunk = Chunk(**(_of_positives(fields, weighted=weighted) if "positives" in fields else fields))
    if chunk.split not in SPLITS or not re.fullmatch(rf"{chunk.split}/\w[\w.-]*", chunk.file, re.ASCII):
        raise ValueError(f"'{chunk.file}' is no file of the split '{chunk.split}'")
    _require_sums(chunk)
    return chunk


def _require_sums(chunk: Chunk) -> None:
    """Raise ValueError unless the numbers of each label are such, and sum to those of all rows."""
    counts, weights = chunk.label_counts, chunk.label_weights
    if len(counts) != len(LABEL_NAMES) or any(count < 0 for count in counts) or sum(counts) != chunk.rows:
        raise ValueError(f"the {chunk.rows} rows of '{chunk.file}' have label counts {list(counts)}")
    if weights is None:
        return
    if (
        len(weights) != len(LABEL_NAMES)
        or any(weight < 0 for weight in weights)
        or not math.isclose(sum(weights), chunk.weight, rel_tol=1e-6, abs_tol=1e-9)
    ):
        raise ValueError(f"the weight {chunk.weight} of '{chunk.file}' has label weights {list(weights)}")


def _of_positives(fields: Mapping[str, Any], *, weighted: bool) -> dict[str, Any]:
    """The fields of a chunk of format version 1 or 2, which counted only the rows with label 1."""
    positives, positives_weight = fields["positives"], fields.get("positives_weight")
    if not weighted:
        positives_weight = float(positives)
    weights = None
    if positives_weight is not None:
        negatives_weight = fields["weight"] - positives_weight
        # Summed in another order, the same numbers differ in their last digits: such a remainder is not a weight.
        weights = (negatives_weight if negatives_weight > 1e-9 * fields["weight"] else 0.0, positives_weight)
    others = {name: value for name, value in fields.items() if name not in ("positives", "positives_weight")}
    return {**others, "label_counts": (fields["rows"] - positives, positives), "label_weights": weights}


def _sums(parts: Sequence[Sequence[_Number]], labels: int, nothing: _Number) -> tuple[_Number, ...]:
    """The sums by label."""
    return tuple(sum((part[label] for part in parts), nothing) for label in range(labels))
