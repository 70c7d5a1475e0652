"""Texts to the bytes of their words with blanks between them, many texts at once: look-ups, and no regular expression.

For what a word is see `sentispark.text.kernels`.
"""

from __future__ import annotations

import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentispark.text.markup import beyond_ascii, bytes_of, change_where, rows_with, translated

__all__ = ["BLANK", "reference_letters", "word_letters"]

BLANK, _APOSTROPHE = ord(" "), ord("'")
_APOSTROPHES = "[\u2018\u2019\u02bc\uff07]"


def word_letters(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of lower-case words between blanks, uint8, and where each text begins among them: shape (n + 1,)."""
    raw, offsets = bytes_of(change_where(rows_with(texts, beyond_ascii), texts, _lowered))
    letters = translated(raw, _LETTERS)
    _blank_wide_others(letters)
    apostrophes = np.flatnonzero(letters == _APOSTROPHE)
    if len(apostrophes):
        edge = np.zeros(len(letters) + 1, bool)  # where a text begins or ends
        edge[offsets] = True
        before = np.where(edge[apostrophes], BLANK, letters[apostrophes - 1])
        after = np.where(edge[apostrophes + 1], BLANK, letters[np.minimum(apostrophes + 1, len(letters) - 1)])
        within = np.minimum(before, after) > _APOSTROPHE  # a blank and an apostrophe come before all letters
        letters[apostrophes[~within]] = BLANK
    return letters, offsets


def reference_letters(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """The same after the reference's cleaning: a to z, apostrophes and blanks stay, all else is removed."""
    # The reference splits at blanks, so other white space, which is removed, joins two words. Kept as it was.
    raw, offsets = bytes_of(texts)
    letters = translated(raw, _REFERENCE_LETTERS)
    removed = letters == 0
    return letters[~removed], offsets - np.searchsorted(np.flatnonzero(removed), offsets)


def _lowered(texts: pa.StringArray) -> pa.StringArray:
    return pc.utf8_lower(pc.replace_substring_regex(texts, pattern=_APOSTROPHES, replacement="'"))


def _blank_wide_others(letters: np.ndarray) -> None:
    """Put blanks for all bytes of those characters beyond ASCII that are no letter, mark or digit."""
    first = np.flatnonzero(letters >= 0xC0)
    size = 2 + (letters[first] >= 0xE0) + (letters[first] >= 0xF0)
    # UTF-8 (RFC 3629): a character's first byte has 7 - size of its bits, and each further byte has six.
    point = letters[first].astype(np.int32) & (0x7F >> size)
    for place in (1, 2, 3):
        there = size > place
        point[there] = (point[there] << 6) | (letters[first[there] + place] & 0x3F)
    other = ~_in_words(point)
    for place in range(4):
        letters[first[other & (size > place)] + place] = BLANK


def _in_words(points: np.ndarray) -> np.ndarray:
    """Which code points are letters, marks or digits."""
    new = np.unique(points[_KINDS[points] == _NOT_SEEN])
    _KINDS[new] = [unicodedata.category(chr(point))[0] in "LMN" for point in new.tolist()]
    in_words: np.ndarray = _KINDS[points] == 1
    return in_words


# Of each code point that was seen whether it is a part of words.
_NOT_SEEN = -1
_KINDS = np.full(0x110000, _NOT_SEEN, np.int8)


def _letter_table(others: int, wide: bool) -> bytes:
    """Each byte's lower-case ASCII letter; apostrophe and blank themselves; `others` for all else.

    With `wide`, digits and the parts of longer characters stay too.
    """
    table = np.full(256, others, np.uint8)
    for letter in "abcdefghijklmnopqrstuvwxyz' " + ("0123456789" if wide else ""):
        table[ord(letter)] = table[ord(letter.upper())] = ord(letter)
    if wide:
        table[0x80:] = np.arange(0x80, 0x100)
    return table.tobytes()


_LETTERS = _letter_table(BLANK, wide=True)
_REFERENCE_LETTERS = _letter_table(0, wide=False)
