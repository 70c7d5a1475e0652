"""The Parquet files of chunks compared with what pyarrow, Spark and Polars read, and with what pyarrow writes."""

import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentispark.dataset.parquet import parquet_bytes


def table_of(sequence, columns):
    """The same rows as an Arrow table."""
    element = pa.field("element", pa.from_numpy_dtype(sequence.dtype), nullable=False)
    offsets = pa.array(np.arange(len(sequence) + 1, dtype=np.int32) * sequence.shape[1])
    lists = pa.ListArray.from_arrays(offsets, pa.array(sequence.ravel()), type=pa.list_(element))
    arrays = {"sequence": lists, **{name: pa.array(values) for name, values in columns.items()}}
    schema = pa.schema([pa.field(name, array.type, nullable=False) for name, array in arrays.items()])
    return pa.Table.from_arrays(list(arrays.values()), schema=schema)


def made(rows, length, dtype, weighted=True, seed=0):
    rng = np.random.default_rng(seed)
    sequence = rng.integers(np.iinfo(dtype).min, np.iinfo(dtype).max, (rows, length), dtype, endpoint=True)
    columns = {"length": rng.integers(0, length + 1, rows, np.int32), "label": rng.integers(0, 2, rows, np.int32)}
    return sequence, columns | ({"weight": rng.random(rows)} if weighted else {})


@settings(max_examples=60)
@given(
    st.integers(1, 300),
    st.sampled_from([1, 2, 3, 100, 127, 128, 129, 400, 5000]),
    st.sampled_from([np.int16, np.int32]),
    st.booleans(),
    st.integers(0, 9),
)
def test_pyarrow_reads_the_rows_and_the_types_that_were_written(rows, length, dtype, weighted, seed):
    sequence, columns = made(rows, length, dtype, weighted, seed)
    content = parquet_bytes(sequence, columns)
    table = pq.read_table(io.BytesIO(content))
    expected = table_of(sequence, columns)
    assert table.schema == expected.schema
    assert table.equals(expected)


def test_the_footer_equals_that_of_a_file_written_by_pyarrow():
    sequence, columns = made(3000, 400, np.int16)
    stream = io.BytesIO()
    options = {"compression": "zstd", "use_dictionary": False, "write_statistics": False, "store_schema": False}
    pq.write_table(table_of(sequence, columns), stream, **options)
    theirs, ours = (
        pq.ParquetFile(io.BytesIO(content)) for content in (stream.getvalue(), parquet_bytes(sequence, columns))
    )
    assert str(ours.schema).split("\n")[1:] == str(theirs.schema).split("\n")[1:]
    assert (ours.metadata.num_rows, ours.metadata.num_row_groups) == (3000, 1)
    for place in range(4):
        one, other = (file.metadata.row_group(0).column(place) for file in (ours, theirs))
        for name in ("path_in_schema", "physical_type", "num_values", "compression"):
            assert getattr(one, name) == getattr(other, name)
    assert ours.read(use_threads=False).equals(theirs.read(use_threads=False))


def test_rows_are_read_in_batches_and_in_parts_across_pages():
    sequence, columns = made(2000, 400, np.int16)  # three full pages and a partial one
    file = pq.ParquetFile(io.BytesIO(parquet_bytes(sequence, columns)))
    batches = list(file.iter_batches(batch_size=333, columns=["sequence", "label"]))
    assert pa.Table.from_batches(batches).equals(table_of(sequence, columns).select(["sequence", "label"]))


def test_a_list_of_more_than_a_page_is_a_page_of_its_own():
    sequence, columns = made(3, 300_000, np.int32)
    assert pq.read_table(io.BytesIO(parquet_bytes(sequence, columns))).equals(table_of(sequence, columns))


@pytest.mark.modern
def test_spark_reads_the_same_rows(spark, tmp_path):
    sequence, columns = made(1500, 400, np.int16)
    (tmp_path / "chunk.parquet").write_bytes(parquet_bytes(sequence, columns))
    frame = spark.read.parquet(str(tmp_path))
    assert dict(frame.dtypes) == {"sequence": "array<smallint>", "length": "int", "label": "int", "weight": "double"}
    rows = frame.collect()
    assert [row.sequence for row in rows] == sequence.tolist()
    assert [row.label for row in rows] == columns["label"].tolist()


def test_polars_reads_the_same_rows(tmp_path):
    polars = pytest.importorskip("polars")
    sequence, columns = made(1500, 400, np.int16)
    frame = polars.read_parquet(io.BytesIO(parquet_bytes(sequence, columns)))
    assert frame["sequence"].to_list() == sequence.tolist()
    assert frame["weight"].to_list() == columns["weight"].tolist()
