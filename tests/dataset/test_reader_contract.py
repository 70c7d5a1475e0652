"""What every reader returns, here and on S3: all rows of a chunk in order, or an error that names the file."""

import contextlib
import logging
import sys

import numpy as np
import pyarrow as pa
import pytest

from sentispark.dataset.dataset import open_dataset
from sentispark.dataset.readers import ArrowReader, PetastormReader, choose_reader
from sentispark.dataset.store import RowStore
from sentispark.errors import DatasetError, OptionError, SetupError
from tests.helpers.by_hand import (
    CHUNK_ROWS,
    FIRST_FILE,
    columns_of,
    delete,
    error_of,
    get,
    parquet,
    put,
    replace_chunk,
    write_by_hand,
)

INT16_LISTS = pa.list_(pa.int16())


def reader_or_skip(name):
    try:
        return choose_reader(name)
    except SetupError as obstacle:
        pytest.skip(str(obstacle))


@pytest.fixture(params=["petastorm", "arrow"])
def reader(request):
    return reader_or_skip(request.param)


@pytest.fixture(params=["here", "s3"])
def root(request, tmp_path):
    """A path or URL below which there is nothing."""
    return request.getfixturevalue("s3") if request.param == "s3" else str(tmp_path)


@pytest.fixture
def folder(root):
    return write_by_hand(f"{root}/dataset")


def read_all(dataset, reader):
    return [reader.read(dataset, chunk) for chunk in dataset.manifest.chunks_of("train")]


def error_of_first(reader, folder, dataset=None):
    """The error of reading the first chunk, without the chunk's name, which must come first."""
    dataset = dataset or open_dataset(folder)
    text = error_of(DatasetError, reader.read, dataset, dataset.manifest.chunks[0])
    named = f"'{folder.removeprefix('s3://')}/{FIRST_FILE}' must "
    assert text.startswith(named)
    return text.removeprefix(named)


def replace_columns(folder, **columns):
    """Write the first chunk, of three rows, with other columns; None removes one."""
    changed = {name: column for name, column in (columns_of(0, 3) | columns).items() if column is not None}
    replace_chunk(folder, parquet(changed))


