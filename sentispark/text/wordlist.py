"""The words of a vocabulary in the order of their ids, as a value and as a JSON file."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from functools import cached_property

import pyarrow as pa

from sentispark.errors import DatasetError
from sentispark.text.token_ids import FIRST_WORD, PAD, UNKNOWN

__all__ = ["FILE_NAME", "WordList"]

FILE_NAME = "vocabulary.json"


@dataclasses.dataclass(frozen=True)
class WordList:
    """The words of a vocabulary; the word at index i has token id i + 2. Id 0 is padding, 1 any unknown word."""

    words: tuple[str, ...]

    @property
    def size(self) -> int:
        """The number of token ids, including padding and unknown: the number of rows of an embedding."""
        return len(self.words) + FIRST_WORD

    @cached_property
    def array(self) -> pa.StringArray:
        """The words as an Arrow array."""
        return pa.array(self.words, pa.string())

    @cached_property
    def fingerprint(self) -> str:
        """A hash that is equal only for vocabularies that assign every word the same id."""
        return hashlib.sha256(json.dumps(self.words, ensure_ascii=False).encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """The text of `vocabulary.json`."""
        content = {"pad": PAD, "unknown": UNKNOWN, "first_word": FIRST_WORD, "words": list(self.words)}
        return json.dumps(content, ensure_ascii=False, separators=(",\n", ": "))  # one word per line

    @classmethod
    def from_json(cls, text: str | bytes, *, source: str) -> WordList:
        """The inverse of `to_json`. Raises `DatasetError`, naming `source`, for anything else."""
        try:
            content = json.loads(text)
            numbering = (content["pad"], content["unknown"], content["first_word"])
            words = tuple(content["words"])
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f"'{source}' must be a vocabulary that sentispark wrote. It is damaged: {error}."
            ) from error
        if numbering != (PAD, UNKNOWN, FIRST_WORD) or len(set(words)) != len(words):
            raise DatasetError(
                f"'{source}' must number distinct words from {FIRST_WORD}. It does not. Prepare the dataset again."
            )
        return cls(words)
