"""The options of encoding texts as sequences, declared once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sentispark.options import at_least, one_of, option
from sentispark.text.markup import MARKUP
from sentispark.text.stopwords import STOP_WORDS_RULE

__all__ = ["LEGACY_PARAMS", "TextOptions", "saved_text_options"]

# The values of Params that saved stages of earlier versions lack.
LEGACY_PARAMS = MappingProxyType({"markup": "keep"})


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
    min_count: int = option(1, at_least(1), "smallest number of occurrences for a word to get an id")
    sequence_length: int = option(
        400, at_least(1), "token ids in each sequence; longer reviews are cut, shorter ones padded"
    )
    truncate: str = option("tail", one_of("tail", "head"), "which end of a longer review is cut off")


def saved_text_options(values: Mapping[str, Any]) -> TextOptions:
    """The text options from the JSON of a dataset's manifest, or of a model trained on the dataset.

    Options that were added later have their defaults, which match the earlier behavior.
    """
    options: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in values.items()
    }
    return TextOptions(**options)
