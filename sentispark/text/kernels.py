"""Arrow arrays in, Arrow arrays out: the decisions of the text stages, without Spark and without a loop over rows.

A *word* is a run of letters, marks and digits of any script, lower-case, with single apostrophes allowed between
them (`don't`, `rock'n'roll`). Everything else separates words. The *reference* cleaning is that of the 2019
system: everything but a to z, apostrophes and blanks is removed (so that `great.Love` is one word).

Words go from kernel to kernel as lists of dictionary-coded strings: each distinct word of a batch is hashed, compared
and looked up once, and its occurrences are numbers. (Once for each number of blanks behind it: a word may stand in the
dictionary more than once.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentispark.errors import InputError
from sentispark.text.letters import BLANK, reference_letters, word_letters
from sentispark.text.markup import as_strings
from sentispark.text.token_ids import FIRST_WORD, PAD, UNKNOWN

__all__ = [
    "CLEANINGS",
    "COUNTS",
    "WORDS",
    "count_words",
    "cut",
    "encode",
    "list_offsets",
    "most_frequent",
    "pad",
    "spelled_out",
    "tokenize",
    "without",
    "without_padding",
]

CLEANINGS = ("words", "reference")

# What `tokenize` gives: a list a text, of numbers that stand for the batch's distinct words.
WORDS = pa.list_(pa.dictionary(pa.int32(), pa.string()))

# What `count_words` gives.
COUNTS = pa.schema([("word", pa.string()), ("count", pa.int64())])

# Distinct words kept in a worker before its partial counts are handed on: bounds its memory to about 100 MB.
_COUNTED_WORDS_HELD = 1_000_000

# What the 32 bits of Arrow's offsets can count.
_MOST_VALUES = 2**31 - 1


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
    list<dictionary<int32, string>> array of length n, without nulls
    """
    texts = as_strings(texts).fill_null("")
    words = _split(*(reference_letters(texts) if cleaning == "reference" else word_letters(texts)))
    return words if stop_words is None else without(words, stop_words)


def spelled_out(words: pa.ListArray) -> pa.ListArray:
    """The lists of words as list<string>, as those take them who know nothing of dictionaries."""
    return pa.ListArray.from_arrays(words.offsets, words.values.dictionary.take(words.values.indices))


def without(words: pa.ListArray, stop_words: pa.Array) -> pa.ListArray:
    """The lists of words less the words of `stop_words`."""
    values, offsets = _flat(words)
    stays = ~pc.is_in(values.dictionary, value_set=stop_words).to_numpy(zero_copy_only=False)
    codes = values.indices.to_numpy()
    kept = np.flatnonzero(stays[codes])
    return _lists(np.searchsorted(kept, offsets), pa.DictionaryArray.from_arrays(codes[kept], values.dictionary))


def encode(words: pa.ListArray, vocabulary: pa.StringArray) -> pa.ListArray:
    """The token ids of the words: 2 + the word's place in the vocabulary, or 1 where it has none.

    Parameters
    ----------
    words : list<string> array of length n, or what `tokenize` gives
        A null counts as an empty list.
    vocabulary : string array of distinct words

    Returns
    -------
    list<int32> array of length n, without nulls
    """
    values, offsets = _flat(words)
    places = pc.index_in(values.dictionary, value_set=vocabulary)
    ids = pc.add(places, pa.scalar(FIRST_WORD, pa.int32())).fill_null(UNKNOWN)
    return _lists(offsets, ids.take(values.indices).fill_null(UNKNOWN))


def cut(ids: pa.ListArray, sequence_length: int, *, truncate: str = "tail") -> pa.ListArray:
    """Lists of at most `sequence_length` ids or words.

    Parameters
    ----------
    ids : list array of length n
        A null counts as an empty list.
    sequence_length : int
        L, at least 1.
    truncate : {"tail", "head"}
        The end that a longer list loses.

    Returns
    -------
    list array of length n and of the same type, without nulls
    """
    values, offsets = _flat(ids)
    if np.diff(offsets).max(initial=0) <= sequence_length:
        return _lists(offsets, values)
    kept_offsets = np.zeros(len(offsets), np.int64)
    np.cumsum(np.minimum(np.diff(offsets), sequence_length), out=kept_offsets[1:])
    length = np.diff(kept_offsets)
    start = offsets[:-1] if truncate == "tail" else offsets[1:] - length
    kept = np.repeat(start - kept_offsets[:-1], length) + np.arange(kept_offsets[-1])
    return _lists(kept_offsets, values.take(pa.array(kept)))


def without_padding(ids: pa.ListArray) -> pa.ListArray:
    """The lists less the padding at their ends."""
    values, offsets = _flat(ids)
    words = np.flatnonzero(values.to_numpy(zero_copy_only=False) != PAD)
    # Behind the last word before a list's end; before the list's start where it has none.
    before = np.searchsorted(words, offsets[1:])
    ends = np.append(0, words + 1)[before]
    length = np.maximum(ends - offsets[:-1], 0)
    places = np.arange(len(values)) - np.repeat(offsets[:-1], np.diff(offsets))
    kept = np.flatnonzero(places < np.repeat(length, np.diff(offsets)))
    return _lists(np.concatenate(([0], np.cumsum(length))), values.take(pa.array(kept)))


