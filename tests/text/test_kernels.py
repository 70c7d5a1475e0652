"""The kernels compared with plain Python loops, over texts with the unusual characters of reviews."""

import collections
import re
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sentispark.dataset.write import pack_tokens, rows_per_chunk_of
from sentispark.errors import InputError
from sentispark.text import kernels, markup
from sentispark.text.padding import padded_columns

UNUSUAL_CHARACTERS = (
    "aAbZ09 '’‘_-.,!?&;#<>/\"\\\t\n\r\0\u00a0\u2003\u200d\u0301éÉßñİçÑ"
    "日本語한국اللغةעברית\U0001f600👍🏽ŒœΣσςДд٣Ⅷ\u0e33\u093f\ufeff"
)
UNUSUAL_WORDS = ["don't", "it", "'tis", "x''y", "a'", "<br />", "&amp;", "good", "not", "a" * 1500]
texts = st.lists(
    st.one_of(
        st.none(),
        st.text(UNUSUAL_CHARACTERS, max_size=40),
        st.text(st.characters(codec="ascii"), max_size=40),
        st.lists(st.sampled_from(UNUSUAL_WORDS)).map(" ".join),
    ),
    max_size=12,
)


def lower(character: str) -> str:
    """A character's lower case if that is one character, as in Unicode's simple mapping."""
    return character.lower() if len(character.lower()) == 1 else character


def words_of(text: str | None) -> list[str]:
    """The definition of a word, character by character."""
    spaced = "".join(
        "'" if c in "'’‘ʼ＇" else lower(c) if unicodedata.category(c)[0] in "LMN" else " " for c in text or ""
    )
    return re.findall(r"[^ ']+(?:'[^ ']+)*", spaced)


def reference_words_of(text: str | None) -> list[str]:
    return re.sub("[^a-zA-Z' ]", "", text or "").lower().split()


@given(texts)
@example(["", None, "'", "a'", "'a"])
@example(["a'", "'b"])
@example(["no'", None, "'no"])
def test_tokenize_follows_the_definition_of_a_word(rows):
    # İ has no lower case of one character, and Arrow maps it in its own way.
    rows = [row.replace("İ", "I") if row else row for row in rows]
    assert kernels.tokenize(pa.array(rows, pa.string())).to_pylist() == [words_of(row) for row in rows]


@given(texts)
def test_the_reference_cleaning_is_that_of_the_reference_system(rows):
    given_words = kernels.tokenize(pa.array(rows, pa.string()), cleaning="reference").to_pylist()
    assert given_words == [reference_words_of(row) for row in rows]


@given(texts, st.integers(0, 5), st.integers(0, 5))
def test_a_slice_of_the_input_gives_that_slice_of_the_output(rows, start, stop):
    array = pa.array(rows, pa.string())
    part = kernels.tokenize(array.slice(start, stop))
    assert part.to_pylist() == kernels.tokenize(array).to_pylist()[start : start + stop]
    assert kernels.encode(kernels.tokenize(array).slice(start, stop), pa.array(["good", "it"])).to_pylist() == [
        [{"good": 2, "it": 3}.get(word, 1) for word in row] for row in part.to_pylist()
    ]


@given(texts)
def test_only_stop_words_are_removed(rows):
    stop_words = ["it", "not", "don't"]
    found = kernels.tokenize(pa.array(rows, pa.string()), stop_words=pa.array(stop_words)).to_pylist()
    all_words = kernels.tokenize(pa.array(rows, pa.string())).to_pylist()
    assert found == [[word for word in row if word not in stop_words] for row in all_words]


words = st.sampled_from(["a", "b", "c", "ü", "x'y"])
word_lists = st.lists(st.one_of(st.none(), st.lists(words, max_size=8)), max_size=8)


@given(word_lists)
def test_encode_numbers_words_by_their_index_from_two_and_unknown_words_one(rows):
    vocabulary = ["c", "ü", "a"]
    ids = kernels.encode(pa.array(rows, pa.list_(pa.string())), pa.array(vocabulary))
    assert ids.type == pa.list_(pa.int32())
    assert ids.to_pylist() == [
        [vocabulary.index(word) + 2 if word in vocabulary else 1 for word in row or []] for row in rows
    ]


@given(
    st.lists(st.one_of(st.none(), st.lists(st.one_of(st.none(), st.integers(2, 9)), max_size=9)), max_size=8),
    st.integers(1, 6),
    st.sampled_from(["tail", "head"]),
)
def test_pad_truncates_the_named_end_and_appends_zeros(rows, sequence_length, truncate):
    sequence, length = kernels.pad(pa.array(rows, pa.list_(pa.int32())), sequence_length, truncate=truncate)
    assert sequence.shape == (len(rows), sequence_length)
    for row, filled, valid in zip(rows, sequence.tolist(), length.tolist(), strict=True):
        row = [kernels.UNKNOWN if token_id is None else token_id for token_id in row or []]
        expected = row[:sequence_length] if truncate == "tail" else row[-sequence_length:]
        assert filled == expected + [0] * (sequence_length - len(expected))
        assert valid == len(expected)


