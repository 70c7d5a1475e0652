"""Stop words: none, English without negations, or the reference system's list."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from sentispark.options import Rule

__all__ = ["ENGLISH", "NEGATIONS", "REFERENCE", "STOP_WORDS_RULE", "cleaning_for", "stop_word_array"]

# NLTK's English stop words (179 words; https://www.nltk.org/nltk_data), which the reference system used.
_NLTK_TEXT = """
i me my myself we our ours ourselves you you're you've you'll you'd your yours yourself yourselves he him his
himself she she's her hers herself it it's its itself they them their theirs themselves what which who whom this
that that'll these those am is are was were be been being have has had having do does did doing a an the and but
if or because as until while of at by for with about against between into through during before after above
below to from up down in out on off over under again further then once here there when where why how all any
both each few more most other some such no nor not only own same so than too very s t can will just don don't
should should've now d ll m o re ve y ain aren aren't couldn couldn't didn didn't doesn doesn't hadn hadn't hasn
hasn't haven haven't isn isn't ma mightn mightn't mustn mustn't needn needn't shan shan't shouldn shouldn't wasn
wasn't weren weren't won won't wouldn wouldn't
"""
_NLTK_ENGLISH = tuple(_NLTK_TEXT.split())

NEGATIONS = frozenset(
    word
    for word in _NLTK_ENGLISH
    if word in ("no", "nor", "not", "ain") or word.endswith("n't") or f"{word}'t" in _NLTK_ENGLISH
)

REFERENCE = (*_NLTK_ENGLISH, "product", "would", "get")

# "not good" must not become "good", and "but" often reverses the sentiment of a review.
ENGLISH = tuple(word for word in _NLTK_ENGLISH if word not in NEGATIONS and word != "but")

_NAMED = {"none": (), "english": ENGLISH, "reference": REFERENCE}


def _is_stop_words(value: object) -> bool:
    if isinstance(value, str):
        return value in _NAMED
    return isinstance(value, (list, tuple)) and all(isinstance(word, str) for word in value)


STOP_WORDS_RULE = Rule("none, english, reference, or a list of words", _is_stop_words)


def stop_word_array(stop_words: str | Sequence[str]) -> pa.StringArray | None:
    """The stop words as an Arrow array, None if there are none. Words of a list are lower-cased."""
    words = _NAMED[stop_words] if isinstance(stop_words, str) else [word.lower() for word in stop_words]
    return pa.array(words, pa.string()) if words else None


def cleaning_for(stop_words: str | Sequence[str]) -> str:
    """The cleaning for a choice of stop words: the reference system's list implies its cleaning."""
    return "reference" if stop_words == "reference" else "words"
