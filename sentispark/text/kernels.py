"""The functions behind the text stages, from Arrow arrays to Arrow arrays, without Spark and without loops over rows.

A *word* is a lower-case run of letters, marks and digits of any script, with single apostrophes allowed between them
(`don't`, `rock'n'roll`). Everything else separates words. The *reference* cleaning is that of the 2019 system:
all characters but a to z, apostrophes and spaces are removed (so `great.Love` is one word).

Words are passed between kernels as lists of dictionary-encoded strings: each distinct word of a batch is hashed,
compared and looked up once. (A word may be in the dictionary several times, once for each number of spaces after it.)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentispark.errors import InputError
from sentispark.text.letters import SPACE, reference_letters, word_letters
from sentispark.text.markup import as_strings
from sentispark.text.token_ids import FIRST_WORD, PAD, UNKNOWN

__all__ = [
    "CLEANINGS",
    "COUNTS",
    "WORDS",
    "as_string_lists",
    "count_words",
    "encode",
    "list_offsets",
    "most_frequent",
    "pad",
    "remove_words",
    "strip_padding",
    "tokenize",
    "truncate_lists",
]

CLEANINGS = ("words", "reference")

# The type that `tokenize` returns: for each text a list of indices into the batch's distinct words.
WORDS = pa.list_(pa.dictionary(pa.int32(), pa.string()))

# The schema of the tables that `count_words` returns.
COUNTS = pa.schema([("word", pa.string()), ("count", pa.int64())])

# Distinct words in a worker's memory before its partial counts are emitted: bounds the memory to about 100 MB.
_PENDING_WORDS = 1_000_000

# The largest 32-bit offset of Arrow lists.
_MOST_VALUES = 2**31 - 1


def tokenize(texts: pa.Array, *, cleaning: str = "words", stop_words: pa.Array | None = None) -> pa.ListArray:
    """The words of each text, in order.

    Parameters
    ----------
    texts : string array of length n
        A null counts as a text without words.
    cleaning : {"words", "reference"}
        What a word is; see the module's docstring.
    stop_words : string array, optional
        Words to leave out.

    Returns
    -------
    list<dictionary<int32, string>> array of length n, without nulls

    Examples
    --------
    >>> tokenize(pa.array(["Good! It isn't bad.", None])).to_pylist()
    [['good', 'it', "isn't", 'bad'], []]
    """
    texts = as_strings(texts).fill_null("")
    words = _split(*(reference_letters(texts) if cleaning == "reference" else word_letters(texts)))
    return words if stop_words is None else remove_words(words, stop_words)


def as_string_lists(words: pa.ListArray) -> pa.ListArray:
    """Lists of dictionary-encoded words as list<string>."""
    return pa.ListArray.from_arrays(words.offsets, words.values.dictionary.take(words.values.indices))


def remove_words(words: pa.ListArray, stop_words: pa.Array) -> pa.ListArray:
    """The lists of words without stop words."""
    values, offsets = _flat(words)
    stays = ~pc.is_in(values.dictionary, value_set=stop_words).to_numpy(zero_copy_only=False)
    codes = values.indices.to_numpy()
    left = np.flatnonzero(stays[codes])
    return _lists(np.searchsorted(left, offsets), pa.DictionaryArray.from_arrays(codes[left], values.dictionary))


def encode(words: pa.ListArray, vocabulary: pa.StringArray) -> pa.ListArray:
    """The token ids of the words: 2 + the word's index in the vocabulary, or 1 for unknown words.

    Parameters
    ----------
    words : list<string> array of length n, or as `tokenize` returns it
        A null counts as an empty list.
    vocabulary : string array of distinct words

    Returns
    -------
    list<int32> array of length n, without nulls

    Examples
    --------
    >>> encode(tokenize(pa.array(["not so good"])), pa.array(["good", "not"])).to_pylist()
    [[3, 1, 2]]
    """
    values, offsets = _flat(words)
    indices = pc.index_in(values.dictionary, value_set=vocabulary)
    ids = pc.add(indices, pa.scalar(FIRST_WORD, pa.int32())).fill_null(UNKNOWN)
    return _lists(offsets, ids.take(values.indices).fill_null(UNKNOWN))


def truncate_lists(ids: pa.ListArray, sequence_length: int, *, truncate: str = "tail") -> pa.ListArray:
    """The lists, truncated to at most `sequence_length` ids or words.

    Parameters
    ----------
    ids : list array of length n
        A null counts as an empty list.
    sequence_length : int
        L, at least 1.
    truncate : {"tail", "head"}
        The end that is cut off longer lists.

    Returns
    -------
    list array of length n and of the same type, without nulls
    """
    values, offsets = _flat(ids)
    if np.diff(offsets).max(initial=0) <= sequence_length:
        return _lists(offsets, values)
    new_offsets = np.zeros(len(offsets), np.int64)
    np.cumsum(np.minimum(np.diff(offsets), sequence_length), out=new_offsets[1:])
    length = np.diff(new_offsets)
    start = offsets[:-1] if truncate == "tail" else offsets[1:] - length
    indices = np.repeat(start - new_offsets[:-1], length) + np.arange(new_offsets[-1])
    return _lists(new_offsets, values.take(pa.array(indices)))


def strip_padding(ids: pa.ListArray) -> pa.ListArray:
    """The lists without the padding at their ends.

    Examples
    --------
    >>> strip_padding(pa.array([[5, 0, 6, 0, 0], [0]])).to_pylist()
    [[5, 0, 6], []]
    """
    values, offsets = _flat(ids)
    words = np.flatnonzero(values.to_numpy(zero_copy_only=False) != PAD)
    # After the last word before a list's end, which is before the list's start if it has no word.
    before = np.searchsorted(words, offsets[1:])
    ends = np.append(0, words + 1)[before]
    length = np.maximum(ends - offsets[:-1], 0)
    positions = np.arange(len(values)) - np.repeat(offsets[:-1], np.diff(offsets))
    indices = np.flatnonzero(positions < np.repeat(length, np.diff(offsets)))
    return _lists(np.concatenate(([0], np.cumsum(length))), values.take(pa.array(indices)))


def pad(
    ids: pa.ListArray, sequence_length: int, *, truncate: str = "tail", dtype: type[np.integer] = np.int32
) -> tuple[np.ndarray, np.ndarray]:
    """Truncate lists of ids and pad them at the end with 0. A null id becomes that of unknown words.

    Returns
    -------
    sequence : ndarray of shape (n, L), of the `dtype`
    length : ndarray of shape (n,), dtype=int32
        min(number of ids, L), where the padding begins.

    Examples
    --------
    >>> sequence, length = pad(pa.array([[5, 6, 7], [8]]), 2)
    >>> sequence.tolist(), length.tolist()
    ([[5, 6], [8, 0]], [2, 1])
    """
    values, offsets = _flat(truncate_lists(ids, sequence_length, truncate=truncate))
    values = values.fill_null(UNKNOWN).to_numpy(zero_copy_only=False)
    length = np.diff(offsets).astype(np.int32)
    sequence = np.zeros((len(length), sequence_length), dtype)
    # The row-major order of the mask is the order of the ids, so one assignment fills all rows.
    sequence[np.arange(sequence_length, dtype=np.int32) < length[:, None]] = values
    return sequence, length


def count_words(batches: Iterable[pa.ListArray], *, stop_words: pa.Array | None = None) -> Iterator[pa.Table]:
    """Partial word counts, in tables of the schema `COUNTS`. A word may be in several tables: sum its counts.

    Parameters
    ----------
    batches : iterable of list<string> arrays, or of arrays as `tokenize` returns them
    stop_words : string array, optional
        Words that are not counted. This is cheaper than removing them from the texts.
    """
    pending: list[pa.Table] = []
    for words in batches:
        values, _ = _flat(words)
        codes = values.indices.drop_null().to_numpy()
        counts = np.bincount(codes, minlength=len(values.dictionary))
        counted = counts > 0
        if stop_words is not None:
            counted &= ~pc.is_in(values.dictionary, value_set=stop_words).to_numpy(zero_copy_only=False)
        table = pa.table([values.dictionary, pa.array(counts, pa.int64())], schema=COUNTS)
        pending.append(table.filter(pa.array(counted)))
        if sum(table.num_rows for table in pending) > 2 * _PENDING_WORDS:
            pending = [_merged(pending)]
            if pending[0].num_rows > _PENDING_WORDS:
                yield pending.pop()
    if pending:
        yield _merged(pending)


def most_frequent(counts: Iterable[pa.Table], *, vocab_size: int, min_count: int) -> pa.Table:
    """The most frequent words by partial counts, and their counts. Ties are in code point order.

    Parameters
    ----------
    counts : iterable of tables, as `count_words` returns them
    vocab_size : int
        The most words to return.
    min_count : int
        The least count of a word.
    """
    pending, merged = [COUNTS.empty_table()], 0
    for table in counts:
        pending.append(table)
        if sum(table.num_rows for table in pending) > 2 * merged + _PENDING_WORDS:
            pending = [_merged(pending)]
            merged = pending[0].num_rows
    total = _merged(pending)
    total = total.filter(pc.greater_equal(total["count"], min_count))
    order = pc.sort_indices(total, [("count", "descending"), ("word", "ascending")])
    return total.take(order[:vocab_size])


def _merged(tables: list[pa.Table]) -> pa.Table:
    sums = pa.concat_tables(tables).group_by("word").aggregate([("count", "sum")])
    return pa.table([sums["word"], sums["count_sum"]], schema=COUNTS)


def _split(letters: np.ndarray, offsets: np.ndarray) -> pa.ListArray:
    """The words between the spaces of texts that begin at `offsets`."""
    letter = letters != SPACE
    begins = letter.copy()
    begins[1:] &= ~letter[:-1]
    first = offsets[:-1][np.diff(offsets) > 0]
    begins[first] = letter[first]
    starts = np.flatnonzero(begins).astype(np.int32)
    # Each word extends to the start of the next one, including spaces, so that no byte is copied. Only the distinct
    # words are trimmed.
    ends = np.append(starts, np.int32(len(letters)))
    spaced = pa.StringArray.from_buffers(len(starts), pa.py_buffer(ends), pa.py_buffer(letters)).dictionary_encode()
    distinct = pc.ascii_rtrim(spaced.dictionary, characters=" ")
    return _lists(np.searchsorted(starts, offsets), pa.DictionaryArray.from_arrays(spaced.indices, distinct))


def _lists(offsets: np.ndarray, values: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(list_offsets(offsets), values)


def list_offsets(offsets: np.ndarray) -> pa.Int32Array:
    """The offsets of lists as an Arrow array. Raises `InputError` if they exceed 32 bits, which Arrow would wrap."""
    if len(offsets) and offsets[-1] > _MOST_VALUES:
        raise InputError(
            f"The rows of a batch must hold at most {_MOST_VALUES} values. They hold {offsets[-1]}. "
            "Shorten the sequences, or lower spark.sql.execution.arrow.maxRecordsPerBatch."
        )
    return pa.array(offsets.astype(np.int32))


def _flat(lists: pa.ListArray) -> tuple[pa.Array, np.ndarray]:
    """The values of all lists (strings dictionary-encoded) and the lists' offsets, shape (n + 1,), dtype=int64."""
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
