"""Files read piece by piece: each record once, against a plain loop over the whole file."""

import bz2
import gzip
import itertools
import json
import lzma
import os
import re
from functools import partial

import pyarrow as pa
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from sentispark.errors import InputError
from sentispark.reviews.formats import json_file
from sentispark.reviews.formats.json_layout import is_one_a_line, no_records
from sentispark.reviews.judge import judge
from sentispark.reviews.parse import read_piece
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import Fields
from sentispark.reviews.scale import parse_scale

FIELDS = Fields("reviewText", "overall", ("asin",))


def packed_by_arrow(content, compression):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, compression) as packed:
        packed.write(content)
    return sink.getvalue().to_pybytes()


PACKED = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": partial(packed_by_arrow, compression="zstd"),
    "lz4": partial(packed_by_arrow, compression="lz4"),
}


def rows_of(pieces, fields=FIELDS):
    batches = [batch for piece in pieces for batch in read_piece(piece, fields)]
    names = ["text", "stars", "broken", *(["kept"] if fields.kept else [])]
    return [tuple(row.values()) for batch in batches for row in batch.select(names).to_pylist()]


# Lines of every kind: objects with odd texts and ratings, and whatever else stands in files.
odd_texts = st.text(st.characters(codec="utf-8"), max_size=20)
values = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.floats(), odd_texts, st.lists(st.integers(), max_size=2)
)
records = st.fixed_dictionaries({}, optional={"reviewText": values, "overall": values, "asin": values, "x": values})
lines = st.one_of(
    records.map(json.dumps),
    records.map(lambda record: json.dumps(record, ensure_ascii=False)),
    records.map(repr),
    records.map(lambda record: "{ " + repr(record)[1:]),
    records.map(lambda record: "{U" + repr({"x": 1, **record})[1:]),
    records.map(lambda record: json.dumps(record)[:-2]),
    # Not the beginning of an array, which may go over lines.
    odd_texts.map(lambda text: " ".join(text.splitlines())).filter(lambda text: not text.lstrip().startswith("[")),
)


