"""Removes HTML from texts and collapses white space. Arrow arrays in and out; only rare cases are looped over."""

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

# The options for HTML in texts.
MARKUP = ("clean", "keep")

# Tags that occur in reviews. Other text in angle brackets ("<sigh>") is the reviewer's own.
_TAG = (
    r"(?i)</?(?:a|b|big|blockquote|br|center|code|dd|div|dl|dt|em|font|h[1-6]|hr|i|img|input|li|ol|p|pre|q|s|small"
    r"|span|strong|sub|sup|table|tbody|td|th|tr|tt|u|ul|video)(?:[\s/][^<>]*)?(?:>|$)"
)
# The white space of Python's `str.split`: non-ASCII, and ASCII.
_WIDE_BLANKS = r"[\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]"
_ASCII_BLANKS = b"\t\n\v\f\r\x1c\x1d\x1e\x1f"
_TO_BLANKS = bytes.maketrans(_ASCII_BLANKS, b" " * len(_ASCII_BLANKS))


# The most times that markup is searched for in the result of the previous search (`&amp;lt;`, `<b<br>r>`). Real texts
# need fewer, and the limit keeps the time linear in the length of the text.
_ROUNDS = 8

# Nearly all entities in reviews are these. None of their characters can be part of another entity's name.
_FREQUENT = {"&quot;": '"', "&#34;": '"', "&#39;": "'", "&lt;": "<", "&gt;": ">"}

# Bytes that may follow `&` or `<`: `#`, `/`, ASCII letters, and non-ASCII ones, some of which case-fold to ASCII.
_BEGINS_NAMES = np.array([byte >= 0x80 or chr(byte).isalpha() or chr(byte) in "#/" for byte in range(256)])

# More digits than Python converts to a number; code points have at most seven.
_ENDLESS_NUMBER = re.compile("&#[0-9]{1000,};?")


def clean_markup(texts: pa.Array) -> pa.StringArray:
    """Texts without HTML: entities decoded, tags replaced by spaces, and then `" ".join(text.split())`.

    Nested entities and tags are cleaned until nothing changes, so cleaning a clean text does not change it.

    Parameters
    ----------
    texts : string array of length n
        Nulls stay null.

    Examples
    --------
    >>> clean_markup(pa.array(["Fish &amp;amp; chips<br />twice", "I <sigh> liked  it"])).to_pylist()
    ['Fish & chips twice', 'I <sigh> liked it']
    """
    texts = _collapse_spaces(as_strings(texts))
    return change_where(rows_with(texts, _begins_markup), texts, _decoded_and_stripped)


def without_markup(texts: pa.Array) -> pa.StringArray:
    """A faster `clean_markup` for when white space does not matter: texts without markup are left unchanged."""
    texts = as_strings(texts)
    return change_where(rows_with(texts, _begins_markup), texts, clean_markup)


def is_blank(texts: pa.StringArray) -> pa.BooleanArray:
    """Which texts are empty or white space only; null for a null."""
    return pc.equal(_collapse_spaces(texts), "")


def _decoded_and_stripped(texts: pa.StringArray, rounds: int = _ROUNDS) -> pa.StringArray:
    """Clean texts whose white space is collapsed. After the last round, `&` and `<` are replaced by spaces."""
    if not rounds:
        return _collapse_spaces(pc.replace_substring_regex(texts, pattern="[&<]", replacement=" "))
    bare = change_where(rows_with(texts, lambda raw: raw == ord("&")), texts, _decode_entities)
    bare = change_where(
        rows_with(bare, lambda raw: raw == ord("<")),
        bare,
        lambda some: pc.replace_substring_regex(some, pattern=_TAG, replacement=" "),
    )
    bare = _collapse_spaces(bare)
    changed = pc.not_equal(bare, texts).to_numpy(zero_copy_only=False)
    again = functools.partial(_decoded_and_stripped, rounds=rounds - 1)
    return change_where(changed & rows_with(bare, _may_be_markup), bare, again)


def _may_be_markup(raw: np.ndarray) -> np.ndarray:
    may_be: np.ndarray = (raw == ord("&")) | (raw == ord("<"))
    return may_be