def pad(
    ids: pa.ListArray, sequence_length: int, *, truncate: str = "tail", dtype: type[np.integer] = np.int32
) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of one length: what `cut` gives, padded at the end with 0; a missing id as an unknown word.

    Returns
    -------
    sequence : ndarray of shape (n, L), of the `dtype`
    length : ndarray of shape (n,), dtype=int32
        min(number of ids, L); the padding starts there.
    """
    values, offsets = _flat(cut(ids, sequence_length, truncate=truncate))
    values = values.fill_null(UNKNOWN).to_numpy(zero_copy_only=False)
    length = np.diff(offsets).astype(np.int32)
    sequence = np.zeros((len(length), sequence_length), dtype)
    # Row-major order of the mask is the order of the ids, so one assignment fills all rows.
    sequence[np.arange(sequence_length, dtype=np.int32) < length[:, None]] = values
    return sequence, length


def count_words(batches: Iterable[pa.ListArray], *, stop_words: pa.Array | None = None) -> Iterator[pa.Table]:
    """Partial word counts, tables as `COUNTS` has them; the counts of a word add up over all tables.

    Parameters
    ----------
    batches : iterable of list<string> arrays, or of what `tokenize` gives
    stop_words : string array, optional
        Words that are not counted: cheaper here, where each stands once, than left out of the texts before.
    """
    held: list[pa.Table] = []
    for words in batches:
        values, _ = _flat(words)
        codes = values.indices.drop_null().to_numpy()
        counts = np.bincount(codes, minlength=len(values.dictionary))
        counted = counts > 0
        if stop_words is not None:
            counted &= ~pc.is_in(values.dictionary, value_set=stop_words).to_numpy(zero_copy_only=False)
        table = pa.table([values.dictionary, pa.array(counts, pa.int64())], schema=COUNTS)
        held.append(table.filter(pa.array(counted)))
        if sum(table.num_rows for table in held) > 2 * _COUNTED_WORDS_HELD:
            held = [_merged(held)]
            if held[0].num_rows > _COUNTED_WORDS_HELD:
                yield held.pop()
    if held:
        yield _merged(held)


def most_frequent(counts: Iterable[pa.Table], *, vocab_size: int, min_count: int) -> pa.Table:
    """The words that occur most often by partial counts, at most so many, and their counts; ties by code points.

    Parameters
    ----------
    counts : iterable of tables, as `count_words` gives them
    vocab_size, min_count : int
        How many words are kept, and how often each must occur.
    """
    held, merged = [COUNTS.empty_table()], 0
    for table in counts:
        held.append(table)
        if sum(table.num_rows for table in held) > 2 * merged + _COUNTED_WORDS_HELD:
            held = [_merged(held)]
            merged = held[0].num_rows
    total = _merged(held)
    total = total.filter(pc.greater_equal(total["count"], min_count))
    order = pc.sort_indices(total, [("count", "descending"), ("word", "ascending")])
    return total.take(order[:vocab_size])


def _merged(tables: list[pa.Table]) -> pa.Table:
    sums = pa.concat_tables(tables).group_by("word").aggregate([("count", "sum")])
    return pa.table([sums["word"], sums["count_sum"]], schema=COUNTS)


def _split(letters: np.ndarray, offsets: np.ndarray) -> pa.ListArray:
    """The words between the blanks of the texts that begin at `offsets`."""
    letter = letters != BLANK
    begins = letter.copy()
    begins[1:] &= ~letter[:-1]
    first = offsets[:-1][np.diff(offsets) > 0]
    begins[first] = letter[first]
    starts = np.flatnonzero(begins).astype(np.int32)
    # Each word goes up to the next one's start, blanks included, so that no byte is copied; the few distinct words
    # are trimmed when they have been told apart.
    ends = np.append(starts, np.int32(len(letters)))
    spaced = pa.StringArray.from_buffers(len(starts), pa.py_buffer(ends), pa.py_buffer(letters)).dictionary_encode()
    distinct = pc.ascii_rtrim(spaced.dictionary, characters=" ")
    return _lists(np.searchsorted(starts, offsets), pa.DictionaryArray.from_arrays(spaced.indices, distinct))


def _lists(offsets: np.ndarray, values: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(list_offsets(offsets), values)


def list_offsets(offsets: np.ndarray) -> pa.Int32Array:
    """Where lists begin, as Arrow takes it. Raises `InputError` for more values than it counts, which it would wrap."""
    if len(offsets) and offsets[-1] > _MOST_VALUES:
        raise InputError(
            f"Rows that are taken together must hold at most {_MOST_VALUES} values. They hold {offsets[-1]}. "
            "Shorten the sequences, or lower spark.sql.execution.arrow.maxRecordsPerBatch."
        )
    return pa.array(offsets.astype(np.int32))


def _flat(lists: pa.ListArray) -> tuple[pa.Array, np.ndarray]:
    """The values of all lists, strings dictionary-coded, and where each list begins: shape (n + 1,), dtype=int64."""
    if isinstance(lists, pa.ChunkedArray):
        lists = lists.combine_chunks()
    if not (pa.types.is_list(lists.type) or pa.types.is_large_list(lists.type)):
        lists = lists.cast(pa.list_(lists.type.value_type))
    counts = pc.list_value_length(lists).fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(counts) + 1, np.int64)
    np.cumsum(counts, out=offsets[1:])
    values = lists.flatten()
    if pa.types.is_integer(values.type) or values.type == WORDS.value_type:
        return values, offsets
    return as_strings(values).dictionary_encode(), offsets
