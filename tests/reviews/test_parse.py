"""Files are read piece by piece: each record once, compared with a plain loop over the whole file."""

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
from sentispark.reviews.formats.json_layout import is_json_lines, layout_problem
from sentispark.reviews.parse import read_piece
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import Fields

FIELDS = Fields("reviewText", "overall", ("asin",))


def compressed_by_arrow(content, compression):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, compression) as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


COMPRESS = {
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zst": partial(compressed_by_arrow, compression="zstd"),
    "lz4": partial(compressed_by_arrow, compression="lz4"),
}


def rows_of(pieces, fields=FIELDS):
    batches = [batch for piece in pieces for batch in read_piece(piece, fields)]
    names = ["text", "stars", "broken", *(["extra"] if fields.extra else [])]
    return [tuple(row.values()) for batch in batches for row in batch.select(names).to_pylist()]


# Lines of every kind: objects with unusual texts and ratings, and whatever else occurs in files.
unusual_texts = st.text(st.characters(codec="utf-8"), max_size=20)
values = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.floats(), unusual_texts, st.lists(st.integers(), max_size=2)
)
records = st.fixed_dictionaries({}, optional={"reviewText": values, "overall": values, "asin": values, "x": values})
lines = st.one_of(
    records.map(json.dumps),
    records.map(lambda record: json.dumps(record, ensure_ascii=False)),
    records.map(repr),
    records.map(lambda record: "{ " + repr(record)[1:]),
    records.map(lambda record: "{U" + repr({"x": 1, **record})[1:]),
    records.map(lambda record: json.dumps(record)[:-2]),
    # Not the beginning of an array, which may span lines.
    unusual_texts.map(lambda text: " ".join(text.splitlines())).filter(lambda text: not text.lstrip().startswith("[")),
)


def spelled(value):
    """A field as text: strings as they are, other values as JSON."""
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def plainly_read(content):
    """Every line of the file in a plain loop: (text, stars, broken, extra)."""
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
def test_pieces_give_each_line_once_as_a_plain_loop_reads_it(tmp_path_factory, rows, cuts, end, block):
    content = end.join(row.replace("nan", "0").replace("inf", "0") for row in rows).encode()
    assume(layout_problem(content.decode(), FIELDS.names) is None and is_json_lines(content.decode()))
    path = tmp_path_factory.mktemp("piece") / "a.jsonl"
    path.write_bytes(content)
    edges = sorted({0, len(content), *(int(cut * len(content)) for cut in cuts)})
    before, json_file.BLOCK_BYTES = json_file.BLOCK_BYTES, block
    try:
        found = rows_of([Piece(str(path), "json", start, stop) for start, stop in itertools.pairwise(edges)])
    finally:
        json_file.BLOCK_BYTES = before
    assert found == plainly_read(content)


@pytest.mark.parametrize("ending", COMPRESS)
@pytest.mark.parametrize("shares", [1, 3])
def test_the_shares_of_a_compressed_file_give_each_line_once(tmp_path, monkeypatch, ending, shares):
    monkeypatch.setattr(json_file, "BLOCK_BYTES", 100)
    content = b"".join(
        json.dumps({"reviewText": f"text {number}", "overall": 5}).encode() + b"\n" for number in range(50)
    )
    path = tmp_path / f"a.jsonl.{ending}"
    path.write_bytes(COMPRESS[ending](content))
    found = rows_of([Piece(str(path), "json", 0, 1, share, shares) for share in range(shares)])
    assert sorted(found) == sorted(plainly_read(content))


@pytest.mark.parametrize("ending", COMPRESS)
def test_a_truncated_compressed_file_is_an_error(tmp_path, ending):
    content = b"".join(json.dumps({"reviewText": os.urandom(50).hex()}).encode() + b"\n" for _ in range(200))
    path = tmp_path / f"a.jsonl.{ending}"
    path.write_bytes(COMPRESS[ending](content)[:-100])
    with pytest.raises(InputError, match=r"a\.jsonl\..* cannot be read to its end: .*Repair or leave out the file\.$"):
        rows_of([Piece(str(path), "json", 0, 1)])


def test_concatenated_gzip_members_are_one_file(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(b"".join(gzip.compress(b'{"reviewText": "%d"}\n' % number) for number in range(3)))
    assert [row[0] for row in rows_of([Piece(str(path), "json", 0, 1)])] == ["0", "1", "2"]


def test_a_file_that_became_shorter_is_an_error(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"reviewText": "good"}\n')
    with pytest.raises(InputError, match=r"must not change while it is read\. It became shorter\."):
        rows_of([Piece(str(path), "json", 0, 1000)])


def test_field_names_with_quotes_and_backslashes_are_read(tmp_path):
    path = tmp_path / "a.jsonl"
    names = ['the "text"', "back\\slash"]
    path.write_text(json.dumps(dict(zip(names, ["good", 5.0], strict=True))) + '\n{"field_0": "not it"}\n')
    assert rows_of([Piece(str(path), "json", 0, path.stat().st_size)], Fields(*names)) == [
        ("good", "5.0", None),
        (None, None, None),
    ]