def spelled(value):
    """A field as text, as the module's documentation has it."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def plainly_read(content):
    """Every line of the file in a plain loop: (text, stars, broken, kept)."""
    found = []
    for line in content.splitlines():
        text = line.decode("utf-8", "replace")
        if not text.strip():
            continue
        try:
            record = (
                eval(text, {"nan": float("nan"), "inf": float("inf")}) if re.match("{ ?U?'", text) else json.loads(text)
            )
        except (ValueError, SyntaxError):
            record = None
        if not isinstance(record, dict):
            found.append((None, None, text, [None]))
        else:
            found.append(
                (
                    *(spelled(record.get(name)) for name in ("reviewText", "overall")),
                    None,
                    [spelled(record.get("asin"))],
                )
            )
    return found


@settings(max_examples=150)
@example(['{"overall": 0.0}', '{"overall": -0.0}', '{"overall": 0}'], [], "\n", 8)
@example(['{"reviewText": ', "{'reviewText': None}"], [], "\n", 8)
@example(['{"reviewText": ', "{ 'reviewText': None}"], [], "\n", 8)
@example(['{"reviewText": ', "{U'reviewText': None}"], [], "\n", 8)
@given(
    st.lists(lines, max_size=12),
    st.lists(st.floats(0, 1), max_size=4),
    st.sampled_from(["\n", "\r\n", "\n\n"]),
    st.sampled_from([8, 64, 4 << 20]),
)
def test_pieces_give_each_line_once_and_as_a_plain_loop_reads_it(tmp_path_factory, rows, cuts, end, block):
    content = end.join(row.replace("nan", "0").replace("inf", "0") for row in rows).encode()
    assume(no_records(content.decode(), FIELDS.names) is None and is_one_a_line(content.decode()))
    path = tmp_path_factory.mktemp("piece") / "a.jsonl"
    path.write_bytes(content)
    edges = sorted({0, len(content), *(int(cut * len(content)) for cut in cuts)})
    held, json_file.BLOCK_BYTES = json_file.BLOCK_BYTES, block
    try:
        found = rows_of([Piece(str(path), "json", start, stop) for start, stop in itertools.pairwise(edges)])
    finally:
        json_file.BLOCK_BYTES = held
    assert found == plainly_read(content)


@pytest.mark.parametrize("ending", PACKED)
@pytest.mark.parametrize("shares", [1, 3])
def test_the_shares_of_a_packed_file_give_each_line_once(tmp_path, monkeypatch, ending, shares):
    monkeypatch.setattr(json_file, "BLOCK_BYTES", 100)
    content = b"".join(
        json.dumps({"reviewText": f"text {number}", "overall": 5}).encode() + b"\n" for number in range(50)
    )
    path = tmp_path / f"a.jsonl.{ending}"
    path.write_bytes(PACKED[ending](content))
    found = rows_of([Piece(str(path), "json", 0, 1, share, shares) for share in range(shares)])
    assert sorted(found) == sorted(plainly_read(content))


@pytest.mark.parametrize("ending", PACKED)
def test_a_packed_file_that_was_cut_off_is_an_error_and_not_the_end(tmp_path, ending):
    content = b"".join(json.dumps({"reviewText": os.urandom(50).hex()}).encode() + b"\n" for _ in range(200))
    path = tmp_path / f"a.jsonl.{ending}"
    path.write_bytes(PACKED[ending](content)[:-100])
    with pytest.raises(InputError, match=r"a\.jsonl\..* cannot be read to its end: .*Mend or leave out the file\.$"):
        rows_of([Piece(str(path), "json", 0, 1)])


def test_members_packed_one_after_the_other_are_one_file(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(b"".join(gzip.compress(b'{"reviewText": "%d"}\n' % number) for number in range(3)))
    assert [row[0] for row in rows_of([Piece(str(path), "json", 0, 1)])] == ["0", "1", "2"]


def test_a_file_that_became_shorter_is_an_error(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"reviewText": "good"}\n')
    with pytest.raises(InputError, match=r"must stay as it is while it is read\. It has become shorter\."):
        rows_of([Piece(str(path), "json", 0, 1000)])


def test_a_field_whose_name_no_decoder_takes_is_read_all_the_same(tmp_path):
    path = tmp_path / "a.jsonl"
    names = ['the "text"', "back\\slash"]
    path.write_text(json.dumps(dict(zip(names, ["good", 5.0], strict=True))) + '\n{"field_0": "not it"}\n')
    assert rows_of([Piece(str(path), "json", 0, path.stat().st_size)], Fields(*names)) == [
        ("good", "5.0", None),
        (None, None, None),
    ]


# What becomes of a record.


@given(st.lists(st.tuples(values, values), max_size=8))
def test_every_record_is_a_review_or_has_its_reason(pairs):
    batch = pa.RecordBatch.from_pylist(
        [
            {"text": spelled(text), "stars": spelled(stars), "broken": None, "why": None, "replaced": 0}
            for text, stars in pairs
        ],
        schema=pa.schema(
            [
                ("text", pa.string()),
                ("stars", pa.string()),
                ("broken", pa.string()),
                ("why", pa.string()),
                ("replaced", pa.int32()),
            ]
        ),
    )
    judged = judge(batch, file="a", scale=parse_scale("1-5")).to_pylist()
    assert len(judged) == len(pairs)
    for row in judged:
        if row["reason"] is None:
            assert row["text"].strip()
            assert 1 <= row["rating"] <= 5
            assert row["record"] is row["file"] is None
        else:
            assert row["text"] is row["rating"] is None
            assert row["file"] == "a"
            assert row["record"]


@pytest.mark.parametrize(("spelling", "stars"), [("positive", 5.0), ("Negative", 1.0), ("neutral", None)])
def test_sentiment_in_words_is_five_stars_or_one(spelling, stars):
    nothing = pa.nulls(1, pa.string())
    columns = {"text": ["x"], "stars": [spelling], "broken": nothing, "why": nothing, "replaced": [0]}
    batch = pa.RecordBatch.from_pydict(columns)
    assert judge(batch, file="a", scale=parse_scale("1-5")).column("rating").to_pylist() == [stars]
