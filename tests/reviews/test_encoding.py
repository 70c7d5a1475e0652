"""Bytes of text files to lines: undecodable bytes are marked and counted, and their encoding is guessed."""

import codecs
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.errors import InputError
from sentispark.reviews.encoding import (
    blocks_of_lines,
    is_text_encoding,
    likely_encoding,
    marked,
    recoded,
    wide_encoding,
    without_marks,
)

FRENCH = 'reviewText,overall\n"Un café très cher, déçu : « bof » – l’hôtel…",2\n' * 20
RUSSIAN = 'reviewText,overall\n"Отличный товар, всем советую покупать",5\n' * 20
CHINESE = 'reviewText,overall\n"这个产品非常好，我很喜欢。质量不错",5\n' * 20
ENGLISH = "reviewText,overall\nfine,5\n" * 20


def lines(raw, encoding="utf-8", block_bytes=1 << 20):
    blocks = blocks_of_lines(io.BytesIO(raw), encoding, path="a.csv", block_bytes=block_bytes)
    return [line for block in blocks for line in block]


@given(
    texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0")), max_size=9),
    block_bytes=st.integers(1, 9),
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32-be", "shift_jis"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_do_not_depend_on_the_block_size(texts, block_bytes, encoding, end):
    texts = [text.encode(encoding, "ignore").decode(encoding).lstrip("\ufeff") for text in texts]
    content = "".join(text + end for text in texts)
    assert lines(content.encode(encoding), encoding, block_bytes) == [text + end for text in texts]


@given(st.binary(max_size=60))
def test_undecodable_bytes_are_replaced_as_in_python_and_counted(raw):
    array, counts = without_marks([marked(raw, "utf-8"), None, "x"])
    plain = raw.decode("utf-8", "replace")
    assert array.to_pylist() == [plain, None, "x"]
    assert counts.get(0, 0) == plain.count("\ufffd") - raw.decode("utf-8", "ignore").count("\ufffd")
    assert recoded(marked(raw, "utf-8")).decode("utf-8", "replace") == plain


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (FRENCH, "cp1252"),
        (FRENCH.translate(dict.fromkeys(map(ord, "–’…"))), "latin-1"),
        (RUSSIAN, "cp1251"),
        (CHINESE, "gb18030"),
        (ENGLISH, "utf-16-le"),
        (ENGLISH, "utf-16-be"),
        (ENGLISH, "utf-32-le"),
        (RUSSIAN, "utf-16"),
    ],
)
def test_the_likely_encoding_is_the_encoding_of_the_text(text, encoding):
    assert likely_encoding(text.encode(encoding)) == encoding


def test_damaged_utf_8_is_recognized_as_utf_8():
    assert likely_encoding(RUSSIAN.encode()[:-40] + b"\xff\xfe" + CHINESE.encode()) == "utf-8"


@pytest.mark.parametrize("text", [FRENCH, CHINESE, "a\0b\n", "\0" * 500, "", "x"])
def test_utf_8_is_not_mistaken_for_utf_16_or_utf_32(text):
    assert wide_encoding(text.encode()) is None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-32-be"])
def test_utf_16_and_utf_32_must_be_named(encoding):
    with pytest.raises(
        InputError, match=r"^'a\.csv' must be UTF-8, the encoding .* It looks like utf-.*\. Use --encoding utf"
    ):
        lines(ENGLISH.encode(encoding))
    assert "".join(lines(ENGLISH.encode(encoding), encoding)) == ENGLISH


def test_a_byte_order_mark_is_not_part_of_the_first_line():
    assert lines(codecs.BOM_UTF8 + b"a\nb") == ["a\n", "b"]
    assert lines("\ufeffa\n".encode("utf-16-le"), "utf-16-le") == ["a\n"]


@pytest.mark.parametrize(
    ("name", "is_one"), [("cp1252", True), ("UTF8", True), ("rot13", False), ("x", False), (7, False)]
)
def test_names_of_encodings(name, is_one):
    assert is_text_encoding(name) is is_one
