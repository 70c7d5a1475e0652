"""CSV and TSV files as programs write them, whose form is detected from their first lines."""

import csv
import io

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentispark.errors import InputError
from sentispark.reviews.formats import csv_file
from sentispark.reviews.formats.csv_records import REPEATED_HEADER, UNCLOSED
from sentispark.reviews.parse import column_names, read_piece
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import Fields, Layout

FIELDS = Fields("text", "stars")


def read(folder, content, *, format="csv", name="a.csv", fields=FIELDS, shares=1, **layout):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    pieces = [Piece(str(path), format, 0, 1, share, shares) for share in range(shares)]
    batches = [batch for piece in pieces for batch in read_piece(piece, fields, Layout(**layout))]
    return [row for batch in batches for row in batch.to_pylist()]


def pairs(folder, content, **named):
    return [(row["text"], row["stars"]) for row in read(folder, content, **named) if row["broken"] is None]


texts = st.text(st.sampled_from('ab ,"\n\\é\r;|\t'), max_size=8)


@settings(max_examples=60)
@given(st.lists(texts.map("x{}y".format), min_size=1, max_size=6), st.sampled_from([",", ";", "|", "\t"]))
def test_what_pandas_writes_is_read_back(tmp_path_factory, fields, separator):
    stream = io.StringIO()
    frame = pd.DataFrame({"id": range(len(fields)), "text": fields, "stars": 5})
    frame.to_csv(stream, index=False, sep=separator, quoting=csv.QUOTE_NONNUMERIC)
    for format in ["csv", "tsv"] if separator == "\t" else ["csv"]:
        found = pairs(tmp_path_factory.mktemp("pandas"), stream.getvalue(), format=format, csv_escape="double")
        assert found == [(text, "5") for text in fields]


@pytest.mark.parametrize("text", ['"', '""', '"so "so""', '"yes" and "no"', '"great"', 'a ""b""'])
def test_ordinary_quotes_in_tsv_stay(tmp_path, text):
    content = f"stars\ttext\n5\t{text}\n4\tplain\n"
    assert pairs(tmp_path, content, name="a.tsv", format="tsv") == [(text, "5"), ("plain", "4")]


TSV = 'stars\ttext\n5\t"Great product\n4\tfine\n3\tso "so"\n2\t""\n1\ta\\tb\n'
TSV_ROWS = [('"Great product', "5"), ("fine", "4"), ('so "so"', "3"), ('""', "2"), ("a\\tb", "1")]


@pytest.mark.parametrize(("name", "format"), [("a.tsv", "tsv"), ("a.csv", "tsv"), ("a.csv", "csv")])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_tabs_and_ordinary_quotes(tmp_path, name, format, end):
    assert pairs(tmp_path, TSV.replace("\n", end), name=name, format=format) == TSV_ROWS


@pytest.mark.parametrize("text", ['He said "x"', "tab\there", "two\nlines"])
def test_quotes_around_tsv_fields_by_pandas_are_removed(tmp_path, text):
    content = pd.DataFrame({"stars": [5, 4], "text": [text, "plain"]}).to_csv(sep="\t", index=False)
    assert pairs(tmp_path, content, name="a.tsv", format="tsv") == [(text, "5"), ("plain", "4")]


@pytest.mark.parametrize("separator", [",", ";", "|", "\t"])
def test_the_separator_is_the_one_that_finds_the_names_in_the_header(tmp_path, separator):
    content = f'id{separator} stars {separator}text\n1{separator}5{separator}"a, b; c | d"\n'
    assert pairs(tmp_path, content) == [("a, b; c | d", "5")]
    assert pairs(tmp_path, content.split("\n", 1)[1], columns=("id", "stars", "text")) == [("a, b; c | d", "5")]


def test_blank_lines_and_a_separator_line_before_the_header_are_skipped(tmp_path):
    assert pairs(tmp_path, "\r\nsep=;\r\ntext;stars\r\na,b;5\r\n") == [("a,b", "5")]


def test_a_file_without_a_header_has_the_columns_that_are_named(tmp_path):
    polarity = '"2","Great CD","My lovely Pat\\n\\nhas ""the"" voice"\n"1","Bad","said \\""no\\"""\n'
    fields, columns = Fields("text", "label"), ("label", "title", "text")
    found = read(tmp_path, polarity, fields=fields, columns=columns, escaped_breaks=True)
    assert [(row["text"], row["stars"]) for row in found] == [
        ('My lovely Pat\n\nhas "the" voice', "2"),
        ('said "no"', "1"),
    ]
    with pytest.raises(InputError, match=r"^'columns' must name every column .* It names 2; .* has 3 fields\.$"):
        read(tmp_path, polarity, fields=fields, columns=("label", "text"))


