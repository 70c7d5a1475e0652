"""Avro files with all types of fields, codecs and damage, compared with the records that were written."""

import decimal
import io
import itertools
import json
import sys
import zlib

import fastavro
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentispark.errors import InputError, SetupError
from sentispark.reviews.parse import check_file, column_names, read_piece
from sentispark.reviews.pieces import File, Piece
from sentispark.reviews.read import read_reviews
from sentispark.reviews.records import Fields
from sentispark.reviews.tasks import cut_into_tasks

FIELDS = Fields("text", "stars")
MAYBE_TEXT, MAYBE_LONG = ["null", "string"], ["null", "long"]


def record_of(name="Review", **types):
    return {"type": "record", "name": name, "fields": [{"name": name, "type": one} for name, one in types.items()]}


def written(path, records, codec="null", **types):
    with open(path, "wb") as file:
        fastavro.writer(file, record_of(**types), records, codec=codec, sync_interval=200)
    return Piece(str(path), "avro", 0, path.stat().st_size)


def reviews(path, number, codec="null"):
    records = [{"text": f"text {row}", "stars": row % 5} for row in range(number)]
    return written(path, records, codec, text=MAYBE_TEXT, stars=MAYBE_LONG)


def rows_of(*pieces, fields=FIELDS):
    batches = [batch for piece in pieces for batch in read_piece(piece, fields)]
    return [(row["text"], row["stars"]) for batch in batches for row in batch.to_pylist()]


def cut(piece, *edges):
    return [piece._replace(start=a, stop=b) for a, b in itertools.pairwise([0, *edges, piece.stop])]


# Codecs for which Python and fastavro lack a library, by the specification.
def snappy(data):
    return pa.compress(data, codec="snappy", asbytes=True) + zlib.crc32(data).to_bytes(4, "big")


def zstandard(data):
    return pa.compress(data, codec="zstd", asbytes=True)


def repacked(piece, codec, pack):
    """The file with its blocks, which are not compressed, packed."""
    with open(piece.path, "rb") as file:
        reader = fastavro.block_reader(file)
        blocks = [(block.num_records, block.bytes_.getvalue()) for block in reader]
        schema = json.dumps(reader.writer_schema).encode()
    number = lambda value: fastavro_bytes("long", value)  # noqa: E731
    out = b"Obj\x01" + fastavro_bytes({"type": "map", "values": "bytes"}, {"avro.schema": schema, "avro.codec": codec})
    out += b"m" * 16
    for records, data in blocks:
        out += number(records) + number(len(pack(data))) + pack(data) + b"m" * 16
    with open(piece.path, "wb") as file:
        file.write(out)
    return piece._replace(stop=len(out))


def fastavro_bytes(schema, value):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value)
    return out.getvalue()