class TestRows:
    """Every row once, in the order of the file."""

    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("row_group_size", [None, 2])
    def test_the_arrays_are_the_rows_as_written(self, root, reader, weighted, row_group_size):
        folder = write_by_hand(f"{root}/dataset", weighted=weighted, row_group_size=row_group_size)
        first = 0
        for rows, arrays in zip(CHUNK_ROWS, read_all(open_dataset(folder), reader), strict=True):
            numbers = list(range(first, first + rows))
            assert arrays.sequence.tolist() == [[i] * (i % 5) + [0] * (4 - i % 5) for i in numbers]
            assert arrays.length.tolist() == [i % 5 for i in numbers]
            assert arrays.label.tolist() == [i % 3 // 2 for i in numbers]
            assert arrays.weight.tolist() == [i / 4 if weighted else 1 for i in numbers]
            assert [column.dtype for column in arrays] == [np.int16, np.int32, np.int32, np.float64]
            first += rows

    def test_read_again_a_chunk_is_the_same(self, folder, reader):
        dataset = open_dataset(folder)
        for once, again in zip(read_all(dataset, reader), read_all(dataset, reader), strict=True):
            for column, same in zip(once, again, strict=True):
                np.testing.assert_array_equal(column, same, strict=True)

    def test_a_store_has_the_rows_wherever_the_dataset_is(self, folder, reader):
        with RowStore(open_dataset(folder), "train", reader, memory_bytes=0) as store:
            assert store.take(np.array([0, 4, 9])).sequence.tolist() == [[0, 0, 0, 0], [4, 4, 4, 4], [9, 9, 9, 9]]

    @pytest.mark.parametrize("name", ["with blank", "50%20", "[a]", "{b}", "ré", "a#1", "why?", "c+d", "e*", "f=g"])
    def test_a_folder_with_odd_characters_in_its_name(self, tmp_path, reader, name):
        dataset = open_dataset(write_by_hand(f"{tmp_path}/{name}"))
        assert [len(arrays.length) for arrays in read_all(dataset, reader)] == list(CHUNK_ROWS)

    def test_further_columns_are_ignored_silently(self, folder, reader, recwarn):
        replace_columns(folder, text=pa.array(["a", "b", "c"]), nested=pa.array([[[1]], [[2]], [[3]]]))
        dataset = open_dataset(folder)
        assert reader.read(dataset, dataset.manifest.chunks[0]).length.tolist() == [0, 1, 2]
        assert [str(warning.message) for warning in recwarn] == []

    @pytest.mark.parametrize("row_group_size", [None, 10])
    def test_a_chunk_without_rows_is_valid_if_the_manifest_says_so(self, folder, reader, row_group_size):
        empty = parquet(columns_of(0, 0), row_group_size=row_group_size)
        replace_chunk(folder, empty, rows=0, positives=0, weight=0.0)
        dataset = open_dataset(folder)
        arrays = reader.read(dataset, dataset.manifest.chunks[0])
        assert arrays.sequence.shape == (0, 4)
        assert [column.dtype for column in arrays] == [np.int16, np.int32, np.int32, np.float64]


class TestCounts:
    """Fewer rows or other rows are an error, wherever they were lost."""

    @pytest.mark.parametrize("rows", [0, 1, 2, 4])
    def test_a_footer_with_more_or_fewer_rows_than_the_manifest(self, folder, reader, rows):
        replace_chunk(folder, parquet(columns_of(0, rows)))
        assert error_of_first(reader, folder) == (
            f"hold 3 rows, as the manifest says. It holds {rows}. Prepare the dataset again."
        )

    def test_other_labels_than_the_manifest_counted(self, folder, reader):
        replace_columns(folder, label=pa.array([1, 1, 0], pa.int32()))
        assert error_of_first(reader, folder) == (
            "hold 2 rows with label 0, as the manifest says. It holds 1. Prepare the dataset again."
        )

    @pytest.mark.parametrize(("weights", "total"), [([1.0, 2.0, 3.0], "6"), ([0.0, 0.75, float("nan")], "nan")])
    def test_other_weights_than_the_manifest_added_up(self, root, reader, weights, total):
        folder = write_by_hand(f"{root}/dataset", weighted=True)
        replace_columns(folder, weight=pa.array(weights, pa.float64()))
        assert error_of_first(reader, folder) == (
            f"hold weights of 0.75 in all, as the manifest says. They are {total}. Prepare the dataset again."
        )

    @pytest.mark.parametrize(("row_group_size", "left"), [(None, 0), (1, 2)])
    def test_petastorm_ending_early_is_an_error(self, root, monkeypatch, row_group_size, left):
        reader_or_skip("petastorm")
        import petastorm.reader

        class EndsEarly(petastorm.reader.Reader):
            """Petastorm's reader as observed on a loaded machine: it does not return its last row group."""

            def __iter__(self):
                tables = []
                with contextlib.suppress(StopIteration):
                    while True:
                        tables.append(self.__next__())
                return iter(tables[:-1])

        monkeypatch.setattr("petastorm.reader.Reader", EndsEarly)
        folder = write_by_hand(f"{root}/dataset", row_group_size=row_group_size)
        assert error_of_first(PetastormReader(), folder) == f"have 3 rows. The reader returned {left}. Read it again."

    def test_petastorms_report_that_all_work_is_done_is_not_trusted(self, folder, monkeypatch):
        reader = reader_or_skip("petastorm")
        # What a pool finds if it looks for work, is suspended, and then checks whether more will come.
        monkeypatch.setattr("petastorm.reader.ConcurrentVentilator.completed", lambda self: True)
        assert [len(arrays.length) for arrays in read_all(open_dataset(folder), reader)] == list(CHUNK_ROWS)


class TestChangedFiles:
    """A file that is not the one the dataset was opened with."""

    def test_a_missing_file(self, folder, reader):
        dataset = open_dataset(folder)
        delete(folder, FIRST_FILE)
        assert error_of_first(reader, folder, dataset) == (
            "be as it was written. It is missing. Prepare the dataset again."
        )

    @pytest.mark.parametrize("content", [b"", b"PAR1"])
    def test_of_another_size(self, folder, reader, content):
        dataset = open_dataset(folder)
        size = dataset.manifest.chunks[0].size
        put(folder, FIRST_FILE, content)
        assert error_of_first(reader, folder, dataset) == (
            f"be as it was written. It is {len(content)} bytes long instead of {size}. Prepare the dataset again."
        )

    def test_of_the_same_size_with_other_rows(self, folder, reader):
        dataset = open_dataset(folder)
        content = parquet(columns_of(0, 3) | {"label": pa.array([1, 0, 1], pa.int32())})
        assert len(content) == dataset.manifest.chunks[0].size
        put(folder, FIRST_FILE, content)
        assert error_of_first(reader, folder, dataset) == (
            "hold 2 rows with label 0, as the manifest says. It holds 1. Prepare the dataset again."
        )

    @pytest.mark.parametrize("content", [b"", b"x", b"x" * 1000])
    def test_not_a_parquet_file(self, folder, reader, content):
        replace_chunk(folder, content)
        text = error_of_first(reader, folder)
        assert text.startswith("be a Parquet file. It cannot be read: ")
        assert text.endswith("Prepare the dataset again.")

    def test_overwritten_pages_with_an_intact_footer(self, folder, reader):
        content = bytearray(get(folder, FIRST_FILE))
        content[4:100] = b"\xff" * 96
        put(folder, FIRST_FILE, bytes(content))
        assert error_of_first(reader, folder)


class TestForm:
    """Columns of other types, or values that no prepared review has."""

    @pytest.mark.parametrize(
        ("column", "of", "fault"),
        [
            ("sequence", None, "'sequence' of lists of int16. It has none."),
            ("length", None, "'length' of int32. It has none."),
            ("label", None, "'label' of int32. It has none."),
            ("label", pa.array(["0", "0", "1"]), "'label' of int32. It has one of string."),
            ("label", pa.array([0.0, 0.0, 1.0]), "'label' of int32. It has one of double."),
            ("length", pa.array([0, 1, 2]), "'length' of int32. It has one of int64."),
            ("sequence", pa.array([0, 1, 2], pa.int16()), "'sequence' of lists of int16. It has one of int16."),
            ("sequence", pa.array([[0] * 4] * 3), "'sequence' of lists of int16. It has one of lists of int64."),
        ],
    )
    def test_a_column_that_is_missing_or_of_another_type(self, folder, reader, column, of, fault):
        replace_columns(folder, **{column: of})
        assert error_of_first(reader, folder) == f"have a column {fault} Prepare the dataset again."

    def test_weights_that_the_manifest_promises_and_the_chunk_lacks(self, root, reader):
        folder = write_by_hand(f"{root}/dataset", weighted=True)
        replace_columns(folder)
        assert error_of_first(reader, folder) == (
            "have a column 'weight' of double. It has none. Prepare the dataset again."
        )

    @pytest.mark.parametrize(
        ("sequences", "found"),
        [
            ([[0] * 6, [1] * 6, [2] * 6], 6),
            ([[1], [2, 2], [3] * 9], 1),  # twelve ids, as three rows of four have
            ([[0] * 4, [1] * 4, [2] * 5], 5),
            ([[], [], []], 0),
        ],
    )
    def test_sequences_of_another_length(self, folder, reader, sequences, found):
        replace_columns(folder, sequence=pa.array(sequences, INT16_LISTS))
        assert error_of_first(reader, folder) == (
            f"hold sequences of 4 ids. It holds one of {found}. Prepare the dataset again."
        )

    @pytest.mark.parametrize(
        ("column", "values"),
        [
            ("sequence", pa.array([[0] * 4, None, [2] * 4], INT16_LISTS)),
            ("sequence", pa.array([[0] * 4, [1, None, 1, 1], [2] * 4], INT16_LISTS)),
            ("length", pa.array([0, None, 2], pa.int32())),
            ("label", pa.array([0, None, 1], pa.int32())),
        ],
    )
    def test_empty_values(self, folder, reader, column, values):
        replace_columns(folder, **{column: values})
        assert error_of_first(reader, folder) == (
            f"hold no empty values. Its column '{column}' holds 1. Prepare the dataset again."
        )

    @pytest.mark.parametrize(
        ("column", "values", "limit", "wrong"),
        [
            ("sequence", pa.array([[0] * 4, [1] * 4, [99, 100, 0, 0]], INT16_LISTS), 99, 100),
            ("sequence", pa.array([[0] * 4, [1] * 4, [99, -1, 0, 0]], INT16_LISTS), 99, -1),
            ("length", pa.array([0, 1, 5], pa.int32()), 4, 5),
            ("length", pa.array([0, -1, 2], pa.int32()), 4, -1),
            ("label", pa.array([0, -1, 2], pa.int32()), 1, -1),  # as many as one positive, added up
            ("label", pa.array([0, 0, 2], pa.int32()), 1, 2),
        ],
    )
    def test_values_out_of_range(self, folder, reader, column, values, limit, wrong):
        replace_columns(folder, **{column: values})
        assert error_of_first(reader, folder) == (
            f"hold values from 0 to {limit} in its column '{column}'. It holds {wrong}. Prepare the dataset again."
        )


class TestChooseReader:
    """The reader by its name, and Petastorm first where it can run."""

    def test_a_named_reader_is_chosen_without_a_log_line(self, caplog):
        with caplog.at_level(logging.INFO):
            assert isinstance(choose_reader("arrow"), ArrowReader)
            assert isinstance(reader_or_skip("petastorm"), PetastormReader)
        assert caplog.messages == []

    def test_auto_is_petastorm_if_it_can_run_and_logs_so_once(self, caplog):
        reader_or_skip("petastorm")
        with caplog.at_level(logging.INFO):
            assert choose_reader("auto").name == "petastorm"
        assert caplog.messages == [
            f"Reading with Petastorm: it is installed, and pyarrow {pa.__version__} and NumPy {np.__version__} suit it."
        ]

    def test_auto_is_arrow_if_petastorm_cannot_run_and_logs_why_once(self, caplog, monkeypatch):
        pytest.importorskip("petastorm", exc_type=ImportError)
        monkeypatch.setattr(pa, "__version__", "15.0.0")
        with caplog.at_level(logging.INFO):
            assert choose_reader("auto").name == "arrow"
        assert caplog.messages == [
            "Reading with pyarrow instead of Petastorm: petastorm works with pyarrow below 15, and 15.0.0 is installed."
        ]

    def test_auto_is_arrow_if_petastorm_is_not_installed(self, caplog, monkeypatch):
        monkeypatch.setattr("sys.path", [])
        monkeypatch.delitem(sys.modules, "petastorm", raising=False)
        with caplog.at_level(logging.INFO):
            assert choose_reader("auto").name == "arrow"
        assert caplog.messages == ["Reading with pyarrow instead of Petastorm: petastorm is not installed."]

    @pytest.mark.parametrize(
        ("module", "version", "obstacle"),
        [
            (pa, "15.0.0", "petastorm works with pyarrow below 15, and 15.0.0 is installed"),
            (np, "2.1.0", "petastorm works with NumPy below 2, and 2.1.0 is installed"),
        ],
    )
    def test_petastorm_that_cannot_run_is_an_error(self, monkeypatch, module, version, obstacle):
        pytest.importorskip("petastorm", exc_type=ImportError)
        monkeypatch.setattr(np, "__version__", "1.26.0")
        monkeypatch.setattr(pa, "__version__", "14.0.0")
        monkeypatch.setattr(module, "__version__", version)
        assert error_of(SetupError, choose_reader, "petastorm") == (
            f"The Petastorm reader cannot run here: {obstacle}. Use reader 'arrow'."
        )

    @pytest.mark.parametrize("name", ["pandas", "", "Arrow"])
    def test_an_unknown_reader_is_an_error(self, name):
        assert error_of(OptionError, choose_reader, name) == (
            f"'reader' must be one of auto, petastorm, arrow. Got '{name}'."
        )
