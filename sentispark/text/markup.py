"""Raw texts to clean ones: no HTML, one blank between words. Arrow arrays in and out, a loop over oddities alone."""

from __future__ import annotations

import functools
import html
import re
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = [
    "MARKUP",
    "as_strings",
    "beyond_ascii",
    "bytes_of",
    "change_where",
    "clean_markup",
    "is_blank",
    "rows_with",
    "translated",
    "without_markup",
]

# What may be done with HTML in texts.
MARKUP = ("clean", "keep")

# Tags that reviews really hold. Other text in angle brackets ("<sigh>") is the reviewer's own.
_TAG = (
    r"(?i)</?(?:a|b|big|blockquote|br|center|code|dd|div|dl|dt|em|font|h[1-6]|hr|i|img|input|li|ol|p|pre|q|s|small"
    r"|span|strong|sub|sup|table|tbody|td|th|tr|tt|u|ul|video)(?:[\s/][^<>]*)?(?:>|$)"
)
# What Python's `str.split` takes for blanks: these beyond ASCII, and within it the table's.
_WIDE_BLANKS = r"[\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]"
_ASCII_BLANKS = b"\t\n\v\f\r\x1c\x1d\x1e\x1f"
_TO_BLANKS = bytes.maketrans(_ASCII_BLANKS, b" " * len(_ASCII_BLANKS))


# Markup is looked for so often in what the last search has left (`&amp;lt;`, `<b<br>r>`). No text that people write
# needs as many rounds, and none may take a time that grows with the square of its length.
_ROUNDS = 8

# Nearly all entities in reviews are these. No character that they stand for can be part of another entity's name.
_FREQUENT = {"&quot;": '"', "&#34;": '"', "&#39;": "'", "&lt;": "<", "&gt;": ">"}

# What may follow `&` or `<`: `#`, `/`, ASCII letters, and the others, as case folding makes some of them ASCII ones.
_BEGINS_NAMES = np.array([byte >= 0x80 or chr(byte).isalpha() or chr(byte) in "#/" for byte in range(256)])

# More digits than Python makes a number of; no character has a number of more than seven.
_ENDLESS_NUMBER = re.compile("&#[0-9]{1000,};?")


def clean_markup(texts: pa.Array) -> pa.StringArray:
    """Texts without HTML: entities decoded, tags replaced by blanks, and then `" ".join(text.split())`.

    What is clean stays as it is: entities that spell other entities, and tags within tags, are followed to their end.

    Parameters
    ----------
    texts : string array of length n
        Nulls stay null.
    """
    texts = _single_blanks(as_strings(texts))
    return change_where(rows_with(texts, _begins_markup), texts, _decoded_and_stripped)


def without_markup(texts: pa.Array) -> pa.StringArray:
    """`clean_markup` where blanks do not matter: texts without markup keep theirs, which spares a pass over them."""
    texts = as_strings(texts)
    return change_where(rows_with(texts, _begins_markup), texts, clean_markup)


def is_blank(texts: pa.StringArray) -> pa.BooleanArray:
    """Which texts hold blanks alone, or nothing; null for a null."""
    return pc.equal(_single_blanks(texts), "")


def _decoded_and_stripped(texts: pa.StringArray, rounds: int = _ROUNDS) -> pa.StringArray:
    """Texts with single blanks to clean ones; what is markup after so many rounds loses the characters that make it."""
    if not rounds:
        return _single_blanks(pc.replace_substring_regex(texts, pattern="[&<]", replacement=" "))
    bare = change_where(rows_with(texts, lambda raw: raw == ord("&")), texts, _decode_entities)
    bare = change_where(
        rows_with(bare, lambda raw: raw == ord("<")),
        bare,
        lambda some: pc.replace_substring_regex(some, pattern=_TAG, replacement=" "),
    )
    bare = _single_blanks(bare)
    changed = pc.not_equal(bare, texts).to_numpy(zero_copy_only=False)
    again = functools.partial(_decoded_and_stripped, rounds=rounds - 1)
    return change_where(changed & rows_with(bare, _may_be_markup), bare, again)


def _may_be_markup(raw: np.ndarray) -> np.ndarray:
    may_be: np.ndarray = (raw == ord("&")) | (raw == ord("<"))
    return may_be


def _begins_markup(raw: np.ndarray) -> np.ndarray:
    """Which bytes begin what may be an entity or a tag; not the `&` of "R & D" and the `<` of "<3"."""
    begins = _may_be_markup(raw)
    places = np.flatnonzero(begins)
    following = raw[np.minimum(places + 1, len(raw) - 1)]
    begins[places[~_BEGINS_NAMES[following]]] = False
    return begins


