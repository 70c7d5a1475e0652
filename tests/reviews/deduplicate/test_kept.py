"""Reviews kept in files and read again, against the rows that were kept."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentispark.files import Folder
from sentispark.reviews.deduplicate import kept
from sentispark.reviews.deduplicate.kept import KEPT, KeptWriter, read_kept, task_of
from sentispark.text.kernels import tokenize

texts = st.lists(st.sampled_from(["good", "not", "日本", "x'y"]), max_size=4).map(" ".join)
batches = st.lists(st.lists(texts, max_size=5), max_size=6)


def rows_of(some):
    numbers = range(len(some))
    columns = [tokenize(pa.array(some, pa.string())), *(pa.array(numbers, kind.type) for kind in list(KEPT)[1:])]
    return pa.RecordBatch.from_arrays(columns, schema=KEPT)


def listed(batches):
    return [tuple(row.values()) for batch in batches for row in batch.to_pylist()]


@settings(max_examples=40)
@given(batches, st.sampled_from([1, 3, 1000]), st.sets(st.integers(0, 29)))
def test_the_rows_of_a_task_are_read_as_they_were_kept_but_for_the_dropped_ones(tmp_path_factory, rows, limit, drop):
    folder = Folder(str(tmp_path_factory.mktemp("kept")))
    held, kept.ROWS_PER_FILE = kept.ROWS_PER_FILE, limit
    try:
        writers = {task: KeptWriter(folder, task) for task in (0, 5)}
        places = {task: [writer.append(rows_of(some)) for some in rows] for task, writer in writers.items()}
        for writer in writers.values():
            writer.close()
    finally:
        kept.ROWS_PER_FILE = held
    expected = listed(map(rows_of, rows))
    for task in (0, 5):
        of_task = np.concatenate([np.zeros(0, np.int64), *places[task]])
        assert (task_of(of_task) == task).all()
        assert len(set(of_task.tolist())) == len(expected)
        dropped = np.sort(of_task[[number for number in drop if number < len(expected)]])
        found = listed(read_kept(folder, task, dropped))
        assert found == [row for number, row in enumerate(expected) if number not in drop]
    assert listed(read_kept(folder, 1, np.zeros(0, np.int64))) == []


def test_a_task_that_is_run_again_writes_the_same_files(tmp_path):
    contents = []
    for _ in range(2):
        writer = KeptWriter(Folder(str(tmp_path)), 3)
        writer.append(rows_of(["good", "not good"]))
        writer.close()
        contents.append({file.name: file.read_bytes() for file in (tmp_path / "0000003").iterdir()})
    assert contents[0] == contents[1]
    assert list(contents[0]) == ["0000000.arrow"]


def test_a_writer_that_got_nothing_writes_nothing(tmp_path):
    KeptWriter(Folder(str(tmp_path)), 0).close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("limit", ["ROWS_PER_FILE", "BYTES_PER_FILE"])
def test_a_file_ends_when_it_has_its_rows_or_its_bytes(tmp_path, monkeypatch, limit):
    monkeypatch.setattr(kept, limit, 2)
    writer = KeptWriter(Folder(str(tmp_path)), 0)
    for _ in range(3):
        writer.append(rows_of(["a b", "c"]))
    writer.close()
    assert len(list(tmp_path.glob("*/*"))) == 3