@pytest.mark.parametrize(
    ("kind", "values", "texts"),
    [
        (MAYBE_TEXT, ["a", None, "日本 👍"], ["a", None, "日本 👍"]),
        ("bytes", [b"ab", b""], ["ab", ""]),
        ("boolean", [True], ["true"]),
        (["null", "int"], [5, None], ["5", None]),
        ("float", [1.1], ["1.1"]),
        ("double", [4.5], ["4.5"]),
        (["null", "string", "double", "boolean"], ["a", 4.5, True, None], ["a", "4.5", "true", None]),
        (["string", "bytes"], ["a", b"b"], ["a", "b"]),
        ({"type": "string", "avro.java.string": "String"}, ["a"], ["a"]),
        ({"type": "enum", "name": "E", "symbols": ["GOOD", "BAD"]}, ["BAD"], ["BAD"]),
        ({"type": "fixed", "name": "F", "size": 2}, [b"ab"], ["ab"]),
        ({"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}, [decimal.Decimal("4.50")], ["4.50"]),
        ({"type": "int", "logicalType": "date"}, [18263], ["2020-01-02"]),
        (["null", {"type": "array", "items": "string"}], [["a", "é"], None], ['["a", "\\u00e9"]', None]),
        ({"type": "map", "values": "long"}, [{"k": 1}], ['{"k": 1}']),
        (record_of("Inner", x="bytes"), [{"x": b"b"}], ['{"x": "b"}']),
        ("null", [None], [None]),
    ],
    ids=lambda value: json.dumps(value)[:40] if not isinstance(value, list) or value[:1] == ["null"] else "",
)
def test_fields_of_any_type_are_read_as_text(tmp_path, kind, values, texts):
    piece = written(tmp_path / "a.avro", [{"text": value} for value in values], text=kind)
    assert rows_of(piece, fields=Fields("text", None)) == [(text, None) for text in texts]


@pytest.mark.parametrize("codec", ["null", "deflate", "bzip2", "xz", "snappy", "zstandard"])
def test_every_codec_of_the_specification_is_read(tmp_path, codec):
    pack = {"snappy": snappy, "zstandard": zstandard}.get(codec)
    piece = reviews(tmp_path / "a.avro", 500, "null" if pack else codec)
    piece = repacked(piece, codec.encode(), pack) if pack else piece
    whole = [(f"text {row}", str(row % 5)) for row in range(500)]
    assert rows_of(piece) == whole
    assert rows_of(*cut(piece, piece.stop // 3, piece.stop // 2)) == whole


def test_an_unsupported_codec_is_an_error_that_names_it(tmp_path):
    piece = repacked(reviews(tmp_path / "a.avro", 3), b"lz4", bytes)
    for read in (lambda: check_file(piece.path, "avro", FIELDS), lambda: rows_of(piece)):
        with pytest.raises(InputError) as caught:
            read()
        assert str(caught.value) == (
            f"'{piece.path}' must use one of the codecs null, deflate, snappy, zstandard, bzip2, xz. It uses lz4. "
            "Write it with another codec."
        )


@settings(max_examples=60)
@given(st.lists(st.floats(0, 1), max_size=5), st.integers(0, 60))
def test_pieces_give_each_record_once(tmp_path_factory, cuts, number):
    piece = reviews(tmp_path_factory.mktemp("piece") / "a.avro", number)
    edges = sorted(int(one * piece.stop) for one in cuts)
    assert rows_of(*cut(piece, *edges)) == [(f"text {row}", str(row % 5)) for row in range(number)]


def test_pieces_that_begin_or_end_at_the_edge_of_a_block_give_each_record_once(tmp_path):
    piece = reviews(tmp_path / "a.avro", 40)
    whole = rows_of(piece)
    for edge in range(piece.stop // 2, piece.stop):
        assert rows_of(*cut(piece, edge)) == whole


def test_a_large_file_is_cut_by_its_bytes():
    (one, *_), *others = tasks = cut_into_tasks([(File("a.avro", 100 << 20), "avro")], cores=2)
    assert one.start == 0
    assert len(others) > 3
    edges = [(piece.start, piece.stop) for task in tasks for piece in task]
    assert [start for start, _ in edges] == [0, *(stop for _, stop in edges[:-1])]
    assert edges[-1][1] == 100 << 20


def test_unwanted_fields_may_have_values_that_python_cannot_represent(tmp_path):
    date = {"type": "long", "logicalType": "timestamp-micros"}  # years that Python cannot represent
    inner = record_of("Inner", at=date, stars="long")
    record = {"at": 10**18, "inner": {"at": 10**18, "stars": 1}, "again": None, "text": "good", "stars": 5}
    types = {"at": date, "inner": inner, "again": ["null", "Inner"], "text": "string", "stars": "int"}
    piece = written(tmp_path / "a.avro", [record], **types)
    assert rows_of(piece) == [("good", "5")]


def test_a_type_may_be_defined_in_an_unwanted_field(tmp_path):
    inner = record_of("Inner", more=["null", "Inner"], word={"type": "enum", "name": "Word", "symbols": ["GOOD"]})
    record = {"other": {"more": None, "word": "GOOD"}, "text": "GOOD", "stars": {"more": None, "word": "GOOD"}}
    piece = written(tmp_path / "a.avro", [record], other=inner, text="Word", stars=["null", "Inner"])
    assert rows_of(piece) == [("GOOD", '{"more": null, "word": "GOOD"}')]


def test_a_file_that_lacks_the_fields_lacks_them_in_every_record(tmp_path):
    piece = written(tmp_path / "a.avro", [{"other": 1}, {"other": 2}], other="int")
    assert rows_of(piece) == [(None, None)] * 2
    assert column_names(piece.path, "avro", FIELDS).names == {"other"}


def test_a_file_without_blocks_has_fields_but_no_records(tmp_path):
    piece = reviews(tmp_path / "a.avro", 0)
    assert rows_of(piece) == []
    assert column_names(piece.path, "avro", FIELDS).names == {"text", "stars"}


def test_undecodable_bytes_are_counted(tmp_path):
    piece = written(tmp_path / "a.avro", [{"text": "cafe"}, {"text": "fine"}], text="string")
    content = (tmp_path / "a.avro").read_bytes()
    (tmp_path / "a.avro").write_bytes(content.replace(b"cafe", b"caf\xe9"))
    rows = [row for batch in read_piece(piece, FIELDS) for row in batch.to_pylist()]
    assert [(row["text"], row["replaced"]) for row in rows] == [("caf\ufffd", 1), ("fine", 0)]


HEADER = (
    (lambda content: b"reviewText,overall\n", "it is not an Avro file"),
    (lambda content: b"Obj\x01", "it was cut off"),
    (lambda content: content[:20], "it was cut off"),
    (lambda content: content[:4] + b"\xff" * 20, "a length in it is damaged"),
    (lambda content: content.replace(b'"record"', b'"record!', 1), "its schema is damaged"),
    (lambda content: content.replace(b'"fields"', b'"fieldz"', 1), "its schema is damaged or is not a record"),
)
BLOCKS = (
    (lambda content: content[:-1], "it was cut off"),
    (lambda content: content[:-30], "it was cut off"),
    (lambda content: content[:-1] + b"\0", "the block at byte [0-9]+ is damaged"),
)


@pytest.mark.parametrize(("damage", "problem"), HEADER)
def test_a_damaged_header_is_an_error(tmp_path, damage, problem):
    path = tmp_path / "a.avro"
    reviews(path, 100)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=rf"a\.avro' cannot be read to its end: .*{problem}.*Repair or leave out the"):
        rows_of(Piece(str(path), "avro", 0, 1))
    for read in (column_names, check_file):
        with pytest.raises(InputError, match=rf"a\.avro' cannot be read: .*{problem}"):
            read(str(path), "avro", FIELDS)


@pytest.mark.parametrize("codec", ["null", "deflate"])
@pytest.mark.parametrize(("damage", "problem"), BLOCKS)
def test_a_damaged_block_is_an_error_of_the_piece_that_reads_it(tmp_path, codec, damage, problem):
    path = tmp_path / "a.avro"
    piece = reviews(path, 100, codec)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=rf"a\.avro' cannot be read to its end: {problem}\. Repair or leave out the"):
        rows_of(piece._replace(stop=path.stat().st_size))


@settings(max_examples=200)
@given(st.data(), st.sampled_from(["null", "deflate", "xz"]))
def test_damage_is_an_error_that_names_the_file_or_changes_records(tmp_path_factory, data, codec):
    path = tmp_path_factory.mktemp("damaged") / "a.avro"
    piece = reviews(path, 30, codec)
    content = bytearray(path.read_bytes())
    for index in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[index] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        rows_of(piece)
    except InputError as error:
        assert f"'{path}'" in str(error)  # noqa: PT017


def test_a_file_that_became_shorter_is_an_error(tmp_path):
    piece = reviews(tmp_path / "a.avro", 3)
    with pytest.raises(InputError, match=r"must not change while it is read\. It became shorter\."):
        rows_of(piece._replace(stop=piece.stop + 1000))


def test_a_missing_fastavro_is_an_error_before_the_work(tmp_path, monkeypatch):
    piece = reviews(tmp_path / "reviews.avro", 3)
    monkeypatch.setitem(sys.modules, "fastavro", None)
    for read in (lambda: check_file(piece.path, "avro", FIELDS), lambda: rows_of(piece)):
        with pytest.raises(SetupError) as caught:
            read()
        assert str(caught.value) == (
            f"'{piece.path}' needs fastavro, which is not installed. Install it: pip install 'sentispark[avro]'."
        )


@pytest.mark.modern
def test_only_non_empty_files_are_checked_before_the_work(spark, tmp_path, monkeypatch):
    (tmp_path / "empty.avro").touch()
    (tmp_path / "a.jsonl").write_text('{"text": "good", "stars": 5}\n')
    monkeypatch.setitem(sys.modules, "fastavro", None)
    assert read_reviews(spark, str(tmp_path), *FIELDS.names).usable.count() == 1
    reviews(tmp_path / "b.avro", 3)
    with pytest.raises(SetupError, match=r"b\.avro' needs fastavro, which is not installed\. Install it: pip install"):
        read_reviews(spark, str(tmp_path), *FIELDS.names)