def _begins_markup(raw: np.ndarray) -> np.ndarray:
    """Which bytes may begin an entity or a tag; not the `&` of "R & D" or the `<` of "<3"."""
    begins = _may_be_markup(raw)
    indices = np.flatnonzero(begins)
    following = raw[np.minimum(indices + 1, len(raw) - 1)]
    begins[indices[~_BEGINS_NAMES[following]]] = False
    return begins


def _collapse_spaces(texts: pa.StringArray) -> pa.StringArray:
    """`" ".join(text.split())` of each text, on the bytes of all texts at once."""
    texts = change_where(
        rows_with(texts, beyond_ascii),
        texts,
        lambda some: pc.replace_substring_regex(some, pattern=_WIDE_BLANKS, replacement=" "),
    )
    raw, offsets = bytes_of(texts)
    spaced = translated(raw, _TO_BLANKS)
    texts = _with_bytes(texts, spaced, offsets)
    space = np.append(spaced == ord(" "), False)
    second = np.flatnonzero(space[1:] & space[:-1]) + 1
    several = np.diff(np.searchsorted(second, offsets)) > 0
    ends = space[offsets[:-1]] | space[offsets[1:] - 1]  # for an empty text its neighbors', which is harmless
    return change_where(several | ends, texts, _squeezed)


def _squeezed(texts: pa.StringArray) -> pa.StringArray:
    """Texts without repeated, leading and trailing spaces."""
    raw, offsets = bytes_of(texts)
    space = raw == ord(" ")
    # A run that continues into the next text may lose a space too many there, but ends are trimmed anyway.
    second = np.flatnonzero(space[1:] & space[:-1]) + 1
    offsets = offsets - np.searchsorted(second, offsets).astype(np.int32)
    return pc.utf8_trim(_with_bytes(texts, np.delete(raw, second), offsets), characters=" ")


def _with_bytes(texts: pa.StringArray, raw: np.ndarray, offsets: np.ndarray) -> pa.StringArray:
    """The texts with other bytes and offsets (see `bytes_of`), and the same nulls."""
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
    """The texts as one array of type string, whatever string or binary type they have.

    Invalid UTF-8, which string columns of Spark may contain, becomes U+FFFD, as in Spark's own tokenizer; Arrow's
    functions would raise errors.
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    if pa.types.is_binary(texts.type) or pa.types.is_large_binary(texts.type):
        texts = texts.cast(pa.binary()).view(pa.string())
    texts = texts if texts.type == pa.string() else texts.cast(pa.string())
    return texts if _is_utf8(texts) else _decoded_leniently(texts)


def _decoded_leniently(texts: pa.StringArray) -> pa.StringArray:
    """Texts with U+FFFD in place of invalid UTF-8, as `bytes.decode` replaces it."""
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
    """The bytes of all texts, dtype=uint8, and the texts' offsets from 0, shape (n + 1,), dtype=int32."""
    if not len(texts):
        return np.zeros(0, np.uint8), np.zeros(1, np.int32)
    _, offsets, data = texts.buffers()
    offsets = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    raw = np.frombuffer(data, np.uint8) if data is not None else np.zeros(0, np.uint8)
    return raw[offsets[0] : offsets[-1]], offsets - offsets[0]


def translated(raw: np.ndarray, table: bytes) -> np.ndarray:
    """The bytes, each replaced by its entry in a table of 256: four times faster than a look-up by NumPy."""
    return np.frombuffer(bytearray(raw).translate(table), np.uint8)


def beyond_ascii(raw: np.ndarray) -> np.ndarray:
    """Which bytes belong to non-ASCII characters."""
    return raw >= 0x80


def rows_with(texts: pa.StringArray, which: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Which texts contain a byte for which the mask is true: bool of shape (n,). Much faster than Arrow's search."""
    raw, offsets = bytes_of(texts)
    return np.diff(np.searchsorted(np.flatnonzero(which(raw)), offsets)) > 0


def change_where(
    rows: np.ndarray, texts: pa.StringArray, change: Callable[[pa.StringArray], pa.StringArray]
) -> pa.StringArray:
    """`texts` with `change` applied only to the rows of the mask."""
    if not rows.any():
        return texts
    mask = pa.array(rows)
    return pc.replace_with_mask(texts, mask, change(texts.filter(mask)))
