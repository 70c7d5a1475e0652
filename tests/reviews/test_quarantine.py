"""The quarantine writer returns or writes every record, and writes the same files when a task is retried."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sentispark.files import Folder
from sentispark.reviews import quarantine
from sentispark.reviews.quarantine import QuarantineWriter

SCHEMA = pa.schema(
    [
        ("text", pa.string()),
        ("rating", pa.float64()),
        ("reason", pa.string()),
        ("file", pa.string()),
        ("record", pa.string()),
        ("replaced", pa.int32()),
    ]
)


def batch_of(*rows):
    return pa.RecordBatch.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA)


BATCHES = [
    batch_of(("good", 5.0, None, None, None, 0), (None, None, "no text", "a", "{}", 2)),
    batch_of(("fine", 4.0, None, None, None, 1)),
    batch_of((None, None, "no rating", "a", "{1}", 0), (None, None, "no text", "b", "{2}", 3)),
]


def written(folder):
    writer = QuarantineWriter(Folder(str(folder)), task=7)
    given = [review["text"] for batch in BATCHES for review in writer.remove_unusable(batch).to_pylist()]
    writer.close()
    files = sorted(folder.glob("*.parquet"))
    return writer, given, {file.name: file.read_bytes() for file in files}, pa.concat_tables(map(pq.read_table, files))


@pytest.mark.parametrize(("file_bytes", "files"), [(1 << 20, 1), (1, 2)])
def test_every_record_is_returned_or_written_with_its_reason(tmp_path, monkeypatch, file_bytes, files):
    monkeypatch.setattr(quarantine, "_FILE_BYTES", file_bytes)
    writer, given, contents, table = written(tmp_path)
    assert given == ["good", "fine"]
    assert table.column_names == ["reason", "file", "record"]
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("no text", "a", "{}"),
        ("no rating", "a", "{1}"),
        ("no text", "b", "{2}"),
    ]
    assert len(contents) == files
    assert writer.reasons == {"no text": 2, "no rating": 1}
    assert (writer.rows_with_replaced, writer.characters_replaced) == (3, 6)
    assert written(tmp_path)[2] == contents


def test_a_task_without_unusable_records_writes_no_file(tmp_path):
    writer = QuarantineWriter(Folder(str(tmp_path)), task=0)
    assert writer.remove_unusable(BATCHES[1]).to_pydict() == {"text": ["fine"], "rating": [4.0]}
    writer.close()
    assert list(tmp_path.iterdir()) == []
