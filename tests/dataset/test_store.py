"""Rows by their index, whichever chunk they are in and wherever it is stored."""

import os
import resource
import signal
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.dataset.dataset import open_dataset
from sentispark.dataset.manifest import Chunk, Manifest
from sentispark.dataset.readers import ArrowReader
from sentispark.dataset.store import MEMORY_BYTES, RowStore
from sentispark.errors import SetupError
from tests.helpers.by_hand import L, columns_of, error_of, parquet, put, write_by_hand


class CountingReader:
    """pyarrow's reader, and the files it has read."""

    name = "counting"

    def __init__(self):
        self.files = []

    def read(self, dataset, chunk):
        self.files.append(chunk.file)
        return ArrowReader().read(dataset, chunk)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("store") / "dataset"
    return open_dataset(str(write_by_hand(folder, chunk_rows=(3, 5, 1, 7), weighted=True)))


ROWS = 16
ascending_rows = st.lists(st.integers(0, ROWS - 1), max_size=ROWS, unique=True).map(sorted)


class TestRows:
    """Which rows are returned, and when their chunks are read."""

    @given(takes=st.lists(ascending_rows, max_size=4), memory_bytes=st.sampled_from([0, 100, 1 << 20]))
    def test_taking_rows_equals_indexing_the_whole_split(self, dataset, takes, memory_bytes):
        whole = columns_of(0, ROWS, weighted=True)
        with RowStore(dataset, "train", ArrowReader(), memory_bytes=memory_bytes) as store:
            assert len(store) == ROWS
            for rows in takes:
                taken = store.take(np.array(rows, np.int64))
                for name, column in taken._asdict().items():
                    assert column.tolist() == [whole[name].to_pylist()[row] for row in rows], name
                assert store.lengths(np.array(rows, np.int64)).tolist() == taken.length.tolist()

    @given(takes=st.lists(ascending_rows, max_size=4))
    def test_a_chunk_is_read_once_and_only_when_a_row_of_it_is_asked_for(self, dataset, takes):
        counting = CountingReader()
        with RowStore(dataset, "train", counting) as store:
            for rows in takes:
                store.take(np.array(rows, np.int64))
        chunk_of_row = [0] * 3 + [1] * 5 + [2] * 1 + [3] * 7
        needed = {chunk_of_row[row] for rows in takes for row in rows}
        assert sorted(counting.files) == [f"train/chunk-{number:06d}.parquet" for number in sorted(needed)]

    @pytest.mark.parametrize("rows", [[], [0, 8, 15]])
    def test_the_types_are_those_of_the_chunks_even_without_a_row(self, dataset, rows):
        with RowStore(dataset, "train", ArrowReader()) as store:
            taken = store.take(np.array(rows, np.int64))
        assert [column.dtype for column in taken] == [np.int16, np.int32, np.int32, np.float64]
        assert taken.sequence.shape == (len(rows), L)

    def test_a_split_without_rows_has_nothing_to_take(self, dataset):
        with RowStore(dataset, "validation", ArrowReader()) as store:
            assert len(store) == 0
            assert store.take(np.zeros(0, np.int64)).sequence.shape == (0, L)

    def test_a_row_beyond_the_end_is_an_error_and_not_fewer_rows(self, dataset):
        with RowStore(dataset, "train", ArrowReader()) as store, pytest.raises(IndexError, match="from 0 to 15"):
            store.take(np.array([ROWS - 1, ROWS]))


ROW_BYTES = L * 2 + 4 + 4 + 8
linux = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="asks Linux for this process's open files")


def open_files(folder):
    """The state of each file below a folder that this process has open, whether it has a name or not."""
    links = [link for link in Path("/proc/self/fd").iterdir() if os.path.lexists(link)]
    return [os.stat(link) for link in links if os.readlink(link).startswith(f"{folder}/")]


def bytes_in_files(folder):
    """The bytes written to those files; their unwritten parts take no space."""
    return sum(512 * blocks for blocks in {file.st_ino: file.st_blocks for file in open_files(folder)}.values())


