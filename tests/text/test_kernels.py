"""The kernels against plain Python loops, over texts with the odd characters that reviews hold."""

import collections
import html
import re
import unicodedata

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sentispark.dataset.write import pack_tokens, rows_per_chunk_of
from sentispark.errors import InputError
from sentispark.text import kernels, markup
from sentispark.text.options import TextOptions
from sentispark.text.padding import padded_columns
from sentispark.text.words import words_of as words_of_options
from tests.helpers.markup import marked_up

ODD_CHARACTERS = (
    "aAbZ09 '’‘_-.,!?&;#<>/\"\\\t\n\r\0\u00a0\u2003\u200d\u0301éÉßñİçÑ"
    "日本語한국اللغةעברית\U0001f600👍🏽ŒœΣσςДд٣Ⅷ\u0e33\u093f\ufeff"
)
ODD_WORDS = ["don't", "it", "'tis", "x''y", "a'", "<br />", "&amp;", "good", "not", "a" * 1500]
texts = st.lists(
    st.one_of(
        st.none(),
        st.text(ODD_CHARACTERS, max_size=40),
        st.text(st.characters(codec="ascii"), max_size=40),
        st.lists(st.sampled_from(ODD_WORDS)).map(" ".join),
    ),
    max_size=12,
)


def lower(character: str) -> str:
    """One character's lower case where that is one character, as Unicode's simple mapping has it."""
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
def test_tokenize_gives_the_words_of_the_definition(rows):
    # İ has no simple lower case of one character; Arrow's choice for it is its own.
    rows = [row.replace("İ", "I") if row else row for row in rows]
    assert kernels.tokenize(pa.array(rows, pa.string())).to_pylist() == [words_of(row) for row in rows]


@given(texts)
def test_tokenize_with_the_reference_cleaning_is_the_reference_mapper(rows):
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
def test_stop_words_are_left_out_and_nothing_else(rows):
    stop_words = ["it", "not", "don't"]
    kept = kernels.tokenize(pa.array(rows, pa.string()), stop_words=pa.array(stop_words)).to_pylist()
    all_words = kernels.tokenize(pa.array(rows, pa.string())).to_pylist()
    assert kept == [[word for word in row if word not in stop_words] for row in all_words]


words = st.sampled_from(["a", "b", "c", "ü", "x'y"])
word_lists = st.lists(st.one_of(st.none(), st.lists(words, max_size=8)), max_size=8)


@given(word_lists)
def test_encode_numbers_words_by_their_place_from_two_and_unknown_words_one(rows):
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
def test_pad_cuts_the_named_end_and_fills_the_other_with_zeros(rows, sequence_length, truncate):
    sequence, length = kernels.pad(pa.array(rows, pa.list_(pa.int32())), sequence_length, truncate=truncate)
    assert sequence.shape == (len(rows), sequence_length)
    for row, filled, valid in zip(rows, sequence.tolist(), length.tolist(), strict=True):
        row = [kernels.UNKNOWN if token_id is None else token_id for token_id in row or []]
        kept = row[:sequence_length] if truncate == "tail" else row[-sequence_length:]
        assert filled == kept + [0] * (sequence_length - len(kept))
        assert valid == len(kept)


LAYOUTS = [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())]
LAYOUTS += [pa.string_view()] if hasattr(pa, "string_view") else []


@given(texts, st.sampled_from(LAYOUTS), st.integers(0, 3))
def test_texts_may_be_laid_out_in_any_way_that_arrow_has(rows, layout, start):
    plain = kernels.tokenize(pa.array(rows, pa.string()).slice(start)).to_pylist()
    laid_out = pa.array(rows, layout).slice(start)
    assert kernels.tokenize(laid_out).to_pylist() == plain
    chunks = pa.chunked_array([laid_out[:2], laid_out[2:2], laid_out[2:]], layout)
    assert kernels.tokenize(chunks).to_pylist() == plain
    assert markup.clean_markup(chunks) == markup.clean_markup(pa.array(rows, pa.string()).slice(start))


