"""Texts to the bytes of their words, separated by spaces: many texts at once, with table look-ups instead of regexes.

`sentispark.text.kernels` defines what a word is.
"""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentispark.text.markup import beyond_ascii, bytes_of, change_where, rows_with, translated

__all__ = ["SPACE", "reference_letters", "word_letters"]

SPACE, _APOSTROPHE = ord(" "), ord("'")
_APOSTROPHES = "[\u2018\u2019\u02bc\uff07]"


def word_letters(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of lower-case words separated by spaces, uint8, and the offsets of the texts, shape (n + 1,)."""
    raw, offsets = bytes_of(change_where(rows_with(texts, beyond_ascii), texts, _lowered))
    letters = translated(raw, _LETTERS)
    _blank_other_characters(letters)
    apostrophes = np.flatnonzero(letters == _APOSTROPHE)
    if len(apostrophes):
        edge = np.zeros(len(letters) + 1, bool)  # where texts begin and end
        edge[offsets] = True
        before = np.where(edge[apostrophes], SPACE, letters[apostrophes - 1])
        after = np.where(edge[apostrophes + 1], SPACE, letters[np.minimum(apostrophes + 1, len(letters) - 1)])
        within = np.minimum(before, after) > _APOSTROPHE  # space and apostrophe are less than all letters
        letters[apostrophes[~within]] = SPACE
    return letters, offsets


def reference_letters(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """The same with the reference system's cleaning: all but a to z, apostrophes and spaces is removed."""
    # Like the reference system, this joins words that are separated by white space other than spaces.
    raw, offsets = bytes_of(texts)
    letters = translated(raw, _REFERENCE_LETTERS)
    removed = letters == 0
    return letters[~removed], offsets - np.searchsorted(np.flatnonzero(removed), offsets)


def _lowered(texts: pa.StringArray) -> pa.StringArray:
    return pc.utf8_lower(pc.replace_substring_regex(texts, pattern=_APOSTROPHES, replacement="'"))


def _blank_other_characters(letters: np.ndarray) -> None:
    """Overwrite non-ASCII characters that are not letters, marks or digits with spaces, in place."""
    first = np.flatnonzero(letters >= 0xC0)
    size = 2 + (letters[first] >= 0xE0) + (letters[first] >= 0xF0)
    # UTF-8 (RFC 3629): the first byte of a character has 7 - size of its bits, and each further byte has six.
    point = letters[first].astype(np.int32) & (0x7F >> size)
    for offset in (1, 2, 3):
        longer = size > offset
        point[longer] = (point[longer] << 6) | (letters[first[longer] + offset] & 0x3F)
    other = ~_in_words(point)
    for offset in range(4):
        letters[first[other & (size > offset)] + offset] = SPACE


def _in_words(points: np.ndarray) -> np.ndarray:
    """Which code points are letters, marks or digits."""
    new = np.unique(points[_KINDS[points] == _NOT_SEEN])
    _KINDS[new] = [unicodedata.category(chr(point))[0] in "LMN" for point in new.tolist()]
    in_words: np.ndarray = _KINDS[points] == 1
    return in_words


# For each code point seen so far, whether it is part of words.
_NOT_SEEN = -1
_KINDS = np.full(0x110000, _NOT_SEEN, np.int8)


def _letter_table(others: int, wide: bool) -> bytes:
    """A table of bytes: letters to lower case, apostrophe and space unchanged, `others` for all else.

    With `wide`, digits and the bytes of non-ASCII characters are unchanged too.
    """
    table = np.full(256, others, np.uint8)
    for letter in "abcdefghijklmnopqrstuvwxyz' " + ("0123456789" if wide else ""):
        table[ord(letter)] = table[ord(letter.upper())] = ord(letter)
    if wide:
        table[0x80:] = np.arange(0x80, 0x100)
    return table.tobytes()


_LETTERS = _letter_table(SPACE, wide=True)
_REFERENCE_LETTERS = _letter_table(0, wide=False)