def _single_blanks(texts: pa.StringArray) -> pa.StringArray:
    """`" ".join(text.split())` of each text, on the bytes of all texts at once."""
    texts = change_where(
        rows_with(texts, beyond_ascii),
        texts,
        lambda some: pc.replace_substring_regex(some, pattern=_WIDE_BLANKS, replacement=" "),
    )
    raw, offsets = bytes_of(texts)
    spaced = translated(raw, _TO_BLANKS)
    texts = _with_bytes(texts, spaced, offsets)
    blank = np.append(spaced == ord(" "), False)
    second = np.flatnonzero(blank[1:] & blank[:-1]) + 1
    several = np.diff(np.searchsorted(second, offsets)) > 0
    ends = blank[offsets[:-1]] | blank[offsets[1:] - 1]  # of an empty text those of others, which does no harm
    return change_where(several | ends, texts, _squeezed)


def _squeezed(texts: pa.StringArray) -> pa.StringArray:
    """Texts without the blanks that follow others, or stand at their ends."""
    raw, offsets = bytes_of(texts)
    blank = raw == ord(" ")
    # A run that goes on into the next text may leave either without its blank: ends are trimmed afterwards anyway.
    second = np.flatnonzero(blank[1:] & blank[:-1]) + 1
    offsets = offsets - np.searchsorted(second, offsets).astype(np.int32)
    return pc.utf8_trim(_with_bytes(texts, np.delete(raw, second), offsets), characters=" ")


def _with_bytes(texts: pa.StringArray, raw: np.ndarray, offsets: np.ndarray) -> pa.StringArray:
    """Texts of other bytes, see `bytes_of`, missing where these are."""
    validity = texts.is_valid().buffers()[1] if texts.null_count else None
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(raw), validity)


def _decode_entities(texts: pa.StringArray) -> pa.StringArray:
    """`html.unescape` of each text."""
    for entity, character in _FREQUENT.items():
        texts = pc.replace_substring(texts, pattern=entity, replacement=character)
    return change_where(
        rows_with(texts, lambda raw: raw == ord("&")),
        texts,
        lambda some: pa.array([_decoded(text) for text in some.to_pylist()], pa.string()),
    )


def _decoded(text: str) -> str:
    try:
        return html.unescape(text)
    except ValueError:
        return html.unescape(_ENDLESS_NUMBER.sub("\ufffd", text))


def as_strings(texts: pa.Array) -> pa.StringArray:
    """The texts as one array of 32-bit strings, whatever string type they have.

    Bytes that are no UTF-8, which a string column of Spark may hold, become U+FFFD, as in Spark's own tokenizer:
    Arrow's functions would stop at them.
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    if pa.types.is_binary(texts.type) or pa.types.is_large_binary(texts.type):
        texts = texts.cast(pa.binary()).view(pa.string())
    texts = texts if texts.type == pa.string() else texts.cast(pa.string())
    return texts if _is_utf8(texts) else _decoded_leniently(texts)


def _decoded_leniently(texts: pa.StringArray) -> pa.StringArray:
    """Texts with U+FFFD in place of bytes that are no UTF-8, one for each that a character may begin with or go on."""
    decoded = (
        None if text is None else text.decode("utf-8", "replace") for text in texts.cast(pa.binary()).to_pylist()
    )
    return pa.array(decoded, pa.string())


def _is_utf8(texts: pa.StringArray) -> bool:
    raw, _ = bytes_of(texts)
    if raw.max(initial=0) < 0x80:
        return True
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def bytes_of(texts: pa.StringArray) -> tuple[np.ndarray, np.ndarray]:
    """The bytes of all texts, dtype=uint8, and where each begins among them: shape (n + 1,), dtype=int32, from 0."""
    if not len(texts):
        return np.zeros(0, np.uint8), np.zeros(1, np.int32)
    _, offsets, data = texts.buffers()
    offsets = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    raw = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return raw[offsets[0] : offsets[-1]], offsets - offsets[0]


def translated(raw: np.ndarray, table: bytes) -> np.ndarray:
    """The bytes, each replaced by its entry of a table of 256: four times as fast as NumPy's look-up."""
    return np.frombuffer(bytearray(raw).translate(table), np.uint8)


def beyond_ascii(raw: np.ndarray) -> np.ndarray:
    """Which bytes are parts of characters that are no ASCII."""
    return raw >= 0x80


def rows_with(texts: pa.StringArray, which: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Which texts hold one of the bytes of a mask: bool of shape (n,). Many times as fast as Arrow's own search."""
    raw, offsets = bytes_of(texts)
    return np.diff(np.searchsorted(np.flatnonzero(which(raw)), offsets)) > 0


def change_where(
    rows: np.ndarray, texts: pa.StringArray, change: Callable[[pa.StringArray], pa.StringArray]
) -> pa.StringArray:
    """`texts` with `change` applied to the rows of the mask alone, as few rows need it."""
    if not rows.any():
        return texts
    mask = pa.array(rows)
    return pc.replace_with_mask(texts, mask, change(texts.filter(mask)))
