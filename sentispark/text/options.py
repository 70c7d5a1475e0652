"""The options of the way from a text to its sequence, declared once."""

from __future__ import annotations

import dataclasses

from sentispark.options import at_least, one_of, option
from sentispark.text.stopwords import STOP_WORDS_RULE

__all__ = ["TextOptions"]


@dataclasses.dataclass(frozen=True)
class TextOptions:
    """How texts become sequences."""

    stop_words: str | tuple[str, ...] = option(
        "none",
        STOP_WORDS_RULE,
        "words left out: none, english (negations stay in), reference (the reference system's list and letters-only "
        "cleaning), or a list of words (typed with commas: the,a,an)",
    )
    vocab_size: int = option(20_000, at_least(1), "words that get an id of their own: the most frequent ones")
    min_count: int = option(1, at_least(1), "occurrences below which a word gets no id")
    sequence_length: int = option(400, at_least(1), "token ids a review has; longer ones are cut, shorter ones padded")
    truncate: str = option("tail", one_of("tail", "head"), "the end that a longer review loses")
