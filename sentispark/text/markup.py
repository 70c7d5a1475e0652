"""Raw texts to clean ones: no HTML, one blank between words. Arrow arrays in and out, a loop over oddities alone."""

from __future__ import annotations

import html
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["as_strings", "beyond_ascii", "bytes_of", "change_where", "clean_markup", "rows_with", "translated"]

# Tags that reviews really hold. Other text in angle brackets ("<sigh>") is the reviewer's own.
_TAG = (
    r"(?i)</?(?:a|b|big|blockquote|br|center|code|dd|div|dl|dt|em|font|h[1-6]|hr|i|img|input|li|ol|p|pre|q|s|small"
    r"|span|strong|sub|sup|table|tbody|td|th|tr|tt|u|ul|video)(?:[\s/][^<>]*)?(?:>|$)"
)
# What Python's `str.split` takes for blanks: these beyond ASCII, and within it the table's.
_WIDE_BLANKS = r"[\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]"
_ASCII_BLANKS = b"\t\n\v\f\r\x1c\x1d\x1e\x1f"
_TO_BLANKS = bytes.maketrans(_ASCII_BLANKS, b" " * len(_ASCII_BLANKS))


def clean_markup(texts: pa.Array) -> pa.StringArray:
    """Texts without HTML: entities decoded, tags replaced by blanks, and then `" ".join(text.split())`.

    Parameters
    ----------
    texts : string array of length n
        Nulls stay null.
    """
    texts = as_strings(texts)
    texts = change_where(rows_with(texts, lambda raw: raw == ord("&")), texts, _decode_entities)
    texts = change_where(
        rows_with(texts, lambda raw: raw == ord("<")),
        texts,
        lambda some: pc.replace_substring_regex(some, pattern=_TAG, replacement=" "),
    )
    texts = change_where(
        rows_with(texts, beyond_ascii),
        texts,
        lambda some: pc.replace_substring_regex(some, pattern=_WIDE_BLANKS, replacement=" "),
    )
    return pc.utf8_trim(_single_blanks(texts), characters=" ")


def _single_blanks(texts: pa.StringArray) -> pa.StringArray:
    """Texts with each run of ASCII blanks made one blank, on the bytes of all texts at once."""
    raw, offsets = bytes_of(texts)
    spaced = translated(raw, _TO_BLANKS)
    blank = spaced == ord(" ")
    # A run that goes on into the next text may leave either without its blank: ends are trimmed afterwards anyway.
    second = np.flatnonzero(blank[1:] & blank[:-1]) + 1
    if len(second):
        keep = np.ones(len(spaced), bool)
        keep[second] = False
        spaced = spaced[keep]
        offsets = offsets - np.searchsorted(second, offsets).astype(np.int32)
    validity = texts.is_valid().buffers()[1] if texts.null_count else None
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(spaced), validity)


def _decode_entities(texts: pa.StringArray) -> pa.StringArray:
    # A numeric entity may name half a surrogate pair, which no UTF-8 text can hold.
    decoded = (html.unescape(text).encode("utf-8", "replace").decode() for text in texts.to_pylist())
    return pa.array(decoded, pa.string())


def as_strings(texts: pa.Array) -> pa.StringArray:
    """The texts as one array of 32-bit strings, whatever string type they have."""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    return texts if texts.type == pa.string() else texts.cast(pa.string())


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