def test_a_duplicate_wanted_column_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"a\.csv' must have one column 'text'\. It has 2\. Rename the others\.$"):
        read(tmp_path, "text,stars, text\na,5,b\n")
    assert pairs(tmp_path, "id,text,stars,id\n1,a,5,2\n") == [("a", "5")]


def test_a_repeated_header_is_a_bad_record(tmp_path):
    rows = read(tmp_path, "text,stars\na,5\ntext,stars\nb,4\n")
    assert [(row["text"], row["broken"], row["why"]) for row in rows] == [
        ("a", None, None),
        (None, "text,stars", REPEATED_HEADER),
        ("b", None, None),
    ]


def test_the_shares_of_a_file_give_each_record_once(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_file, "BLOCK_BYTES", 200)
    monkeypatch.setattr(csv_file, "BATCH_ROWS", 7)
    content = "text,stars\n" + "".join(f'"text\n{number}",5\n' for number in range(100)) + '"open,5\nlast,4\n'
    whole = read(tmp_path, content)
    assert len(whole) == 102
    assert (whole[-2]["broken"], whole[-2]["why"]) == ('"open,5', UNCLOSED)
    shared = read(tmp_path, content, shares=3)
    assert sorted(shared, key=str) == sorted(whole, key=str)


@pytest.mark.parametrize("content", ["", "\n", "text,stars", "text,stars\n"])
def test_a_file_may_have_no_records(tmp_path, content):
    assert read(tmp_path, content) == []


SPARK = 'text,stars\n"He said \\"great\\", and left",5\n"a \\"b\\"\nc",4\n"C:\\\\, D",3\na\\\\b,2\n'
SPARK_ROWS = [('He said "great", and left', "5"), ('a "b"\nc', "4"), ("C:\\, D", "3"), ("a\\\\b", "2")]
DOUBLED = 'text,stars\n"He said ""great"", and left",5\n"C:\\",4\n"back\\\\slash, ""x""",3\n'
DOUBLED_ROWS = [('He said "great", and left', "5"), ("C:\\", "4"), ('back\\\\slash, "x"', "3")]


@pytest.mark.parametrize(
    ("content", "escape", "rows"),
    [
        (SPARK, "auto", SPARK_ROWS),
        (SPARK, "backslash", SPARK_ROWS),
        (DOUBLED, "auto", DOUBLED_ROWS),
        (DOUBLED, "double", DOUBLED_ROWS),
    ],
)
def test_both_ways_to_escape_a_quote(tmp_path, content, escape, rows):
    assert pairs(tmp_path, content, csv_escape=escape) == rows


def test_files_by_spark_are_recognized_by_name_if_no_quote_shows_the_escape(tmp_path):
    content = 'text,stars\n"C:\\\\, D",5\n'
    assert pairs(tmp_path, content, name="part-00000-1b2c-c000.csv") == [("C:\\, D", "5")]
    assert pairs(tmp_path, content) == [("C:\\\\, D", "5")]
    # With doubled quotes (escape='"'), Spark leaves backslashes alone.
    content = 'text,stars\n"a ""b"" C:\\\\, D",5\n"",4\n'
    assert pairs(tmp_path, content, name="part-00000-1b2c-c000.csv")[0] == ('a "b" C:\\\\, D', "5")


def test_replaced_characters_are_counted_in_their_record(tmp_path):
    content = 'text,stars\ncafé,5\nplain,4\n"déjà ""vu",3\n'.encode("cp1252")
    assert [row["replaced"] for row in read(tmp_path, content)] == [1, 0, 2]
    assert pairs(tmp_path, content, encoding="cp1252")[0] == ("café", "5")
    with pytest.raises(InputError, match=r"It looks like utf-16\. Use --encoding utf-16"):
        read(tmp_path, "text,stars\n".encode("utf-16"))
    with pytest.raises(InputError, match=r"It looks like utf-16\. Use --encoding utf-16"):
        column_names(str(tmp_path / "a.csv"), "csv", FIELDS)
