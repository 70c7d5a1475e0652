"""Lines of CSV to records: as `csv` reads well-formed files; a damaged quote costs at most one record."""

import csv
import io
import re

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from sentispark.reviews.formats.csv_records import LARGEST_RECORD, UNCLOSED, BadRecord, Dialect, RecordParser

HEADER = ("id", "text", "stars")

# Texts with all characters that need quotes, and lines that look like records.
characters = st.sampled_from(["a", "b", " ", ",", '"', "\n", "\\", "5", "é", "\r\n", '"\n', "great, ", "\na"])
texts = st.lists(characters, max_size=8).map("".join)
rows_of_texts = st.lists(st.tuples(texts, st.integers(1, 5)), min_size=1, max_size=8)


def written(rows, **named):
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n", **named).writerows(rows)
    return stream.getvalue()


def lines_of(text):
    return io.StringIO(text, newline="\n").readlines()


PLAIN = Dialect()


def read(text, *, dialect=PLAIN, width=3, rating=2, block=10_000):
    lines = lines_of(text)
    blocks = [lines[start : start + block] for start in range(0, len(lines), block)]
    return list(RecordParser(dialect, width, rating).records(blocks))


def good(records):
    return [record for record in records if not isinstance(record, BadRecord)]


@settings(max_examples=300)
@given(rows_of_texts, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONNUMERIC]), st.integers(1, 5))
def test_what_csv_writes_is_read_back(rows, quoting, block):
    rows = [[f"r{number}", text, str(stars)] for number, (text, stars) in enumerate(rows)]
    assert read(written(rows, quoting=quoting), block=block) == rows


def _has_rating(line, index):
    fields = line.split(",")
    return len(fields) > index and fields[index].strip('"').isdigit()


@settings(max_examples=500)
@example([("a", 5), ("\nb", 4), ("c", 3)], 0, 1, False)
@example([("a", 5), ('",b', 4), ("c", 3)], 0, 1, False)
@given(
    # Before a text that begins with a line break, the open field is closed correctly, which can rarely be detected.
    st.lists(st.tuples(texts.map("a{}b".format), st.integers(1, 5)), min_size=1, max_size=8),
    st.integers(0, 7),
    st.sampled_from([0, 1, 2]),
    st.booleans(),
)
def test_a_damaged_quote_costs_the_record_that_it_is_in(rows, damaged, text_place, opening):
    rows = [[f"r{number}", str(stars)] for number, (_, stars) in enumerate(rows)], [text for text, _ in rows]
    rows = [[*row[:text_place], text, *row[text_place:]] for row, text in zip(*rows, strict=True)]
    damaged %= len(rows)
    rating = 2 if text_place < 2 else 1
    # A text whose lines have ratings of their own may as well be several records, and is read as such next to damage.
    assume(not any(_has_rating(line, rating) for row in rows for line in row[text_place].split("\n")[1:]))
    records = [written([row]) for row in rows]
    quote = records[damaged].find('"') if opening else records[damaged].rfind('"')
    if quote < 0:
        return
    records[damaged] = records[damaged][:quote] + records[damaged][quote + 1 :]
    found = good(read("".join(records), rating=rating))
    assert [row for row in rows[:damaged] + rows[damaged + 1 :] if row not in found] == []


@pytest.mark.parametrize("last", ['3,"so ""so""",4\n', '3,so "so",4\n', '3,a pan of 12",4\n', '3,"two\nlines",4\n', ""])
@pytest.mark.parametrize("block", [1, 2, 100])
def test_an_unclosed_quote_costs_its_own_line(last, block):
    records = read('1,"Great product,5\n2,fine,4\n7,"good, too",4\n' + last, block=block)
    assert records[:3] == [BadRecord('1,"Great product,5', UNCLOSED), ["2", "fine", "4"], ["7", "good, too", "4"]]
    assert records[3:] == read(last)


@given(st.lists(st.booleans(), max_size=8), st.sampled_from([("1", "{}", "5"), ("{}", "5", "1"), ("5", "1", "{}")]))
def test_any_number_of_unclosed_quotes_cost_their_own_lines(opened, row):
    index = row.index("{}")
    rows = [[field.format(f"text {number}") for field in row] for number in range(len(opened))]
    lines = [
        ",".join([*row[:index], '"' * opened[number] + row[index], *row[index + 1 :]])
        for number, row in enumerate(rows)
    ]
    expected = [BadRecord(lines[number], UNCLOSED) if opened[number] else row for number, row in enumerate(rows)]
    for rating in (row.index("5"), None):
        assert read("".join(map("{}\n".format, lines)), rating=rating) == expected