@given(word_lists, st.sampled_from([pa.list_, pa.large_list]), st.sampled_from(LAYOUTS), st.integers(0, 3))
def test_lists_of_words_may_be_laid_out_in_any_way_that_arrow_has(rows, lists, layout, start):
    plain = pa.array(rows, pa.list_(pa.string())).slice(start)
    laid_out = pa.array(rows, lists(layout)).slice(start)
    vocabulary = pa.array(["c", "ü"])
    for some in (laid_out, pa.chunked_array([laid_out[:2], laid_out[2:]], laid_out.type)):
        assert kernels.encode(some, vocabulary) == kernels.encode(plain, vocabulary)
    counts = [kernels.most_frequent(kernels.count_words([one]), vocab_size=9, min_count=1) for one in (plain, laid_out)]
    assert counts[0] == counts[1]


id_lists = st.lists(st.none() | st.lists(st.integers(0, 3), max_size=6), max_size=8)


@given(id_lists, st.sampled_from([pa.list_, pa.large_list]), st.sampled_from([pa.int8(), pa.int32(), pa.int64()]))
def test_padding_at_the_end_of_lists_goes_and_within_them_stays(rows, lists, kind):
    found = kernels.without_padding(pa.array(rows, lists(kind)))
    assert found.to_pylist() == [list(np.trim_zeros(row or [], "b")) for row in rows]
    sequence, length = kernels.pad(pa.array(rows, lists(kind)), 4)
    assert sequence.tolist() == [((row or []) + [0] * 4)[:4] for row in rows]
    assert length.tolist() == [min(4, len(row or [])) for row in rows]


def test_more_values_than_offsets_can_count_are_refused_and_never_wrapped(monkeypatch):
    monkeypatch.setattr(kernels, "_MOST_VALUES", 11)
    ids = pa.array([[1, 2, 3], [4, 5, 6]], pa.list_(pa.int32()))
    told = "must hold at most 11 values. They hold 12. "
    assert len(padded_columns(ids, 5, "tail")[0]) == 2
    with pytest.raises(InputError, match=told):
        padded_columns(ids, 6, "tail")
    assert pack_tokens(ids[:1], "int16")[0].as_py() == b"\1\0\2\0\3\0"
    with pytest.raises(InputError, match=told):
        pack_tokens(ids, "int16")


def test_a_chunk_has_fewer_rows_where_sequences_are_long():
    for length in (1, 400, 2048):
        assert rows_per_chunk_of(length) == 32_768
    for length in (2049, 30_000, 65_536, 2**31):
        assert rows_per_chunk_of(length) >= 1
        assert (rows_per_chunk_of(length) - 1) * length < 2**26


def test_every_character_of_unicode_is_a_part_of_words_or_none_as_its_category_says():
    # Arrow may know, and lower, characters of a later Unicode than Python's: to that they are not assigned (Cn).
    points = [point for point in range(0x110000) if unicodedata.category(chr(point)) not in ("Cs", "Cn")]
    points.remove(ord("İ"))
    rows = ["".join(map(chr, points[start : start + 1000])) for start in range(0, len(points), 1000)]
    for row, found in zip(rows, kernels.tokenize(pa.array(rows)).to_pylist(), strict=True):
        # Arrow's lower case of some characters is that of another version of Unicode.
        assert [len(word) for word in found] == [len(word) for word in words_of(row)]


@given(st.lists(word_lists, max_size=4), st.sampled_from([1, 3, 1_000_000]), st.sampled_from([None, ["b", "ü"]]))
@settings(max_examples=50)
def test_partial_counts_add_up_to_the_counts_of_all_words(batches, words_held, stop_words):
    arrays = [pa.array(rows, pa.list_(pa.string())) for rows in batches]
    held, kernels._COUNTED_WORDS_HELD = kernels._COUNTED_WORDS_HELD, words_held
    try:
        tables = list(kernels.count_words(arrays, stop_words=stop_words and pa.array(stop_words)))
    finally:
        kernels._COUNTED_WORDS_HELD = held
    total = collections.Counter()
    for table in tables:
        for record in table.to_pylist():
            total[record["word"]] += record["count"]
    counted = (word for rows in batches for row in rows for word in row or [] if word not in (stop_words or []))
    assert total == collections.Counter(counted)


_PARTS_OF_ENTITIES = [
    "&quot;",
    "&#34;",
    "&#39;",
    "&lt;",
    "&gt;",
    "&amp;",
    *"&#;x<>1 ",
    "amp",
    "not",
    "in",
    "l",
    "t",
    "39",
]


