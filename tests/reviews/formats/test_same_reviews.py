"""The same reviews in files of every format: the same records, the same counts, the same dataset to the byte."""

import csv
import json
import random

import fastavro
import pyarrow as pa
import pyarrow.orc as orc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews import tasks
from sentispark.reviews.formats.table import FORMATS
from sentispark.reviews.options import ReviewOptions
from sentispark.reviews.parse import read_piece
from sentispark.reviews.pieces import File
from sentispark.reviews.read import read_reviews
from sentispark.reviews.records import Fields
from sentispark.text.options import TextOptions

COLUMNS = ("reviewText", "overall", "id")
SCHEMA = pa.schema([("reviewText", pa.string()), ("overall", pa.int32()), ("id", pa.string())])
AVRO_SCHEMA = {
    "type": "record",
    "name": "Review",
    "fields": [
        {"name": name, "type": ["null", kind]} for name, kind in zip(COLUMNS, ("string", "int", "string"), strict=True)
    ],
}


def write_json(path, rows):
    path.write_text("".join(json.dumps(dict(zip(COLUMNS, row, strict=True))) + "\n" for row in rows))


def write_separated(path, rows, delimiter):
    with open(path, "w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows([COLUMNS, *rows])


def table_of(rows):
    return pa.Table.from_pylist([dict(zip(COLUMNS, row, strict=True)) for row in rows], SCHEMA)


def write_avro(path, rows):
    with open(path, "wb") as file:
        records = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        fastavro.writer(file, AVRO_SCHEMA, records, codec="deflate", sync_interval=500)


WRITERS = {
    "json": write_json,
    "csv": lambda path, rows: write_separated(path, rows, ","),
    "tsv": lambda path, rows: write_separated(path, rows, "\t"),
    "parquet": lambda path, rows: pq.write_table(table_of(rows), path, row_group_size=50),
    "orc": lambda path, rows: orc.write_table(table_of(rows), path, compression="zlib", stripe_size=1 << 16),
    "avro": write_avro,
}

# Texts that CSV can represent: not empty, which means null there, and without line breaks.
texts = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"], include_characters=" "), min_size=1)
rows_of_reviews = st.lists(st.tuples(st.none() | texts, st.none() | st.integers(0, 9), texts), min_size=1, max_size=30)


def test_every_format_is_in_this_test():
    assert list(WRITERS) == list(FORMATS)


@settings(max_examples=40)
@given(rows_of_reviews)
def test_records_do_not_depend_on_the_format(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("same")
    for name, write in WRITERS.items():
        path = folder / f"a.{name}"
        write(path, rows)
        (pieces,) = tasks.cut_into_tasks([(File(str(path), path.stat().st_size), name)], cores=1)
        batches = [batch for piece in pieces for batch in read_piece(piece, Fields("reviewText", "overall", ("id",)))]
        found = [tuple(row.values()) for batch in batches for row in batch.to_pylist()]
        expected = [(text, None if stars is None else str(stars), None, None, 0, [key]) for text, stars, key in rows]
        assert found == expected, name


def some_reviews(number):
    draw = random.Random(0)
    words = ["good", "bad", "not", "a", '"great"', "it's", "<br />", "été", "日本", "👍", "one, two"]
    for index in range(number):
        text = draw.choice([None, " ", *(" ".join(draw.choices(words, k=draw.randrange(1, 40))) for _ in range(20))])
        yield text, draw.choice([None, 0, *range(1, 6), *range(1, 6)]), f"id {index:04d} {draw.getrandbits(800):x}"
        if text and index % 10 == 0:
            yield text, 5, f"copy {index:04d}"


@pytest.mark.modern
def test_reviews_and_dataset_do_not_depend_on_the_format(spark, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "_SMALLEST", 10_000)
    monkeypatch.setattr(tasks, "_LARGEST", 100_000)
    rows = list(some_reviews(1000))
    records, counts, datasets = {}, {}, {}
    for name, write in WRITERS.items():
        folder = tmp_path / name
        folder.mkdir()
        for number in range(2):
            write(folder / f"{number}.{name}", rows[number::2])
        reviews = read_reviews(spark, str(folder), keep_cols=["id"])
        pieces = [piece.path for task in reviews.tasks for piece in task]
        assert all(pieces.count(path) > 1 for path in set(pieces)), name
        records[name] = sorted(map(str, reviews.usable.collect()))
        if name in ("json", "orc", "avro"):  # a text format, one of stripes and one of blocks
            result = prepare_dataset(
                spark, str(folder), f"{tmp_path}/{name}-dataset", ReviewOptions(), TextOptions(min_count=1)
            )
            counts[name] = {key: result[key] for key in ("rows_read", "rows_quarantined", "duplicates_merged")}
            dataset = tmp_path / f"{name}-dataset"
            datasets[name] = {
                str(path.relative_to(dataset)): path.read_bytes()
                for path in [*dataset.glob("*/chunk-*.parquet"), dataset / "vocabulary.json"]
            }
    assert counts["json"]["rows_read"] == len(rows)
    assert counts["json"]["rows_quarantined"] > 50
    assert counts["json"]["duplicates_merged"] > 20
    assert len(datasets["json"]) == 4
    assert all(records[name] == records["json"] for name in WRITERS)
    assert counts["json"] == counts["orc"] == counts["avro"]
    assert datasets["json"] == datasets["orc"] == datasets["avro"]
