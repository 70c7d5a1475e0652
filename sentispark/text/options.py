"""The options of the way from a text to its sequence, declared once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sentispark.options import at_least, one_of, option
from sentispark.text.markup import MARKUP
from sentispark.text.stopwords import STOP_WORDS_RULE

__all__ = ["BEFORE", "TextOptions", "saved_text_options"]

# What a saved stage that lacks a Param did with texts, as there was no such Param yet.
BEFORE = MappingProxyType({"markup": "keep"})


@dataclasses.dataclass(frozen=True)
class TextOptions:
    """How texts become sequences."""

    markup: str = option(
        "clean",
        one_of(*MARKUP),
        "HTML in texts: clean (tags become spaces, entities their characters, runs of white space one space) or keep",
    )
    stop_words: str | tuple[str, ...] = option(
        "none",
        STOP_WORDS_RULE,
        "words to leave out: none, english (which keeps negations), reference (the reference system's list and its "
        "letters-only cleaning), or a list of words (on the command line separated by commas: the,a,an)",
    )
    vocab_size: int = option(
        20_000, at_least(1), "number of words, the most frequent ones, that get an id of their own"
    )
    min_count: int = option(1, at_least(1), "occurrences that a word needs at least to get an id")
    sequence_length: int = option(
        400, at_least(1), "token ids in each sequence; longer reviews are cut, shorter ones padded"
    )
    truncate: str = option("tail", one_of("tail", "head"), "which end of a longer review is cut off")


def saved_text_options(values: Mapping[str, Any]) -> TextOptions:
    """The options that a dataset's manifest, or a model trained on it, holds as JSON.

    Options that were added since have their defaults: they stand for what was done before there was a choice.
    """
    options: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return TextOptions(**options)
