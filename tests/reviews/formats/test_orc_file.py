"""ORC files of many types and damaged ones, compared with the values that were written."""

import datetime
import decimal
import random
import sys

import pyarrow as pa
import pyarrow.orc as orc
import pytest

from sentispark.errors import InputError, SetupError
from sentispark.reviews.parse import check_file, column_names, read_piece
from sentispark.reviews.pieces import Piece
from sentispark.reviews.read import read_reviews
from sentispark.reviews.records import Fields

FIELDS = Fields("text", "stars")


def written(folder, table, **options):
    path = folder / "a.orc"
    orc.write_table(table, path, **options)
    return Piece(str(path), "orc", 0, path.stat().st_size)


def rows_of(*pieces, fields=FIELDS):
    batches = [batch for piece in pieces for batch in read_piece(piece, fields)]
    return [(row["text"], row["stars"]) for batch in batches for row in batch.to_pylist()]


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array(["a", None]), ["a", None]),
        (pa.array([b"a", None], pa.binary()), ["a", None]),
        (pa.array([True, None]), ["true", None]),
        (pa.array([5, None], pa.int8()), ["5", None]),
        (pa.array([4.5, None], pa.float32()), ["4.5", None]),
        (pa.array([decimal.Decimal("4.50"), None]), ["4.50", None]),
        (pa.array([datetime.date(2020, 1, 2), None]), ["2020-01-02", None]),
        (pa.array([["a", None], None]), ['["a", null]', None]),
        (pa.array([{"a": [b"b"]}, None]), ['{"a": ["b"]}', None]),
        (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())), ['[["k", 1]]', None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_columns_of_any_type_are_read_as_text(tmp_path, column, texts):
    piece = written(tmp_path, pa.table({"text": column, "stars": column}))
    assert rows_of(piece) == [(text, text) for text in texts]


@pytest.mark.parametrize("compression", ["uncompressed", "zlib", "snappy", "zstd", "lz4"])
@pytest.mark.parametrize("shares", [1, 3, 50])
def test_the_shares_of_a_file_give_each_row_once(tmp_path, compression, shares):
    digits = random.Random(0)
    rows = [(f"{digits.getrandbits(800):x}", str(number % 5)) for number in range(20_000)]
    table = pa.table({"text": [text for text, _ in rows], "stars": [int(stars) for _, stars in rows]})
    piece = written(tmp_path, table, compression=compression, stripe_size=1 << 16)
    assert orc.ORCFile(piece.path).nstripes > 5
    found = [rows_of(piece._replace(share=share, shares=shares)) for share in range(shares)]
    assert shares > 3 or all(found)
    assert sorted(row for some in found for row in some) == sorted(rows)


def test_unwanted_columns_are_not_read(tmp_path, monkeypatch):
    others = {
        "at": pa.array([datetime.datetime(9999, 12, 31)], pa.timestamp("us")),
        "price": pa.array([decimal.Decimal("1." + "0" * 30)]),
        "review": pa.array([{"text": "inner"}]),
        "Text": ["another"],
    }
    piece = written(tmp_path, pa.table({**others, "text": ["good"], "stars": [5]}))
    read = []
    monkeypatch.setattr(
        orc.ORCFile,
        "read_stripe",
        lambda self, number, columns: read.append(columns) or self.reader.read_stripe(number, columns=columns),
    )
    assert rows_of(piece) == [("good", "5")]
    assert read == [["text", "stars"]]


@pytest.mark.parametrize("others", [{}, {"review": pa.array([{"text": "inner"}])}], ids=["alone", "next to a struct"])
def test_a_name_with_a_dot_is_a_column_not_a_struct_field(tmp_path, others):
    piece = written(tmp_path, pa.table({**others, "review.text": ["outer"], "stars": [5]}))
    assert rows_of(piece, fields=Fields("review.text", "stars")) == [("outer", "5")]


def test_a_file_that_lacks_the_columns_lacks_them_in_every_row(tmp_path):
    piece = written(tmp_path, pa.table({"other": [1, 2]}))
    assert rows_of(piece) == [(None, None)] * 2
    assert column_names(piece.path, "orc", FIELDS).names == {"other"}


def test_a_file_without_rows_has_columns_but_no_records(tmp_path):
    piece = written(tmp_path, pa.table({"text": pa.array([], pa.string()), "stars": pa.array([], pa.int8())}))
    assert rows_of(piece) == []
    assert column_names(piece.path, "orc", FIELDS).names == {"text", "stars"}


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda content: content[:-20], "postscript"),
        (lambda content: content[:-1], "postscript"),
        (lambda content: content[: len(content) // 2], ""),
        (lambda content: b"ORC", "File size too small"),
        (lambda content: b"", "File size too small"),
        (lambda content: b"reviewText,overall\n" * 5, "Not an ORC file"),
        (lambda content: content.replace(b"stars", b"st\xffrs"), "its column names are not valid UTF-8"),
    ],
)
def test_a_damaged_file_is_an_error(tmp_path, damage, problem):
    piece = written(tmp_path, pa.table({"text": ["a"], "stars": [5]}), compression="uncompressed")
    with open(piece.path, "r+b") as file:
        content = damage(file.read())
        file.seek(0)
        file.truncate()
        file.write(content)
    with pytest.raises(InputError, match=rf"a\.orc' cannot be read to its end: .*{problem}.*Repair or leave out the"):
        rows_of(piece)
    with pytest.raises(InputError, match=rf"a\.orc' cannot be read: .*{problem}"):
        column_names(piece.path, "orc", FIELDS)


