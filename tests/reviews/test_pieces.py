"""Files found, cut to pieces and read piece by piece: each record once, against a plain loop over the whole file."""

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
from sentispark.reviews import json_rows
from sentispark.reviews.json_layout import is_one_a_line, no_records
from sentispark.reviews.judge import judge
from sentispark.reviews.parse import read_piece
from sentispark.reviews.pieces import File, Piece, cut_into_tasks, format_of
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
    held, json_rows.BLOCK_BYTES = json_rows.BLOCK_BYTES, block
    try:
        found = rows_of([Piece(str(path), "json", start, stop) for start, stop in itertools.pairwise(edges)])
    finally:
        json_rows.BLOCK_BYTES = held
    assert found == plainly_read(content)


@pytest.mark.parametrize("ending", PACKED)
@pytest.mark.parametrize("shares", [1, 3])
def test_the_shares_of_a_packed_file_give_each_line_once(tmp_path, monkeypatch, ending, shares):
    monkeypatch.setattr(json_rows, "BLOCK_BYTES", 100)
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


@given(
    st.lists(
        st.tuples(st.integers(0, 300 << 20), st.sampled_from(["a.jsonl", "a.jsonl.gz", "a.csv", "a.parquet"])),
        max_size=20,
    ),
    st.integers(1, 64),
)
def test_tasks_hold_every_byte_of_every_file_once(sizes, cores):
    files = [(File(f"{number}/{name}", size), format_of(name)) for number, (size, name) in enumerate(sizes)]
    tasks = cut_into_tasks(files, cores=cores)
    assert all(tasks)
    pieces = [piece for task in tasks for piece in task]
    for file, _ in files:
        own = [piece for piece in pieces if piece.path == file.path]
        if own and own[0].shares > 1:
            assert [(piece.start, piece.stop) for piece in own] == [(0, file.size)] * own[0].shares
            assert [piece.share for piece in own] == list(range(own[0].shares))
        else:
            edges = [0, *(piece.stop for piece in own)]
            assert [piece.start for piece in own] == edges[:-1]
            assert edges[-1] == file.size
    work = sum(file.size * (3 if file.path.endswith("z") else 2 if file.path.endswith("t") else 1) for file, _ in files)
    a_core = min(max(round(work / cores / (32 << 20)), 1), 3)
    enough = min(max(work / (a_core * cores), 8 << 20), 64 << 20)
    for task in tasks:
        lines = sum(piece.stop - piece.start for piece in task if piece.path.endswith("l"))
        assert lines <= 2 * enough + 2


@given(
    st.lists(
        st.tuples(st.integers(1, 300 << 20), st.sampled_from(["jsonl", "jsonl.gz", "csv", "parquet"])), min_size=1
    ),
    st.integers(1, 64),
)
def test_no_task_has_more_than_its_part_and_one_piece(sizes, cores):
    files = [
        (File(f"{number}.{ending}", size), format_of(f"a.{ending}")) for number, (size, ending) in enumerate(sizes)
    ]
    tasks = cut_into_tasks(files, cores=cores)
    times = {"jsonl": 1, "gz": 3, "csv": 1, "parquet": 2}

    def work(piece):
        return (piece.stop - piece.start) * times[piece.path.rsplit(".", 1)[1]] / piece.shares

    total = sum(work(piece) for task in tasks for piece in task)
    part = max(total / (3 * cores), 8 << 20)
    for task in tasks:
        assert sum(map(work, task)) <= 1.125 * max(min(part, 64 << 20), total / len(tasks)) + max(map(work, task))


@given(st.lists(st.integers(1, 300 << 20), min_size=1, max_size=20), st.integers(1, 64))
def test_tasks_of_json_lines_are_equal(sizes, cores):
    tasks = cut_into_tasks([(File(f"{number}.jsonl", size), "json") for number, size in enumerate(sizes)], cores=cores)
    work = [sum(piece.stop - piece.start for piece in task) for task in tasks]
    assert max(work) <= 1.125 * sum(sizes) / len(tasks) + 2
    assert min(work) >= 0.875 * sum(sizes) / len(tasks) - len(tasks) - 2


@pytest.mark.parametrize("megabytes", [8, 10, 20])
def test_tasks_of_files_of_about_one_size_have_as_many_each(megabytes):
    files = [(File(f"{number}.csv", megabytes * 1_000_000 + 15_000 * (number * 7 % 16)), "csv") for number in range(16)]
    numbers = [len(task) for task in cut_into_tasks(files, cores=2)]
    assert max(numbers) - min(numbers) <= 16 % len(numbers)


@pytest.mark.parametrize(("mebibytes", "tasks"), [(1, 1), (8, 2), (32, 2), (100, 4), (300, 6), (1024, 16)])
def test_two_cores_get_one_to_three_tasks_each_or_more_large_ones(mebibytes, tasks):
    assert len(cut_into_tasks([(File("reviews.jsonl", mebibytes << 20), "json")], cores=2)) == tasks


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
