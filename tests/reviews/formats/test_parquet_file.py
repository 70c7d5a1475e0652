"""Parquet files of many types and damaged ones, compared with the values that were written."""

import datetime
import decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentispark.errors import InputError
from sentispark.reviews.parse import column_names, read_piece
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import Fields

FIELDS = Fields("text", "stars")


def rows_of(path):
    batches = read_piece(Piece(str(path), "parquet", 0, 1), FIELDS)
    return [(row["text"], row["stars"]) for batch in batches for row in batch.to_pylist()]


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array(["a", None], pa.large_string()), ["a", None]),
        (pa.array(["a", None]).dictionary_encode(), ["a", None]),
        (pa.array([b"a", None], pa.large_binary()), ["a", None]),
        (pa.array([b"ab", None], pa.binary(2)), ["ab", None]),
        (pa.array([True, None]), ["true", None]),
        (pa.array([5, None], pa.uint64()), ["5", None]),
        (pa.array([5, None]).dictionary_encode(), ["5", None]),
        (pa.array([decimal.Decimal("4.50"), None]), ["4.50", None]),
        (pa.array([datetime.date(2020, 1, 2), None]), ["2020-01-02", None]),
        (pa.array([["a", None], None]), ['["a", null]', None]),
        (pa.array([{"a": [b"b"]}, None]), ['{"a": ["b"]}', None]),
        (pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())), ['[["k", 1]]', None]),
        (pa.nulls(2), [None, None]),
    ],
    ids=lambda value: str(value.type) if isinstance(value, pa.Array) else "",
)
def test_columns_of_any_type_are_read_as_text(tmp_path, column, texts):
    pq.write_table(pa.table({"text": column, "stars": column}), tmp_path / "a.parquet")
    assert rows_of(tmp_path / "a.parquet") == [(text, text) for text in texts]


def test_a_file_without_row_groups_has_columns_but_no_records(tmp_path):
    pq.ParquetWriter(tmp_path / "a.parquet", pa.schema([("text", pa.string()), ("stars", pa.int8())])).close()
    assert rows_of(tmp_path / "a.parquet") == []
    assert column_names(str(tmp_path / "a.parquet"), "parquet", FIELDS).names == {"text", "stars"}


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (lambda content: content[:-20], "Parquet magic bytes not found in footer"),
        (lambda content: content[:-4] + b"PARE", "it is encrypted"),
        (lambda content: b"PAR1", "it is not a Parquet file"),
        (lambda content: content[:-8] + b"\xff\xff\xff\x7fPAR1", "smaller than the size reported by footer"),
        (lambda content: b"reviewText,overall\n", "Parquet magic bytes not found in footer"),
    ],
)
def test_a_damaged_file_is_an_error(tmp_path, damage, problem):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["a"], "stars": [5]}), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(
        InputError, match=rf"a\.parquet' cannot be read to its end: .*{problem}.*Repair or leave out the"
    ):
        rows_of(path)
    with pytest.raises(InputError, match=rf"a\.parquet' cannot be read: .*{problem}"):
        column_names(str(path), "parquet", FIELDS)


def written(folder, table):
    path = folder / "a.parquet"
    pq.write_table(table, path)
    return Piece(str(path), "parquet", 0, path.stat().st_size)


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary(4)], ids=str)
def test_undecodable_bytes_are_counted(tmp_path, kind):
    texts = pa.array([b"caf\xe9", b"fine"], kind)
    piece = written(tmp_path, pa.table({"text": texts, "stars": [5, 4]}))
    rows = [row for batch in read_piece(piece, FIELDS) for row in batch.to_pylist()]
    assert [(row["text"], row["replaced"]) for row in rows] == [("caf\ufffd", 1), ("fine", 0)]


def test_a_duplicate_wanted_column_is_an_error(tmp_path):
    table = pa.Table.from_arrays([pa.array(["a"]), pa.array([5]), pa.array(["b"])], names=["text", "stars", "text"])
    piece = written(tmp_path, table)
    for read in (lambda: column_names(piece.path, "parquet", FIELDS), lambda: [*read_piece(piece, FIELDS)]):
        with pytest.raises(InputError, match=r"a\.parquet' must have one column 'text'\. It has 2\. Rename"):
            read()
    assert column_names(piece.path, "parquet", Fields("stars", None)).names == {"text", "stars"}