def test_undecodable_bytes_are_counted(tmp_path):
    piece = written(tmp_path, pa.table({"text": pa.array([b"caf\xe9", b"fine"]), "stars": [5, 4]}))
    rows = [row for batch in read_piece(piece, FIELDS) for row in batch.to_pylist()]
    assert [(row["text"], row["replaced"]) for row in rows] == [("caf\ufffd", 1), ("fine", 0)]


def test_a_duplicate_wanted_column_is_an_error(tmp_path):
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array([5]), pa.array(["b"])], names=["text", "stars", "text"])
    piece = written(tmp_path, table)
    for read in (lambda: column_names(piece.path, "orc", FIELDS), lambda: rows_of(piece)):
        with pytest.raises(InputError, match=r"a\.orc' must have one column 'text'\. It has 2\. Rename"):
            read()


def test_missing_time_zones_are_an_error_before_and_during_the_work(tmp_path, monkeypatch):
    piece = written(tmp_path, pa.table({"text": ["a"], "stars": [5]}))
    monkeypatch.setenv("TZDIR", str(tmp_path))
    for read in (lambda: check_file(piece.path, "orc", FIELDS), lambda: rows_of(piece)):
        with pytest.raises(SetupError) as caught:
            read()
        assert str(caught.value) == (
            f"'{piece.path}' needs the time zones of the operating system, as all ORC files do. '{tmp_path}' has none. "
            "Install the system package tzdata, or set TZDIR to a folder of time zones."
        )


def test_a_pyarrow_without_orc_is_an_error(tmp_path, monkeypatch):
    piece = written(tmp_path, pa.table({"text": ["a"], "stars": [5]}))
    monkeypatch.setitem(sys.modules, "pyarrow.orc", None)
    for read in (lambda: column_names(piece.path, "orc", FIELDS), lambda: rows_of(piece)):
        with pytest.raises(SetupError, match=r"a\.orc' needs a pyarrow that reads ORC\. The installed one does not"):
            read()


@pytest.mark.modern
def test_what_spark_writes_is_read_whatever_its_compression(spark, tmp_path):
    rows = [
        (number % 5 + 1, f"text {number}", datetime.datetime(2020, 1, 2), decimal.Decimal(1)) for number in range(9)
    ]
    frame = spark.createDataFrame(rows, "overall int, reviewText string, at timestamp, price decimal(20, 2)")
    frame = frame.selectExpr("*", "struct(reviewText, at) review", "map('a', at) m").coalesce(1)
    for compression in ("none", "zlib", "snappy", "zstd", "lz4"):
        folder = str(tmp_path / compression)
        frame.write.orc(folder, compression=compression)
        found = read_reviews(spark, folder).usable.collect()
        assert sorted(map(tuple, found)) == sorted((text, float(stars)) for stars, text, *_ in rows)
    frame.write.partitionBy("overall").orc(str(tmp_path / "parts"))
    assert read_reviews(spark, str(tmp_path / "parts")).usable.count() == len(rows)
