"""Arrow arrays in, Arrow arrays out: the decisions of the text stages, without Spark and without a loop over rows.

A *word* is a run of letters, marks and digits of any script, lower-case, with single apostrophes allowed between
them (`don't`, `rock'n'roll`). Everything else separates words. The *reference* cleaning is that of the 2019
system: everything but a to z, apostrophes and blanks is removed (so that `great.Love` is one word).
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["CLEANINGS", "PAD", "UNKNOWN", "clean_markup", "count_words", "cut", "encode", "pad", "tokenize"]

PAD = 0
UNKNOWN = 1
FIRST_WORD = 2

CLEANINGS = ("words", "reference")

# Tags that reviews really hold. Other text in angle brackets ("<sigh>") is the reviewer's own.
_TAG = (
    r"(?i)</?(?:a|b|big|blockquote|br|center|code|dd|div|dl|dt|em|font|h[1-6]|hr|i|img|input|li|ol|p|pre|q|s|small"
    r"|span|strong|sub|sup|table|tbody|td|th|tr|tt|u|ul|video)(?:[\s/][^<>]*)?(?:>|$)"
)
# The last class holds the blanks that are no ASCII: no-break space, ideographic space and their kin.
_BLANKS = r"[\s\pZ]{2,}|[\t\n\v\f\r\x{85}\x{A0}\x{1680}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]"
_NO_WORD = r"[^\p{L}\p{M}\p{N}']+"
_APOSTROPHES = "[\u2018\u2019\u02bc\uff07]"

# Distinct words kept in a worker before its partial counts are handed on: bounds its memory to about 100 MB.
_COUNTED_WORDS_HELD = 1_000_000


def clean_markup(texts: pa.Array) -> pa.StringArray:
    """Texts without HTML: entities decoded, tags and runs of blanks replaced by one blank, ends trimmed.

    Parameters
    ----------
    texts : string array of length n
        Nulls stay null.
    """
    texts = _as_strings(texts)
    texts = _change_where(pc.match_substring(texts, "&"), texts, _decode_entities)
    texts = _change_where(
        pc.match_substring(texts, "<"),
        texts,
        lambda some: pc.replace_substring_regex(some, pattern=_TAG, replacement=" "),
    )
    return pc.utf8_trim_whitespace(pc.replace_substring_regex(texts, pattern=_BLANKS, replacement=" "))


def tokenize(texts: pa.Array, *, cleaning: str = "words", stop_words: pa.Array | None = None) -> pa.ListArray:
    """The words of each text, in order.

    Parameters
    ----------
    texts : string array of length n
        A null counts as a text without words.
    cleaning : {"words", "reference"}
        What a word is; see the head of this module.
    stop_words : string array, optional
        Words left out; `None` leaves out none.

    Returns
    -------
    list<string> array of length n, without nulls
    """
    texts = _as_strings(texts).fill_null("")
    texts = _keep_reference_letters(texts) if cleaning == "reference" else _keep_word_letters(texts)
    lists = pc.ascii_split_whitespace(texts)
    words, offsets = _flat(lists)
    keep = np.diff(np.frombuffer(words.buffers()[1], np.int32)[words.offset : words.offset + len(words) + 1]) > 0
    if stop_words is not None:
        keep &= ~pc.is_in(words, value_set=stop_words).to_numpy(zero_copy_only=False)
    return _keep_values(words, offsets, keep)


def encode(words: pa.ListArray, vocabulary: pa.StringArray) -> pa.ListArray:
    """The token ids of the words: 2 + the word's place in the vocabulary, or 1 where it has none.

    Parameters
    ----------
    words : list<string> array of length n
        A null counts as an empty list.
    vocabulary : string array of distinct words

    Returns
    -------
    list<int32> array of length n, without nulls
    """
    values, offsets = _flat(words)
    places = pc.index_in(values, value_set=vocabulary)
    ids = pc.add(places, pa.scalar(FIRST_WORD, pa.int32())).fill_null(UNKNOWN)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), ids)


def cut(ids: pa.ListArray, sequence_length: int, *, truncate: str = "tail") -> pa.ListArray:
    """Lists of at most `sequence_length` ids.

    Parameters
    ----------
    ids : list<int32> array of length n
        A null counts as an empty list.
    sequence_length : int
        L, at least 1.
    truncate : {"tail", "head"}
        The end that a longer list loses.

    Returns
    -------
    list<int32> array of length n, without nulls
    """
    values, offsets = _flat(ids)
    kept_offsets = np.zeros(len(offsets), np.int64)
    np.cumsum(np.minimum(np.diff(offsets), sequence_length), out=kept_offsets[1:])
    length = np.diff(kept_offsets)
    start = offsets[:-1] if truncate == "tail" else offsets[1:] - length
    kept = np.repeat(start - kept_offsets[:-1], length) + np.arange(kept_offsets[-1])
    return pa.ListArray.from_arrays(pa.array(kept_offsets, pa.int32()), values.take(pa.array(kept)))


def pad(ids: pa.ListArray, sequence_length: int, *, truncate: str = "tail") -> tuple[np.ndarray, np.ndarray]:
    """Sequences of one length: what `cut` gives, padded at the end with 0.

    Returns
    -------
    sequence : ndarray of shape (n, L), dtype=int32
    length : ndarray of shape (n,), dtype=int32
        min(number of ids, L); the padding starts there.
    """
    values, offsets = _flat(cut(ids, sequence_length, truncate=truncate))
    length = np.diff(offsets).astype(np.int32)
    sequence = np.zeros((len(length), sequence_length), np.int32)
    # Row-major order of the mask is the order of the ids, so one assignment fills all rows.
    sequence[np.arange(sequence_length, dtype=np.int32) < length[:, None]] = values.to_numpy(zero_copy_only=False)
    return sequence, length


def count_words(batches: Iterable[pa.ListArray]) -> Iterator[pa.Table]:
    """Partial word counts: tables of (word string, count int64); the counts of a word add up over all tables."""
    held: list[pa.Table] = []
    for words in batches:
        values, counts = pc.value_counts(_flat(words)[0]).flatten()
        held.append(pa.table({"word": values, "count": counts}))
        if sum(table.num_rows for table in held) > 2 * _COUNTED_WORDS_HELD:
            held = [_merged(held)]
            if held[0].num_rows > _COUNTED_WORDS_HELD:
                yield held.pop()
    if held:
        yield _merged(held)


def _merged(tables: list[pa.Table]) -> pa.Table:
    sums = pa.concat_tables(tables).group_by("word").aggregate([("count", "sum")])
    return pa.table({"word": sums["word"], "count": sums["count_sum"]})


def _as_strings(texts: pa.Array) -> pa.StringArray:
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    return texts if texts.type == pa.string() else texts.cast(pa.string())


def _change_where(mask: pa.BooleanArray, texts: pa.StringArray, change) -> pa.StringArray:
    """`texts` with `change` applied to the rows of the mask alone, as few rows need it."""
    mask = mask.fill_null(False)
    if not pc.any(mask).as_py():
        return texts
    return pc.replace_with_mask(texts, mask, change(texts.filter(mask)))


def _decode_entities(texts: pa.StringArray) -> pa.StringArray:
    # A numeric entity may name half a surrogate pair, which no UTF-8 text can hold.
    decoded = (html.unescape(text).encode("utf-8", "replace").decode() for text in texts.to_pylist())
    return pa.array(decoded, pa.string())


def _keep_word_letters(texts: pa.StringArray) -> pa.StringArray:
    """Lower-case words between blanks; exact for all scripts, and a table look-up per byte for ASCII."""
    not_ascii = pc.invert(pc.string_is_ascii(texts))
    return _keep_ascii_words(_change_where(not_ascii, texts, _keep_unicode_words))


def _keep_unicode_words(texts: pa.StringArray) -> pa.StringArray:
    texts = pc.replace_substring_regex(texts, pattern=_APOSTROPHES, replacement="'")
    return pc.replace_substring_regex(pc.utf8_lower(texts), pattern=_NO_WORD, replacement=" ")


def _letter_table() -> np.ndarray:
    """Each byte's lower-case letter, digit, apostrophe or part of a longer character; a blank for all others."""
    table = np.full(256, ord(" "), np.uint8)
    table[0x80:] = np.arange(0x80, 0x100)
    for letter in "abcdefghijklmnopqrstuvwxyz0123456789'":
        table[ord(letter)] = table[ord(letter.upper())] = ord(letter)
    return table