@pytest.fixture
def disk(tmp_path, monkeypatch):
    """The temporary folder of this process, with nothing in it."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@linux
class TestMemoryAndFiles:
    """Memory is filled first, up to its limit; further chunks are in files that need no clean-up."""

    @pytest.mark.parametrize("memory_bytes", [0, 8 * ROW_BYTES, 1 << 20])
    def test_nothing_is_ever_left_on_the_disk(self, dataset, disk, memory_bytes):
        with RowStore(dataset, "train", ArrowReader(), memory_bytes=memory_bytes) as store:
            store.take(np.arange(ROWS))
            assert list(disk.iterdir()) == []  # so the file is not left behind even if the process is killed here
        del store
        assert open_files(disk) == []

    def test_chunks_in_memory_are_in_no_file(self, dataset, disk):
        with RowStore(dataset, "train", ArrowReader()) as store:
            store.take(np.arange(ROWS))
            assert open_files(disk) == []

    def test_memory_is_filled_before_files_are(self, dataset, disk):
        with RowStore(dataset, "train", ArrowReader(), memory_bytes=8 * ROW_BYTES) as store:
            store.take(np.arange(8))  # the chunks of three and five rows
            assert bytes_in_files(disk) == 0
            store.take(np.array([8]))
            assert bytes_in_files(disk) > 0

    def test_the_number_of_open_files_does_not_grow_with_the_chunks(self, tmp_path, disk):
        dataset = open_dataset(write_by_hand(str(tmp_path / "dataset"), chunk_rows=[1] * 30))
        counts = set()
        with RowStore(dataset, "train", ArrowReader(), memory_bytes=0) as store:
            for row in range(30):
                store.take(np.array([row]))
                counts.add(len(open_files(disk)))
        assert len(counts) == 1

    def test_a_chunk_that_was_not_asked_for_takes_no_room(self, tmp_path, disk):
        dataset = write_padding(tmp_path / "dataset", chunks=4, rows=5_000, sequence_length=92)
        used = []
        with RowStore(dataset, "train", ArrowReader(), memory_bytes=0) as store:
            for chunk in (1, 3, 0):
                store.load(5_000 * chunk, 5_000 * chunk + 1)
                used.append(bytes_in_files(disk))
        assert used == pytest.approx([1_000_000, 2_000_000, 3_000_000], rel=0.1)  # 200 bytes a row

    def test_a_full_disk_is_reported_in_one_sentence(self, dataset, disk):
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROWS, limits[1]))  # a limit on file sizes stands in for a full disk
        try:
            with RowStore(dataset, "train", ArrowReader(), memory_bytes=0) as store:
                text = error_of(SetupError, store.take, np.array([0]))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, handler)
        assert text.startswith(f"'{disk}' must have room for a rank's rows. They cannot be written there: ")
        assert text.endswith(". Free some space, or set TMPDIR to a folder on a larger disk.")

    def test_memory_does_not_grow_with_the_rows(self, tmp_path, disk):
        rows, sequence_length = 10_000, 392  # eight megabytes a chunk
        dataset = write_padding(tmp_path / "dataset", chunks=12, rows=rows, sequence_length=sequence_length)
        with RowStore(dataset, "train", ArrowReader(), memory_bytes=0) as store:
            before = pa.total_allocated_bytes()
            tracemalloc.start()
            store.load(0, len(store))
            held = tracemalloc.get_traced_memory()[0] + pa.total_allocated_bytes() - before  # NumPy's and Arrow's
            tracemalloc.stop()
        assert held < 8_000_000

    def test_the_default_memory_limit_fits_a_host_with_several_ranks(self):
        assert MEMORY_BYTES == 256 * 1024 * 1024


def write_padding(folder, *, chunks, rows, sequence_length):
    """A dataset in which every id is 0, of `sequence_length` · 2 + 16 bytes a row."""
    zeros = pa.array(np.zeros(rows, np.int32))
    offsets = pa.array(np.arange(rows + 1, dtype=np.int32) * sequence_length)
    ids = pa.ListArray.from_arrays(offsets, pa.array(np.zeros(rows * sequence_length, np.int16)))
    content = parquet({"sequence": ids, "length": zeros, "label": zeros})
    files = [f"train/chunk-{number:06d}.parquet" for number in range(chunks)]
    for file in files:
        put(folder, file, content)
    manifest = Manifest(
        sequence_length=sequence_length,
        vocabulary_size=2,
        vocabulary_fingerprint=None,
        weighted=False,
        chunks=tuple(Chunk("train", file, rows, (rows, 0), float(rows), len(content)) for file in files),
    )
    put(folder, "_manifest.json", manifest.to_json().encode())
    return open_dataset(folder)
