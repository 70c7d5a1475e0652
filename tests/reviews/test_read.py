"""Files with every peculiarity of review files, compared with a list of their contents."""

import codecs
import csv
import gzip
import io
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentispark.errors import InputError, SentisparkError
from sentispark.reviews.read import _deserialized, _serialized, read_reviews
from sentispark.reviews.scale import parse_scale
from sentispark.reviews.validate import BLANK_TEXT, BROKEN, NO_RATING, NO_TEXT, RECORD_CHARACTERS

pytestmark = pytest.mark.modern

OUTSIDE = parse_scale("1-5").outside_reason

# A rating as spelled in files, and its number of stars, or the reason why it is invalid.
RATINGS = [
    (5, 5.0),
    (1.0, 1.0),
    (4.5, 4.5),
    ("5", 5.0),
    ("4.0", 4.0),
    (" 3 ", 3.0),
    ("2e0", 2.0),
    (None, NO_RATING),
    ("", NO_RATING),
    ("  ", NO_RATING),
    ("NA", NO_RATING),
    ("N/A", NO_RATING),
    ("NaN", NO_RATING),
    ("null", NO_RATING),
    ("None", NO_RATING),
    (0, OUTSIDE),
    (0.99, OUTSIDE),
    (5.01, OUTSIDE),
    (6, OUTSIDE),
    (-1, OUTSIDE),
    ("-1", OUTSIDE),
    ("five", OUTSIDE),
    ("5 stars", 5.0),
    ("4 out of 5", 4.0),
    ("4/5", 4.0),
    ("8/10", OUTSIDE),
    ("★★★", 3.0),
    ("Positive", 5.0),
    (True, OUTSIDE),
    ("4,5", OUTSIDE),
    ("Infinity", OUTSIDE),
    ("-inf", OUTSIDE),
    ("5d", OUTSIDE),  # a number only in Java
    ("0x1p2", OUTSIDE),
]
# A text as in files, and its cleaned text, or the reason why it is unusable.
TEXTS = [
    ("good", "good"),
    (" Fish &amp; chips <br />twice\n", "Fish & chips twice"),
    ("I <sigh> liked it", "I <sigh> liked it"),
    (None, NO_TEXT),
    ("", BLANK_TEXT),
    (" \t\n ", BLANK_TEXT),
    ("<br />", BLANK_TEXT),
    (" <p></p>&nbsp;", BLANK_TEXT),
    ("&nbsp;", BLANK_TEXT),
    ("\u3000", BLANK_TEXT),
]
REASONS = (NO_TEXT, BLANK_TEXT, NO_RATING, OUTSIDE)


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    content = content.encode() if isinstance(content, str) else content
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def json_lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def review(text, rating=5):
    return {"reviewText": text, "overall": rating}


def table_text(header, *rows, delimiter=","):
    stream = io.StringIO()
    csv.writer(stream, delimiter=delimiter, lineterminator="\n").writerows([header, *rows])
    return stream.getvalue()