_LETTERS = _letter_table()


def _keep_ascii_words(texts: pa.StringArray) -> pa.StringArray:
    """ASCII letters lower-case, apostrophes kept between letters alone, other ASCII characters to blanks.

    Works on the bytes of all texts at once: 20 times the speed of a regular expression.
    """
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    if not len(texts) or offsets[0] == offsets[-1]:
        return texts
    first, last = offsets[0], offsets[-1]
    letters = _LETTERS[np.frombuffer(texts.buffers()[2], np.uint8)[first:last]]
    offsets = offsets - first
    apostrophes = np.flatnonzero(letters == ord("'"))
    if len(apostrophes):
        letter = (letters != ord("'")) & (letters != ord(" "))
        starts_text = np.isin(apostrophes, offsets[:-1])
        ends_text = np.isin(apostrophes + 1, offsets[1:])
        after = letter[apostrophes - 1] & ~starts_text
        before = letter[np.minimum(apostrophes + 1, len(letters) - 1)] & ~ends_text
        letters[apostrophes[~(after & before)]] = ord(" ")
    return pa.StringArray.from_buffers(len(texts), pa.py_buffer(offsets), pa.py_buffer(letters))


def _keep_reference_letters(texts: pa.StringArray) -> pa.StringArray:
    # The reference splits at blanks, so other white space, which is removed, joins two words. Kept as it was.
    return pc.ascii_lower(pc.replace_substring_regex(texts, pattern="[^a-zA-Z' ]", replacement=""))


def _flat(lists: pa.ListArray) -> tuple[pa.Array, np.ndarray]:
    """The values of all lists and, of shape (n + 1,), dtype=int64, where each list begins among them."""
    counts = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    return lists.flatten(), offsets


def _keep_values(values: pa.Array, offsets: np.ndarray, keep: np.ndarray) -> pa.ListArray:
    """The lists with only the values of the mask in them."""
    if keep.all():
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)
    kept_before = np.zeros(len(keep) + 1, np.int64)
    np.cumsum(keep, out=kept_before[1:])
    return pa.ListArray.from_arrays(pa.array(kept_before[offsets], pa.int32()), values.filter(pa.array(keep)))
