"""Spellings of ratings to numbers on a scale: `1-5`, `0-1`, `bad,ok,good`, … Pure."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Mapping

from sentispark.errors import OptionError

__all__ = ["DEFAULT_SCALE", "Scale", "is_scale", "parse_scale"]

DEFAULT_SCALE = "1-5"

# Stricter than Python, which also parses "1_000" and "nan".
_NUMBER = r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_RANGE = re.compile(rf"({_NUMBER})-({_NUMBER})")
# 4; 4 stars; 4/5; 4 out of 5 stars.
_COUNT = re.compile(rf"({_NUMBER})(?:\s*(?:/|out of|of)\s*({_NUMBER}))?(?:\s*stars?)?", re.IGNORECASE)
# Star characters, hollow ones last; U+FE0F selects the emoji style.
_DRAWN = re.compile("((?:[★⭐]\ufe0f?)+)(☆*)")

# Words for the ends of a numeric scale.
_LOWEST, _HIGHEST = ("negative", "neg"), ("positive", "pos")

# Scales whose lowest positive rating is not three quarters of the way up: 7 of 10 follows Maas et al. 2011
# (https://aclanthology.org/P11-1015); of four ratings, the upper two.
_POSITIVE_FROM = {(1.0, 10.0): 7.0, (0.0, 10.0): 7.0, (1.0, 4.0): 3.0}


@dataclasses.dataclass(frozen=True)
class Scale:
    """A range of numbers, or ordered words.

    Attributes
    ----------
    name : str
        As the user wrote it.
    low, high : float
        The lowest and the highest rating. Words are numbered from 1.
    words : tuple of str
        From the most negative to the most positive; empty for a range of numbers.
    """

    name: str
    low: float
    high: float
    words: tuple[str, ...] = ()

    @functools.cached_property
    def _rating_of_word(self) -> Mapping[str, float]:
        return {_normalized(word): float(rating) for rating, word in enumerate(self.words, start=1)}

    @property
    def outside_reason(self) -> str:
        """The quarantine's reason for a rating off this scale."""
        return f"rating outside {self.name if self.words else f'{self.low:g} to {self.high:g}'}"

    @property
    def positive_from(self) -> float:
        """The default of the lowest positive rating.

        For words the first above the middle; for numbers three quarters of the way up, such as 4 on 1-5.
        """
        if self.words:
            return (len(self.words) + 1) // 2 + 1.0
        return _POSITIVE_FROM.get((self.low, self.high), self.low + 0.75 * (self.high - self.low))

    def rating(self, spelled: str) -> float | None:
        """The rating of a spelling, from `low` to `high`; None if it is not on the scale.

        Examples
        --------
        >>> scale = parse_scale("1-5")
        >>> scale.rating("4 out of 5"), scale.rating("★★★☆☆"), scale.rating("6")
        (4.0, 3.0, None)
        """
        if self.words:
            return self._rating_of_word.get(_normalized(spelled))
        rating = self._number(_trimmed(spelled))
        return rating if rating is not None and self.low <= rating <= self.high else None

    def spelled(self, rating: float) -> str:
        """A rating in the scale's own spelling."""
        return self.words[int(rating) - 1] if self.words else f"{rating:.12g}"

    def _number(self, spelled: str) -> float | None:
        if count := _COUNT.fullmatch(spelled):
            number, top = count.groups()
            return float(number) if top is None or float(top) == self.high else None
        if drawn := _DRAWN.fullmatch(spelled):
            full, hollow = len(drawn[1].replace("\ufe0f", "")), len(drawn[2])
            return float(full) if not hollow or full + hollow == self.high else None
        word = spelled.lower()
        if word in _LOWEST or (word == "false" and (self.low, self.high) == (0, 1)):
            return self.low
        return self.high if word in _HIGHEST or (word == "true" and (self.low, self.high) == (0, 1)) else None


def _trimmed(spelled: str) -> str:
    return spelled.strip(" \t\"'")


def _normalized(word: str) -> str:
    """The form in which words are compared: `Good` is `good`, and `4.0` is `4`."""
    word = _trimmed(word).lower()
    return f"{float(word):.12g}" if re.fullmatch(_NUMBER, word) else word


@functools.lru_cache
def parse_scale(name: str) -> Scale:
    """Parse a scale: `LOW-HIGH`, or words separated by commas from the most negative to the most positive.

    Raises
    ------
    OptionError
        If the name is neither.
    """
    scale = _parsed(name)
    if scale is None:
        raise OptionError(
            "'--rating-scale' must be LOW-HIGH, such as 1-5 or 0-1, or two or more different words in order, such as "
            f"negative,positive. Got {name!r}."
        )
    return scale


def is_scale(name: object) -> bool:
    """Whether `parse_scale` accepts the name."""
    return isinstance(name, str) and _parsed(name) is not None


def _parsed(name: str) -> Scale | None:
    if found := _RANGE.fullmatch(name.replace(" ", "")):
        low, high = map(float, found.groups())
        return Scale(name, low, high) if low < high and math.isfinite(high - low) else None
    words = tuple(map(_trimmed, name.split(",")))
    different = len(set(map(_normalized, words))) == len(words) > 1
    return Scale(name, 1.0, float(len(words)), words) if different and all(words) else None