def parquet(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


class Read:
    """The result of `read_reviews`, collected in one job."""

    def __init__(self, spark, paths, **named):
        paths = [str(path) for path in paths] if isinstance(paths, list) else str(paths)
        self.records = read_reviews(spark, paths, **named).records.collect()
        self.usable = sorted((row.text, row.rating) for row in self.records if row.reason is None)
        self.quarantined = [row for row in self.records if row.reason is not None]
        self.texts = [text for text, _ in self.usable]
        self.reasons = sorted(row.reason for row in self.quarantined)


def error_of(function, *arguments, **named):
    with pytest.raises(InputError) as caught:
        function(*arguments, **named)
    assert isinstance(caught.value, SentisparkError)
    return str(caught.value)


def numbered(pairs):
    """The pairs with a distinct text for each, by which its record is found."""
    return [(f"review {number}", given, becomes) for number, (given, becomes) in enumerate(pairs)]


def test_every_record_is_either_usable_or_quarantined(spark, tmp_path):
    write(tmp_path / "a.jsonl", json_lines(review("one"), review(None), review("two", 9)) + '{"reviewText": "cut\n')
    write(tmp_path / "b.csv", 'reviewText,overall\nthree,4\n" ",4\n')
    parquet(tmp_path / "c.parquet", reviewText=["four", "five"], overall=[1, 0])
    reviews = read_reviews(spark, str(tmp_path))
    assert reviews.usable.dtypes == [("text", "string"), ("rating", "double")]
    assert reviews.quarantined.dtypes == [("reason", "string"), ("file", "string"), ("record", "string")]
    usable, quarantined, records = (frame.collect() for frame in (reviews.usable, reviews.quarantined, reviews.records))
    assert sorted(map(tuple, usable)) == [("four", 1.0), ("one", 5.0), ("three", 4.0)]
    assert sorted(row.reason for row in quarantined) == sorted([NO_TEXT, OUTSIDE, BROKEN, BLANK_TEXT, OUTSIDE])
    assert len(records) == len(usable) + len(quarantined) == 3 + 5


class TestJson:
    """One object per line."""

    def test_all_files_below_a_folder_are_read_once(self, spark, tmp_path):
        write(tmp_path / "plain.jsonl", json_lines(review("plain")))
        write(tmp_path / "below/deep down/packed.json.gz", json_lines(review("packed"), review("packed", 1)))
        write(tmp_path / "below/other.ndjson", json_lines(review("other")))
        write(tmp_path / "below/LOUD.JSON", json_lines(review("loud")))
        write(tmp_path / "no-end.jsonl", json_lines(review("no end of line"))[:-1])
        write(tmp_path / "blank-lines.jsonl", "\n" + json_lines(review("between blank lines")) + "  \n\n")
        write(tmp_path / "windows.jsonl", json_lines(review("windows"), review("lines")).replace("\n", "\r\n"))
        write(tmp_path / "bom.jsonl", codecs.BOM_UTF8 + json_lines(review("after a byte order mark")).encode())
        write(tmp_path / "empty.jsonl", "")
        write(tmp_path / "_SUCCESS", "no review file")
        write(tmp_path / ".hidden.jsonl", json_lines(review("hidden")))
        read = Read(spark, tmp_path)
        assert read.texts == sorted(
            [
                *("plain", "packed", "packed", "other", "loud", "no end of line", "between blank lines"),
                *("windows", "lines", "after a byte order mark"),
            ]
        )
        assert read.quarantined == []

    def test_globs_and_lists_of_paths(self, spark, tmp_path):
        for name in ("part-1", "part-2", "other"):
            write(tmp_path / f"{name}.jsonl", json_lines(review(name)))
        assert Read(spark, tmp_path / "part-*.jsonl").texts == ["part-1", "part-2"]
        assert Read(spark, tmp_path / "part-{2,3}.jsonl").texts == ["part-2"]
        assert Read(spark, [tmp_path / "other.jsonl", tmp_path / "*2.jsonl"]).texts == ["other", "part-2"]

    def test_names_with_special_characters(self, spark, tmp_path):
        names = [
            "a b",
            "c[1]",
            "d{x,y}",
            "e*",
            "f?",
            "g'\"",
            "日本 é",
            "50%",
            "50%25",
            "a%20b",
            "h#1",
            "i&j",
            "l+m,n;o",
        ]
        for name in names:
            write(tmp_path / name / f"{name}.jsonl", json_lines(review(name), review(None)))
        read = Read(spark, tmp_path)
        assert read.texts == sorted(names)
        assert sorted(row.file for row in read.quarantined) == sorted(
            f"{tmp_path}/{name}/{name}.jsonl" for name in names
        )

    def test_every_rating_is_a_number_of_stars_or_has_its_reason(self, spark, tmp_path):
        rows = numbered(RATINGS)
        write(tmp_path / "a.jsonl", json_lines(*(review(text, given) for text, given, _ in rows)))
        read = Read(spark, tmp_path)
        found = {**dict(read.usable), **{json.loads(row.record)["text"]: row.reason for row in read.quarantined}}
        assert found == {text: becomes for text, _, becomes in rows}

    @pytest.mark.parametrize("field", [{}, {"overall": float("nan")}])
    def test_a_missing_or_nan_rating_is_no_rating(self, spark, tmp_path, field):
        write(tmp_path / "a.jsonl", json_lines({"reviewText": "x", **field}, review("rated")))
        assert Read(spark, tmp_path).reasons == [NO_RATING]

    def test_other_values_and_infinite_ratings_are_off_the_scale(self, spark, tmp_path):
        ratings = [float("inf"), -float("inf"), 1e300, True, [5], {"stars": 5}]
        write(tmp_path / "a.jsonl", json_lines(*(review("x", rating) for rating in ratings)))
        assert Read(spark, tmp_path).reasons == [OUTSIDE] * len(ratings)

    def test_every_text_is_a_review_or_has_its_reason(self, spark, tmp_path):
        # Records are identified by their ratings.
        rows = [(given, 1 + number / 16, becomes) for number, (given, becomes) in enumerate(TEXTS)]
        write(tmp_path / "a.jsonl", json_lines(*(review(text, rating) for text, rating, _ in rows)))
        read = Read(spark, tmp_path)
        assert {rating: text for text, rating in read.usable} == {
            rating: becomes for _, rating, becomes in rows if becomes not in REASONS
        }
        assert read.reasons == sorted(becomes for *_, becomes in rows if becomes in REASONS)

    def test_with_markup_keep_texts_are_unchanged_and_white_space_alone_is_blank(self, spark, tmp_path):
        texts = ["a <b>&amp;amp;</b>", " two  blanks\t", "<br />", " \u2003\x1c", ""]
        read = Read(spark, write(tmp_path / "a.jsonl", json_lines(*map(review, texts))), markup="keep")
        assert read.texts == sorted(texts[:3])
        assert read.reasons == ["blank text", "blank text"]
        assert "'markup' must be one of clean, keep. Got 'all'." in error_of(read_reviews, spark, "x", markup="all")

    def test_the_record_of_a_blank_text_has_the_raw_text_and_the_rating(self, spark, tmp_path):
        blank = [text for text, becomes in TEXTS if becomes == BLANK_TEXT]
        write(tmp_path / "a.jsonl", json_lines(*(review(text, 4.5) for text in blank)))
        records = [json.loads(row.record) for row in Read(spark, tmp_path).quarantined]
        assert sorted(record["text"] for record in records) == sorted(blank)
        assert {float(record["rating"]) for record in records} == {4.5}

    def test_a_quarantined_record_has_its_file_and_its_content(self, spark, tmp_path):
        broken = ['{"reviewText": "cut', "no json", '"a string"', "7", "null", '{"reviewText": "x" "overall": 5}']
        write(tmp_path / "a.jsonl", json_lines(review("good"), review("late", 9)) + "\n".join(broken))
        file = write(tmp_path / "b.jsonl", "also broken\n")
        read = Read(spark, tmp_path)
        assert read.texts == ["good"]
        found = sorted((Path(row.file).name, row.reason, row.record) for row in read.quarantined)
        assert found == sorted(
            [
                ("a.jsonl", OUTSIDE, '{"text":"late","rating":"9"}'),
                *(("a.jsonl", BROKEN, line) for line in broken),
                (file.name, BROKEN, "also broken"),
            ]
        )

    def test_a_line_without_an_object_is_a_broken_record(self, spark, tmp_path):
        write(tmp_path / "a.jsonl", "[]\n[1]\n" + json_lines(review("good")))
        read = Read(spark, tmp_path)
        assert (read.texts, read.reasons) == (["good"], [BROKEN, BROKEN])

    def test_other_text_in_a_line_with_objects_makes_the_record_broken(self, spark, tmp_path):
        one, two = (json_lines(review(text))[:-1] for text in ("one", "two"))
        lines = [f"{one}{between}{two}\n" for between in (", ", " x ", ",")] + [f"{one} 5\n", f"{one}{two[:-1]}\n"]
        write(tmp_path / "a.jsonl", json_lines(review("first")) + "".join(lines))
        write(tmp_path / "b.jsonl", json_lines({**review("brackets } {"), "style": {"a": {"b": 1}}, "tags": [{}, {}]}))
        read = Read(spark, tmp_path)
        assert (read.texts, read.reasons) == (["brackets } {", "first"], [BROKEN] * 5)

    def test_each_object_of_a_line_is_a_record(self, spark, tmp_path):
        one, two, three = (json_lines(review(text))[:-1] for text in ("one", "two", "three"))
        write(tmp_path / "a.jsonl", json_lines(review("first")) + f"{one}{two}\n{one} \t{two}{three}\n")
        assert Read(spark, tmp_path).texts == ["first", "one", "one", "three", "two", "two"]

    @pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
    def test_each_object_in_arrays_or_over_several_lines_is_a_record(self, spark, tmp_path, name):
        reviews = [{**review(text), "style": [{"a": {}}]} for text in ("one", "}{", '"', "über\n")]
        for number, text in enumerate(
            [
                json.dumps(reviews),
                json.dumps(reviews, indent=2),
                "[\n" + ",\n".join(map(json.dumps, reviews)) + "\n]\n",
                "".join(json.dumps(one, indent=4) + "\n" for one in reviews),
                "".join(json.dumps(one, ensure_ascii=False) for one in reviews),
                "\ufeff" + "".join(json.dumps(one) + ",\n" for one in reviews),
            ]
        ):
            write(tmp_path / str(number) / name, text)
        assert Read(spark, tmp_path).texts == sorted(["one", "}{", '"', "über"] * 6)

    @pytest.mark.parametrize(
        ("content", "sentence"),
        [
            ({"n": 2, "reviews": [review("a"), review("b")]}, "with the records in a list under 'reviews'. Write them"),
            ({"0": review("a"), "1": review("b")}, "with the records under one key each. Write them line by line"),
            ({"reviewText": {"0": "a"}, "overall": {"0": 5}}, "of whole columns, the default of pandas. Write it"),
            ({"reviewText": ["a", "b"], "overall": [5, 4]}, "of whole columns, the default of pandas. Write it"),
        ],
    )
    @pytest.mark.parametrize("indent", [None, 1])
    def test_one_object_around_all_records_is_an_error(self, spark, tmp_path, content, sentence, indent):
        file = write(tmp_path / "a.json", json.dumps(content, indent=indent))
        message = error_of(read_reviews, spark, str(file))
        assert message.startswith(f"'{file}' must hold one JSON object per review. It holds one object {sentence}")

    def test_dictionaries_of_python_2_and_3(self, spark, tmp_path):
        write(
            tmp_path / "a.json",
            "{u'reviewText': u'it\\'s \\xfcber', u'overall': 5.0}\n{'reviewText': \"it's\", 'overall': 4}\n",
        )
        write(tmp_path / "b.json", "{'reviewText': {1, 2}, 'overall': 4}\n{'reviewText': 'x', 'overall': 4, 1: 2}\n")
        read = Read(spark, tmp_path)
        assert (read.texts, read.reasons) == (["it's", "it's über", "x"], [BROKEN])

    def test_oversized_and_deeply_nested_records_are_quarantined(self, spark, tmp_path, monkeypatch):
        good = json_lines(review("good"))
        deep, digits = "[" * 100_000 + "]" * 100_000, "9" * 1_000_000
        quarantined = [
            f'{{"reviewText": "deep", "overall": 5, "x": {deep}}}',
            f'{{"reviewText": {deep}, "overall": 5}}',
            deep,
            "{'reviewText': 'deep', 'x': " + deep + "}",
            "{'reviewText': 0x" + "f" * 5000 + ", 'overall': 5}",
            f'{{"reviewText": "digits", "overall": {digits}}}',
            '{"reviewText": "long", "overall": 5, "x": "' + "x" * (17 << 20) + '"}',
            '{"reviewText": "nul\x00", "overall": 5}',
        ]
        write(tmp_path / "a.jsonl", good + "".join(line + "\n" + good for line in quarantined))
        texts = ["[5]", '{"a": 1}', "5", "true"]
        write(tmp_path / "b.jsonl", "".join(f'{{"reviewText": {text}, "overall": 5}}\n' for text in texts))
        unusual = ['"\\ud800"', '"a\\u0000b"', '"first", "reviewText": "last"']
        write(tmp_path / "c.jsonl", "".join(f'{{"reviewText": {text}, "overall": 5}}\n' for text in unusual))
        read = Read(spark, tmp_path)
        assert read.texts == sorted(["good"] * (len(quarantined) + 1) + texts + ["?", "a\0b", "last"])
        assert read.reasons == [BROKEN] * len(quarantined)
        assert max(len(row.record) for row in read.quarantined) < RECORD_CHARACTERS + 30

    def test_values_in_folder_names_are_defaults_of_missing_fields(self, spark, tmp_path):
        write(tmp_path / "overall=5/a.json", json_lines({"reviewText": "from the folder"}, review("its own", 1)))
        write(tmp_path / "overall=4/b.csv", "reviewText\nfrom the folder\n")
        write(tmp_path / "overall=3/c.csv", "reviewText,overall\nits own,2\nfrom the folder,\n")
        parquet(tmp_path / "overall=2/d.parquet", reviewText=["from the folder"])
        parquet(tmp_path / "overall=1/e.parquet", reviewText=["its own", "from the folder"], overall=[5, None])
        write(tmp_path / "overall=__HIVE_DEFAULT_PARTITION__/f.json", json_lines({"reviewText": "none"}))
        write(tmp_path / "x=1/overall=4.5/y=2/g.json", json_lines([{"reviewText": "from the folder"}][0]))
        read = Read(spark, tmp_path, keep_cols=["x"])
        expected = [("from the folder", rating) for rating in (1.0, 2.0, 3.0, 4.0, 4.5, 5.0)]
        assert read.usable == [*expected, ("its own", 1.0), ("its own", 2.0), ("its own", 5.0)]
        assert read.reasons == [NO_RATING]
        assert [row.extra for row in read.records if row.rating == 4.5] == [["1"]]

    def test_other_fields_and_their_types_do_not_matter(self, spark, tmp_path):
        write(
            tmp_path / "a.jsonl",
            json_lines({"votes": 1, **review("one")}, {"votes": {"up": []}, **review("two")}, review("three")),
        )
        assert Read(spark, tmp_path).texts == ["one", "three", "two"]

    def test_a_text_may_be_of_any_length_and_script(self, spark, tmp_path):
        texts = ["x" * 1_000_000, "日本語 👍🏽", "\"quoted\" 'n' \\ back", "a,b;c\td"]
        write(tmp_path / "a.jsonl", json_lines(*map(review, texts)))
        assert Read(spark, tmp_path).texts == sorted([*texts[:-1], "a,b;c d"])


class TestCsv:
    """A header, and records that may span lines."""

    def test_quotes_line_breaks_orders_of_columns_and_compression(self, spark, tmp_path):
        header = ("reviewText", "overall")
        write(tmp_path / "a.csv", table_text(header, ["a, b", 5], ['"quoted" and ""doubled""', 4], ["over\ntwo", 3]))
        write(tmp_path / "b.csv", table_text(header[::-1], [2, "the other way around"]))
        write(tmp_path / "c.csv.gz", table_text(("id", *header, "more"), ["7", "packed", "1", "5"]))
        write(tmp_path / "d.tsv", 'reviewText\toverall\n"a quote, a comma\t5\n')
        write(tmp_path / "e.csv", table_text(header, ["windows", 5], ["lines", 4]).replace("\n", "\r\n"))
        write(tmp_path / "f.csv", codecs.BOM_UTF8 + table_text(header, ["mark", 5]).encode())
        write(tmp_path / "deep/down/g.CSV", table_text(header, ["deep", 5], [r"back\slash", 4])[:-1])
        write(tmp_path / "h.csv", table_text(header))
        write(tmp_path / "i.csv", "")
        read = Read(spark, tmp_path)
        assert read.usable == sorted(
            [
                ("a, b", 5.0),
                ('"quoted" and ""doubled""', 4.0),
                ("over two", 3.0),
                ("the other way around", 2.0),
                ("packed", 1.0),
                ('"a quote, a comma', 5.0),
                ("windows", 5.0),
                ("lines", 4.0),
                ("mark", 5.0),
                ("deep", 5.0),
                (r"back\slash", 4.0),
            ]
        )
        assert read.quarantined == []

    def test_a_file_that_lacks_a_column_lacks_it_in_every_record(self, spark, tmp_path):
        write(tmp_path / "a.csv", "reviewText,overall\ngood,5\n")
        write(tmp_path / "b.csv", "reviewText\nwithout\n")
        write(tmp_path / "c.csv", "overall,id\n5,1\n4,2\n")
        write(tmp_path / "d.csv", "id\n1\n")
        read = Read(spark, tmp_path)
        assert read.texts == ["good"]
        assert sorted((Path(row.file).name, row.reason) for row in read.quarantined) == [
            ("b.csv", NO_RATING),
            ("c.csv", NO_TEXT),
            ("c.csv", NO_TEXT),
            ("d.csv", NO_TEXT),
        ]

    def test_every_rating_is_a_number_of_stars_or_has_its_reason(self, spark, tmp_path):
        rows = numbered(RATINGS)
        write(tmp_path / "a.csv", table_text(("reviewText", "overall"), *(row[:2] for row in rows)))
        read = Read(spark, tmp_path)
        found = {**dict(read.usable), **{json.loads(row.record)["text"]: row.reason for row in read.quarantined}}
        assert found == {text: becomes for text, _, becomes in rows}

    def test_too_few_and_too_many_fields_are_broken_records(self, spark, tmp_path):
        write(tmp_path / "a.csv", "id,reviewText,overall\n1,good,5\n2,short\n3,long,5,5\n4,also good,4\n")
        read = Read(spark, tmp_path)
        assert read.texts == ["also good", "good"]
        assert [(row.reason, row.record) for row in read.quarantined] == [(BROKEN, "2,short"), (BROKEN, "3,long,5,5")]

    def test_an_empty_field_is_no_text_and_a_field_of_markup_is_a_blank_text(self, spark, tmp_path):
        write(tmp_path / "a.csv", 'reviewText,overall\n,5\n" ",5\n<br />,5\n&nbsp;,5\n')
        assert Read(spark, tmp_path).reasons == sorted([NO_TEXT, BLANK_TEXT, BLANK_TEXT, BLANK_TEXT])


class TestParquet:
    """Columns of whatever type the writer chose."""

    def test_ratings_of_several_types_in_several_files(self, spark, tmp_path):
        parquet(tmp_path / "a.parquet", reviewText=["float"], overall=[4.5])
        parquet(tmp_path / "b.parquet", reviewText=["whole"], overall=[4])
        parquet(tmp_path / "c.parquet", reviewText=["string"], overall=["3"])
        read = Read(spark, tmp_path)
        assert read.usable == [("float", 4.5), ("string", 3.0), ("whole", 4.0)]

    @pytest.mark.parametrize(
        "kind", [pa.int8(), pa.int64(), pa.float32(), pa.float64(), pa.string(), pa.decimal128(21, 2)], ids=str
    )
    def test_a_rating_may_be_of_any_type(self, spark, tmp_path, kind):
        table = {"reviewText": ["a", "b", "c"], "overall": pa.array([5, 1, None]).cast(kind)}
        read = Read(spark, parquet(tmp_path / "a.pq", **table))
        assert (read.usable, read.reasons) == ([("a", 5.0), ("b", 1.0)], [NO_RATING])

    def test_half_stars_nan_and_infinity(self, spark, tmp_path):
        ratings = pa.array([4.5, 1.1, float("nan"), float("inf"), 5.5], pa.float32())
        read = Read(spark, parquet(tmp_path / "a.parquet", reviewText=list("abcde"), overall=ratings))
        assert (read.usable, read.reasons) == ([("a", 4.5), ("b", 1.1)], sorted([NO_RATING, OUTSIDE, OUTSIDE]))

    def test_a_file_that_lacks_a_column_lacks_it_in_every_record(self, spark, tmp_path):
        parquet(tmp_path / "a.parquet", reviewText=["good"], overall=[5])
        parquet(tmp_path / "b.parquet", reviewText=["without"])
        parquet(tmp_path / "deep/c.parquet", overall=[5, 4], id=[1, 2])
        read = Read(spark, tmp_path)
        assert read.texts == ["good"]
        assert sorted((Path(row.file).name, row.reason) for row in read.quarantined) == [
            ("b.parquet", NO_RATING),
            ("c.parquet", NO_TEXT),
            ("c.parquet", NO_TEXT),
        ]


@pytest.mark.parametrize("text_col", ["review.text", "the text", "a`b"])
def test_columns_may_have_any_name(spark, tmp_path, text_col):
    write(tmp_path / "a.jsonl", json_lines({text_col: "json", "r.1": 5}))
    write(tmp_path / "b.csv", table_text((text_col, "r.1"), ["csv", 5]))
    parquet(tmp_path / "c.parquet", **{text_col: ["parquet"], "r.1": [5]})
    read = Read(spark, tmp_path, text_col=text_col, rating_col="r.1")
    assert read.texts == ["csv", "json", "parquet"]


def test_a_named_format_reads_files_of_any_ending(spark, tmp_path):
    write(tmp_path / "reviews.txt", json_lines(review("good")))
    assert Read(spark, tmp_path, format="json").texts == ["good"]


class TestErrors:
    """One clear sentence, before any work starts."""

    def test_a_path_that_matches_nothing(self, spark, tmp_path):
        write(tmp_path / "a.jsonl", json_lines(review("good")))
        for path in (f"{tmp_path}/b.jsonl", f"{tmp_path}/b-*.jsonl"):
            assert error_of(read_reviews, spark, path) == f"'{path}' must match at least one file. It matches none."
            assert error_of(read_reviews, spark, [f"{tmp_path}/a.jsonl", path]) == (
                f"'{path}' must match at least one file. It matches none."
            )

    def test_an_empty_folder(self, spark, tmp_path):
        assert error_of(read_reviews, spark, str(tmp_path)) == (
            f"'{tmp_path}' must hold at least one file. The folder is empty."
        )

    def test_no_path(self, spark):
        assert error_of(read_reviews, spark, []) == "'paths' must name at least one file. Got none."

    @pytest.mark.parametrize("name", ["reviews.txt", "reviews", "json", "reviews.jsonl.zip", "reviews.csv~"])
    def test_an_unknown_ending(self, spark, tmp_path, name):
        write(tmp_path / name, json_lines(review("good")))
        message = error_of(read_reviews, spark, str(tmp_path))
        assert message.startswith("The format of '")
        assert message.endswith(
            f"{tmp_path}/{name}' is not known from its name. Name the format: json, csv, tsv, parquet, orc or avro."
        )

    def test_an_unknown_format(self, spark):
        assert error_of(read_reviews, spark, "x.jsonl", format="xml") == (
            "'format' must be one of auto, json, csv, tsv, parquet, orc, avro. Got 'xml'."
        )

    @pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
    @pytest.mark.parametrize(
        ("columns", "missing"), [({"text_col": "body"}, "body"), ({"rating_col": "stars"}, "stars")]
    )
    def test_a_column_that_no_file_has(self, spark, tmp_path, ending, columns, missing):
        file = tmp_path / f"a.{ending}"
        if ending == "parquet":
            parquet(file, reviewText=["good"], overall=[5])
        else:
            write(file, "reviewText,overall\ngood,5\n" if ending == "csv" else json_lines(review("good")))
        assert error_of(read_reviews, spark, str(file), **columns) == (
            f"At least one file must have a column '{missing}'. Found overall, reviewText. "
            "Name the columns of the text and the rating."
        )

    @pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl", "jsonl.gz"])
    def test_an_extra_column_that_no_file_has(self, spark, tmp_path, ending):
        if ending == "parquet":
            parquet(tmp_path / "a.parquet", reviewText=["good"], overall=[5])
        else:
            content = "reviewText,overall\ngood,5\n" if ending == "csv" else json_lines(review("good"))
            write(tmp_path / f"a.{ending}", content)
        assert error_of(read_reviews, spark, str(tmp_path), keep_cols=["asin"]) == (
            "At least one file must have a column 'asin'. Found overall, reviewText. Correct 'keep_cols'."
        )
        write(tmp_path / "late.json", json_lines(review("x"), {**review("y"), "asin": None}))
        assert "asin" in read_reviews(spark, str(tmp_path), keep_cols="asin").usable.columns

    def test_an_extra_field_may_first_appear_late_but_the_text_may_not(self, spark, tmp_path, monkeypatch):
        monkeypatch.setattr("sentispark.reviews.formats.json_names._SAMPLE_BYTES", 100)
        lines = json_lines(*[review("good")] * 5, {**review("last"), "asin": "B1"})
        write(tmp_path / "a.jsonl", lines)
        rows = read_reviews(spark, str(tmp_path), keep_cols=["asin"]).usable.collect()
        assert sorted(row.asin or "" for row in rows) == [""] * 5 + ["B1"]
        assert "must have a column 'body'" in error_of(read_reviews, spark, str(tmp_path), text_col="body")

    def test_files_without_recognizable_records_are_read(self, spark, tmp_path):
        write(tmp_path / "empty.jsonl", "")
        assert Read(spark, tmp_path).records == []
        write(tmp_path / "broken.jsonl", "{broken\n")
        assert Read(spark, tmp_path, text_col="body").reasons == [BROKEN]

    @pytest.mark.parametrize(
        ("keep_cols", "words"),
        [
            (["text"], "already has (text, rating). Got 'text'."),
            (["Rating"], "already has (text, rating). Got 'Rating'."),
            (["asin", "ASIN"], "once, ignoring case. Got 'asin' and 'ASIN'."),
            (["asin", "asin"], "once, ignoring case."),
            ([""], "must not contain an empty name. Got one."),
        ],
    )
    def test_extra_columns_with_conflicting_names(self, spark, keep_cols, words):
        assert words in error_of(read_reviews, spark, "x.jsonl", keep_cols=keep_cols)

    def test_one_column_for_text_and_rating(self, spark):
        assert error_of(read_reviews, spark, "x.jsonl", text_col="a", rating_col="a") == (
            "The text and the rating must be two columns. Both are 'a'."
        )


@pytest.mark.modern
def test_pieces_are_unchanged_by_serialization(spark, tmp_path):
    folder = tmp_path / "overall=4" / "x=__HIVE_DEFAULT_PARTITION__" / os.fsdecode(b"caf\xe9 \xf0\x9f\x98\x80")
    folder.mkdir(parents=True)
    (folder / "a'\"b.jsonl").write_text('{"reviewText": "good"}\n\n{}\n')
    reviews = read_reviews(spark, str(tmp_path), keep_cols=["x"])
    assert [_deserialized(_serialized(pieces)) for pieces in reviews.tasks] == reviews.tasks
    assert [tuple(row) for row in reviews.usable.collect()] == [("good", 4.0, None)]
    assert [row.reason for row in reviews.quarantined.collect()] == [NO_TEXT]


def test_many_small_files_are_few_tasks_and_the_function_does_not_grow_with_them(spark, tmp_path):
    paths = []
    for number in range(2000):
        path = tmp_path / f"part-{number:05d}.jsonl"
        path.write_text(json.dumps({"reviewText": f"text {number}", "overall": 5}) + "\n")
        paths.append(str(path))
    sizes = {}
    for files in (1, 2000):
        reviews = read_reviews(spark, paths[:files])
        assert len(reviews.tasks) == 1
        function = reviews.records._jdf.queryExecution().analyzed().functionExpr().func()
        sizes[files] = function.command().size()
    assert sizes[1] == sizes[2000]
    assert sorted(row.text for row in reviews.usable.collect()) == sorted(f"text {number}" for number in range(2000))