@pytest.mark.parametrize(
    "text",
    [
        "Good, but\nslow, sadly",
        "one\n\ntwo\n",
        'He said "yes"\nand "no", twice',
        "a list:\n1, first\n2, second\n",
        "\n, starts with a line break",
        'ends with a quote "\n"',
    ],
)
@pytest.mark.parametrize("index", [0, 1])
def test_a_well_formed_field_over_several_lines_is_one_field(text, index):
    rows = [[text, "4"], ["between", "3"], [text, "5"]]
    rows = [row[::-1] if index else row for row in rows]
    assert read(written(rows), width=2, rating=1 - index) == rows
    assert read(written(rows), width=2, rating=None) == rows


def test_a_ragged_record_over_several_lines_is_one_bad_record():
    assert read('1,"Good\nreally",5,more\n2,fine,4\n') == [BadRecord('1,"Good\nreally",5,more'), ["2", "fine", "4"]]


def test_text_after_a_closing_quote_belongs_to_its_field():
    assert read('1,"Great" product,5\n2,"He said\n"great" stuff",4\n') == [
        ["1", "Great product", "5"],
        ["2", 'He said\ngreat" stuff"', "4"],
    ]


def test_an_open_field_is_given_up_at_the_largest_record_size():
    line = "2," + "x" * 999_997 + ",4\n"
    blocks = [lines_of('1,"open,5\n'), *([line] for _ in range(LARGEST_RECORD // 1_000_000 + 4))]
    found = []
    parser = RecordParser(Dialect(), 3, 2)
    for number, record in enumerate(parser.records(iter(blocks))):
        found.append(record[0][:8])
        assert number < len(blocks)
    assert found == ['1,"open,', *(["2"] * (len(blocks) - 1))]


@given(st.lists(st.text(st.characters(exclude_characters="\n\t", codec="utf-8"), max_size=9), min_size=1, max_size=9))
def test_each_line_without_quotes_is_a_record(fields):
    lines = "".join(f"{number}\t{text}\t5\n" for number, text in enumerate(fields))
    records = read(lines, dialect=Dialect("\t", quoted=False))
    assert records == [[str(number), text, "5"] for number, text in enumerate(fields)]


@given(st.lists(texts, min_size=1, max_size=6))
def test_backslashes_are_read_as_spark_writes_them(fields):
    rows = [[str(number), text, "5"] for number, text in enumerate(fields)]
    lines = "".join(",".join(map(as_spark_writes, row)) + "\n" for row in rows)
    assert read(lines, dialect=Dialect(backslash=True)) == rows


def as_spark_writes(field):
    """As univocity does for Spark: quoted for a reason, and then with a backslash before quotes and backslashes."""
    if not re.search(r'[",\r\n]', field):
        return field or '""'
    return '"' + re.sub(r'([\\"])', r"\\\1", field) + '"'


def test_a_record_of_the_other_dialect_is_read_in_it():
    spark, doubled = r'1,"He said \"great\", and left",5', r'2,"C:\",4'
    rows = [["1", 'He said "great", and left', "5"], ["2", "C:\\", "4"]]
    for backslash in (False, True):
        assert read(f"{spark}\n{doubled}\n", dialect=Dialect(backslash=backslash, either=True)) == rows


@pytest.mark.parametrize("odd", ["1,a\rb,5\n", '1,"a\rb",5\n', "1,a\0b,5\n"])
def test_other_line_breaks_and_zero_bytes_are_part_of_fields(odd):
    records = read(odd + "2,fine,4\n")
    assert [len(record) for record in records] == [3, 3]
    assert records[1] == ["2", "fine", "4"]


@pytest.mark.parametrize("line", ['1,"x,5\n', "1,ragged\n", '1,"x" y",5,"\n', '2,"",4\n', '1,"x\n'])
def test_many_bad_lines_take_linear_time(line):
    records = read(line * 20_000)
    assert sum(len(record) > 0 for record in records) >= 10_000
