"""HTML and white space are removed from texts, and invalid UTF-8 in string columns is replaced as Spark replaces it."""

import html
import re

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyspark.ml.feature import Tokenizer

from sentispark import ReviewEncoder, ReviewTokenizer
from sentispark.reviews.parse import read_piece
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import Fields, Layout
from sentispark.text import markup
from sentispark.text.kernels import as_string_lists, count_words, encode, tokenize
from sentispark.text.markup import as_strings, clean_markup
from tests.helpers.markup import marked_up

RAW = [b"good \xff bad", None, b"fine", b"\xe2\x82x", "café".encode(), b""]
TEXTS = [None if raw is None else raw.decode("utf-8", "replace") for raw in RAW]


@given(st.lists(st.one_of(st.none(), st.binary(max_size=8)), max_size=6), st.integers(0, 3))
def test_every_kind_of_array_becomes_valid_text(raw, start):
    binary = pa.array(raw, pa.binary())
    plain = [None if one is None else one.decode("utf-8", "replace") for one in raw]
    for texts in (binary, binary.cast(pa.large_binary()), binary.view(pa.string())):
        assert as_strings(texts.slice(start)).to_pylist() == plain[start:]
    as_strings(binary).validate(full=True)


def test_valid_texts_are_not_copied():
    for texts in (pa.array(["a", None, "b"]), pa.array(["é"])):
        assert as_strings(texts) is texts


def test_kernels_accept_invalid_utf_8():
    texts = pa.array(RAW, pa.binary()).view(pa.string())
    assert clean_markup(texts).to_pylist() == TEXTS
    assert as_string_lists(tokenize(texts)).to_pylist() == [["good", "bad"], [], ["fine"], ["x"], ["café"], []]
    words = pa.ListArray.from_arrays([0, 2, 6], texts)
    assert {word for table in count_words([words]) for word in table["word"].to_pylist()} == set(TEXTS) - {None}
    assert encode(words, pa.array(["fine", TEXTS[0]])).to_pylist() == [[3, 1], [2, 1, 1, 1]]


def test_invalid_utf_8_in_parquet_is_replaced_and_counted(tmp_path):
    binary = pa.array(RAW, pa.binary())
    pq.write_table(pa.table({"text": binary.view(pa.string()), "raw": binary}), tmp_path / "a.parquet")
    for name in ("text", "raw"):
        batches = list(read_piece(Piece(str(tmp_path / "a.parquet"), "parquet", 0, 1), Fields(name, None), Layout()))
        assert batches[0].column("text").to_pylist() == TEXTS
        assert batches[0].column("replaced").to_pylist() == [1, 0, 0, 1, 0, 0]


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
def test_clean_markup_by_hand(marked_up, clean):
    assert markup.clean_markup(pa.array([marked_up], pa.string())).to_pylist() == [clean]


@given(st.lists(st.none() | st.lists(st.sampled_from(_PARTS_OF_ENTITIES), max_size=9).map("".join), max_size=5))
def test_entities_are_decoded_as_by_html_unescape(rows):
    decoded = markup._decode_entities(pa.array(rows, pa.string()))
    assert decoded.to_pylist() == [row if row is None else html.unescape(row) for row in rows]


@given(st.lists(st.none() | marked_up(), max_size=12))
@example(["&" + "amp;" * 50, "<b " * 50, None])
def test_clean_markup_decodes_and_strips_until_nothing_changes(rows):
    cleaned = markup.clean_markup(pa.array(rows, pa.string()))
    assert cleaned.to_pylist() == [row if row is None else clean(row) for row in rows]
    assert markup.clean_markup(cleaned) == cleaned
    assert markup.is_blank(cleaned) == pc.equal(cleaned, "")


def clean(text: str) -> str:
    """The expected result of `clean_markup`, by loops."""
    tag = markup._TAG.replace(r"\s", r" \t\n\f\r").replace("$", r"\Z")
    text = " ".join(text.split())
    for _ in range(markup._ROUNDS):
        before, text = text, " ".join(re.sub(tag, " ", html.unescape(text)).split())
        if text == before:
            return text
    return " ".join(re.sub("[&<]", " ", text).split())


@given(st.lists(st.none() | st.text('ab<>&;" \t\n\x1c\x85\u00a0\u2003', max_size=20), max_size=9))
@example(["\x1c a\x85b\u2003 ", " ", None, "", " c  d "])
def test_clean_markup_collapses_white_space_and_changes_nothing_else(rows):
    rows = [None if row is None else html.unescape(row).replace("<", "").replace("&", "") for row in rows]
    cleaned = markup.clean_markup(pa.array(rows, pa.string())).to_pylist()
    assert cleaned == [None if row is None else " ".join(row.split()) for row in rows]


@pytest.mark.modern
def test_the_stages_replace_invalid_utf_8_as_spark_s_tokenizer_does(spark):
    frame = spark.sql("SELECT decode_me.* FROM (SELECT cast(X'676f6f6420ff20626164' AS string) AS text) decode_me")
    theirs = Tokenizer(inputCol="text", outputCol="words").transform(frame).first().words
    assert theirs == ["good", "\ufffd", "bad"]
    ours = ReviewTokenizer(inputCol="text", outputCol="words").transform(frame).first().words
    assert ours == ["good", "bad"]
    encoder = ReviewEncoder(inputCol="text", outputCol="sequence", minCount=1, sequenceLength=3).fit(frame)
    assert sorted(encoder.transform(frame).first().sequence) == [0, 2, 3]