@pytest.mark.parametrize(
    ("marked_up", "clean"),
    [
        ("good<br />bad", "good bad"),
        ("good<BR/>bad<br>worse<br", "good bad worse"),
        ("&quot;fine&quot; &amp; dandy &#34;x&#34; &#8217;", '"fine" & dandy "x" ’'),
        ("&lt;br /&gt;escaped", "escaped"),
        ("<sigh> it broke, x < y and y > z", "<sigh> it broke, x < y and y > z"),
        ('<a href="/dp/B0">BioShock</a>', "BioShock"),
        ("I&nbsp;\n\n  love\tit ", "I love it"),
        ("half a pair: &#xD83D;", "half a pair: \ufffd"),
        ("&B; &;", "&B; &;"),
        ("<3 &lt;3", "<3 <3"),
        ("<br />", ""),
        (None, None),
        ("it&amp;#39;s &amp;amp;lt;br&amp;gt; twice escaped", "it's twice escaped"),
        ("<b<br>r>", ""),
        ("so<b\u00a0/>bold", "so bold"),
        ("&#" + "9" * 5000 + ";", "\ufffd"),
        ("&" + "amp;" * 100 + "lt;", "amp;" * 92 + "lt;"),
        ("<b " * 100 + ">" * 100 + " x", "b " * 92 + ">" * 92 + " x"),
        ("AT&T &c, R&D < 3 <3", "AT&T &c, R&D < 3 <3"),
    ],
)
def test_clean_markup_removes_what_html_left(marked_up, clean):
    assert markup.clean_markup(pa.array([marked_up], pa.string())).to_pylist() == [clean]


@given(st.lists(st.none() | st.lists(st.sampled_from(_PARTS_OF_ENTITIES), max_size=9).map("".join), max_size=5))
def test_frequent_entities_are_decoded_as_by_a_loop(rows):
    decoded = markup._decode_entities(pa.array(rows, pa.string()))
    assert decoded.to_pylist() == [row if row is None else html.unescape(row) for row in rows]


@given(st.lists(st.none() | marked_up(), max_size=12))
@example(["&" + "amp;" * 50, "<b " * 50, None])
def test_clean_markup_is_decoding_and_stripping_until_there_is_nothing_to_do(rows):
    cleaned = markup.clean_markup(pa.array(rows, pa.string()))
    assert cleaned.to_pylist() == [row if row is None else clean(row) for row in rows]
    assert markup.clean_markup(cleaned) == cleaned
    assert markup.is_blank(cleaned) == pc.equal(cleaned, "")


def clean(text: str) -> str:
    """What `clean_markup` is to give, by loops."""
    tag = markup._TAG.replace(r"\s", r" \t\n\f\r").replace("$", r"\Z")
    text = " ".join(text.split())
    for _ in range(markup._ROUNDS):
        before, text = text, " ".join(re.sub(tag, " ", html.unescape(text)).split())
        if text == before:
            return text
    return " ".join(re.sub("[&<]", " ", text).split())


@given(
    st.lists(st.none() | marked_up(), max_size=12),
    st.sampled_from(["none", "english", "reference", ("Br", "amp")]),
    st.sampled_from(markup.MARKUP),
)
def test_words_are_those_of_the_cleaned_text_if_markup_is_cleaned_and_else_of_the_text(rows, stop_words, choice):
    options = TextOptions(stop_words=stop_words, markup=choice)
    texts = pa.array(rows, pa.string())
    ready = markup.clean_markup(texts) if choice == "clean" else texts
    kept = TextOptions(stop_words=stop_words, markup="keep")
    words = words_of_options(texts, options).to_pylist()
    assert words == words_of_options(ready, kept).to_pylist() == words_of_options(ready, options).to_pylist()


@given(texts)
@example(["\x1c a\x85b\u2003 ", " ", None, "", " c  d "])
def test_clean_markup_leaves_one_blank_for_each_run_of_blanks_and_changes_nothing_else(rows):
    rows = [None if row is None else html.unescape(row).replace("<", "").replace("&", "") for row in rows]
    cleaned = markup.clean_markup(pa.array(rows, pa.string())).to_pylist()
    assert cleaned == [None if row is None else " ".join(row.split()) for row in rows]


def test_a_text_of_a_hundred_thousand_words_is_tokenized_whole():
    assert len(kernels.tokenize(pa.array(["Never again! " * 50_000]))[0]) == 100_000


def test_pad_gives_no_rows_for_no_rows():
    sequence, length = kernels.pad(pa.array([], pa.list_(pa.int32())), 3)
    assert sequence.shape == (0, 3)
    assert length.dtype == np.int32