LAYOUTS = [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
LAYOUTS += [pa.string_view()] if hasattr(pa, "string_view") else []


@given(texts, st.sampled_from(LAYOUTS), st.integers(0, 3))
def test_texts_may_have_any_arrow_layout(rows, layout, start):
    plain = kernels.tokenize(pa.array(rows, pa.string()).slice(start)).to_pylist()
    laid_out = pa.array(rows, layout).slice(start)
    assert kernels.tokenize(laid_out).to_pylist() == plain
    chunks = pa.chunked_array([laid_out[:2], laid_out[2:2], laid_out[2:]], layout)
    assert kernels.tokenize(chunks).to_pylist() == plain
    assert markup.clean_markup(chunks) == markup.clean_markup(pa.array(rows, pa.string()).slice(start))


@given(word_lists, st.sampled_from([pa.list_, pa.large_list]), st.sampled_from(LAYOUTS), st.integers(0, 3))
def test_lists_of_words_may_have_any_arrow_layout(rows, lists, layout, start):
    plain = pa.array(rows, pa.list_(pa.string())).slice(start)
    laid_out = pa.array(rows, lists(layout)).slice(start)
    vocabulary = pa.array(["c", "ü"])
    for some in (laid_out, pa.chunked_array([laid_out[:2], laid_out[2:]], laid_out.type)):
        assert kernels.encode(some, vocabulary) == kernels.encode(plain, vocabulary)
    counts = [kernels.most_frequent(kernels.count_words([one]), vocab_size=9, min_count=1) for one in (plain, laid_out)]
    assert counts[0] == counts[1]


id_lists = st.lists(st.none() | st.lists(st.integers(0, 3), max_size=6), max_size=8)


@given(id_lists, st.sampled_from([pa.list_, pa.large_list]), st.sampled_from([pa.int8(), pa.int32(), pa.int64()]))
def test_padding_is_stripped_only_at_the_end_of_lists(rows, lists, kind):
    found = kernels.strip_padding(pa.array(rows, lists(kind)))
    assert found.to_pylist() == [list(np.trim_zeros(row or [], "b")) for row in rows]
    sequence, length = kernels.pad(pa.array(rows, lists(kind)), 4)
    assert sequence.tolist() == [((row or []) + [0] * 4)[:4] for row in rows]
    assert length.tolist() == [min(4, len(row or [])) for row in rows]


def test_more_values_than_32_bit_offsets_are_an_error(monkeypatch):
    monkeypatch.setattr(kernels, "_MOST_VALUES", 11)
    ids = pa.array([[1, 2, 3], [4, 5, 6]], pa.list_(pa.int32()))
    message = "must hold at most 11 values. They hold 12. "
    assert len(padded_columns(ids, 5, "tail")[0]) == 2
    with pytest.raises(InputError, match=message):
        padded_columns(ids, 6, "tail")
    assert pack_tokens(ids[:1], "int16")[0].as_py() == b"\1\0\2\0\3\0"
    with pytest.raises(InputError, match=message):
        pack_tokens(ids, "int16")


def test_chunks_of_long_sequences_have_fewer_rows():
    for length in (1, 400, 2048):
        assert rows_per_chunk_of(length) == 32_768
    for length in (2049, 30_000, 65_536, 2**31):
        assert rows_per_chunk_of(length) >= 1
        assert (rows_per_chunk_of(length) - 1) * length < 2**26


def test_the_unicode_category_decides_whether_a_character_is_part_of_words():
    # Arrow may know characters of a later version of Unicode, which Python considers unassigned (Cn).
    points = [point for point in range(0x110000) if unicodedata.category(chr(point)) not in ("Cs", "Cn")]
    points.remove(ord("İ"))
    rows = ["".join(map(chr, points[start : start + 1000])) for start in range(0, len(points), 1000)]
    for row, found in zip(rows, kernels.tokenize(pa.array(rows)).to_pylist(), strict=True):
        # Arrow may lower-case characters by another version of Unicode, so only lengths are compared.
        assert [len(word) for word in found] == [len(word) for word in words_of(row)]


@given(st.lists(word_lists, max_size=4), st.sampled_from([1, 3, 1_000_000]), st.sampled_from([None, ["b", "ü"]]))
@settings(max_examples=50)
def test_partial_counts_sum_to_the_counts_of_all_words(batches, pending_words, stop_words):
    arrays = [pa.array(rows, pa.list_(pa.string())) for rows in batches]
    before, kernels._PENDING_WORDS = kernels._PENDING_WORDS, pending_words
    try:
        tables = list(kernels.count_words(arrays, stop_words=stop_words and pa.array(stop_words)))
    finally:
        kernels._PENDING_WORDS = before
    total = collections.Counter()
    for table in tables:
        for record in table.to_pylist():
            total[record["word"]] += record["count"]
    counted = (word for rows in batches for row in rows for word in row or [] if word not in (stop_words or []))
    assert total == collections.Counter(counted)


def test_a_text_of_a_hundred_thousand_words_is_tokenized_completely():
    assert len(kernels.tokenize(pa.array(["Never again! " * 50_000]))[0]) == 100_000


def test_pad_gives_no_rows_for_no_rows():
    sequence, length = kernels.pad(pa.array([], pa.list_(pa.int32())), 3)
    assert sequence.shape == (0, 3)
    assert length.dtype == np.int32
