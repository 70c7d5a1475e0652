"""Bytes that are no UTF-8, in string columns of Spark and of Parquet, are read as Spark's own tokenizer reads them."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.ml.feature import Tokenizer

from sentispark import ReviewEncoder, ReviewTokenizer
from sentispark.reviews.parse import read_piece
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import Fields, Layout
from sentispark.text.kernels import count_words, encode, spelled_out, tokenize
from sentispark.text.markup import as_strings, clean_markup

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


def test_no_kernel_stops_at_them():
    texts = pa.array(RAW, pa.binary()).view(pa.string())
    assert clean_markup(texts).to_pylist() == TEXTS
    assert spelled_out(tokenize(texts)).to_pylist() == [["good", "bad"], [], ["fine"], ["x"], ["café"], []]
    words = pa.ListArray.from_arrays([0, 2, 6], texts)
    assert {word for table in count_words([words]) for word in table["word"].to_pylist()} == set(TEXTS) - {None}
    assert encode(words, pa.array(["fine", TEXTS[0]])).to_pylist() == [[3, 1], [2, 1, 1, 1]]


def test_they_are_replaced_and_counted_in_parquet(tmp_path):
    binary = pa.array(RAW, pa.binary())
    pq.write_table(pa.table({"text": binary.view(pa.string()), "raw": binary}), tmp_path / "a.parquet")
    for name in ("text", "raw"):
        batches = list(read_piece(Piece(str(tmp_path / "a.parquet"), "parquet", 0, 1), Fields(name, None), Layout()))
        assert batches[0].column("text").to_pylist() == TEXTS
        assert batches[0].column("replaced").to_pylist() == [1, 0, 0, 1, 0, 0]


@pytest.mark.modern
def test_the_stages_read_them_as_spark_s_tokenizer_does(spark):
    frame = spark.sql("SELECT decode_me.* FROM (SELECT cast(X'676f6f6420ff20626164' AS string) AS text) decode_me")
    theirs = Tokenizer(inputCol="text", outputCol="words").transform(frame).first().words
    assert theirs == ["good", "\ufffd", "bad"]
    ours = ReviewTokenizer(inputCol="text", outputCol="words").transform(frame).first().words
    assert ours == ["good", "bad"]
    encoder = ReviewEncoder(inputCol="text", outputCol="sequence", minCount=1, sequenceLength=3).fit(frame)
    assert sorted(encoder.transform(frame).first().sequence) == [0, 2, 3]
