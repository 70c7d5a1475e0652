"""Spilled reviews are read back without the dropped rows."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentispark.files import Folder
from sentispark.reviews.deduplicate import spill
from sentispark.reviews.deduplicate.spill import SPILL_SCHEMA, SpillWriter, drop_rows, read_spilled, task_of
from sentispark.text.kernels import tokenize

texts = st.lists(st.sampled_from(["good", "not", "日本", "x'y"]), max_size=4).map(" ".join)
batches = st.lists(st.lists(texts, max_size=5), max_size=6)


def rows_of(some):
    numbers = range(len(some))
    columns = [
        tokenize(pa.array(some, pa.string())),
        *(pa.array(numbers, kind.type) for kind in list(SPILL_SCHEMA)[1:]),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=SPILL_SCHEMA)


def listed(batches):
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


@settings(max_examples=40)
@given(batches, st.sampled_from([1, 3, 1000]), st.sets(st.integers(0, 29)))
def test_all_spilled_rows_but_the_dropped_ones_are_read(tmp_path_factory, rows, limit, drop):
    folder = Folder(str(tmp_path_factory.mktemp("spill")))
    before, spill.ROWS_PER_FILE = spill.ROWS_PER_FILE, limit
    try:
        writers = {task: SpillWriter(folder, task) for task in (0, 5)}
        row_ids = {task: [writer.append(rows_of(some)) for some in rows] for task, writer in writers.items()}
        for writer in writers.values():
            writer.close()
    finally:
        spill.ROWS_PER_FILE = before
    expected = listed(map(rows_of, rows))
    for task in (0, 5):
        of_task = np.concatenate([np.zeros(0, np.int64), *row_ids[task]])
        assert (task_of(of_task) == task).all()
        assert len(set(of_task.tolist())) == len(expected)
        drop_rows(folder, task, of_task[[number for number in drop if number < len(expected)]][::-1])
        found = listed(read_spilled(folder, task))
        assert found == [row for number, row in enumerate(expected) if number not in drop]


def test_rows_are_not_read_before_it_is_known_which_are_dropped(tmp_path):
    with pytest.raises(FileNotFoundError):
        list(read_spilled(Folder(str(tmp_path)), 1))


def test_a_retried_task_writes_the_same_files(tmp_path):
    contents = []
    for _ in range(2):
        writer = SpillWriter(Folder(str(tmp_path)), 3)
        writer.append(rows_of(["good", "not good"]))
        writer.close()
        contents.append({file.name: file.read_bytes() for file in (tmp_path / "0000003").iterdir()})
    assert contents[0] == contents[1]
    assert list(contents[0]) == ["0000000.arrow"]


def test_a_writer_without_rows_writes_no_file(tmp_path):
    SpillWriter(Folder(str(tmp_path)), 0).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", ["ROWS_PER_FILE", "BYTES_PER_FILE"])
def test_files_are_limited_in_rows_and_bytes(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(spill, limit, 2)
    writer = SpillWriter(Folder(str(tmp_path)), 0)
    for _ in range(3):
        writer.append(rows_of(["a b", "c"]))
    writer.close()
    assert len(list(tmp_path.glob("*/*"))) == 3
