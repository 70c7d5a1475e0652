"""Chunks of Parquet to NumPy arrays, every row checked against the file's footer and the manifest.

Petastorm reads if it can run; otherwise (with pyarrow 15 or later, or NumPy 2) pyarrow does. A chunk's file is loaded
into memory once, whole, so what was checked is what is read, on any file system that fsspec supports.
"""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sentispark.dataset.dataset import Dataset
from sentispark.dataset.manifest import Chunk, Manifest
from sentispark.errors import DatasetError, OptionError, SetupError

__all__ = ["READERS", "ArrowReader", "ChunkArrays", "PetastormReader", "Reader", "choose_reader"]

READERS = ("auto", "petastorm", "arrow")

_log = logging.getLogger(__name__)


class ChunkArrays(NamedTuple):
    """The rows of a chunk, in order.

    Attributes
    ----------
    sequence : ndarray of shape (n, L), dtype=int16 or int32
    length : ndarray of shape (n,), dtype=int32
    label : ndarray of shape (n,), dtype=int32
    weight : ndarray of shape (n,), dtype=float64
        All 1 if the dataset has no weights.
    """

    sequence: np.ndarray
    length: np.ndarray
    label: np.ndarray
    weight: np.ndarray


class Reader(Protocol):
    """Reads a dataset's chunks."""

    name: str

    def read(self, dataset: Dataset, chunk: Chunk) -> ChunkArrays:
        """All rows of one chunk. Raises `DatasetError` if they do not match the manifest."""


class PetastormReader:
    """Reads with `petastorm.reader.Reader`, one per chunk, in the calling thread."""

    name = "petastorm"

    def read(self, dataset: Dataset, chunk: Chunk) -> ChunkArrays:
        """All rows of one chunk; see `Reader`."""
        return _read(dataset, chunk, self._table)

    def _table(self, file: pq.ParquetFile, content: pa.Buffer, columns: Sequence[str]) -> pa.Table:
        from sentispark.dataset.petastorm_table import petastorm_table

        # Petastorm refuses a file without row groups.
        groups = file.num_row_groups
        return petastorm_table(content, columns, groups) if groups else file.schema_arrow.empty_table()


class ArrowReader:
    """Reads with pyarrow."""

    name = "arrow"

    def read(self, dataset: Dataset, chunk: Chunk) -> ChunkArrays:
        """All rows of one chunk; see `Reader`."""
        return _read(dataset, chunk, self._table)

    def _table(self, file: pq.ParquetFile, content: pa.Buffer, columns: Sequence[str]) -> pa.Table:
        return file.read(columns=list(columns))


def choose_reader(name: str) -> Reader:
    """The reader of that name; "auto" is Petastorm if it can run, else pyarrow, and the log says why.

    Raises
    ------
    OptionError
        If the name is unknown.
    SetupError
        If Petastorm is requested and cannot run here.
    """
    if name not in READERS:
        raise OptionError(f"'reader' must be one of {', '.join(READERS)}. Got {name!r}.")
    if name == "arrow":
        return ArrowReader()
    obstacle = _petastorm_obstacle()
    if name == "petastorm" and obstacle:
        raise SetupError(f"The Petastorm reader cannot run here: {obstacle}. Use reader 'arrow'.")
    if name == "auto" and obstacle:
        _log.info("Reading with pyarrow instead of Petastorm: %s.", obstacle)
        return ArrowReader()
    if name == "auto":
        _log.info("Reading with Petastorm: it is installed, and pyarrow %s and NumPy %s suit it.", *_versions())
    return PetastormReader()


def _versions() -> tuple[str, str]:
    return pa.__version__, np.__version__


def _petastorm_obstacle() -> str | None:
    if importlib.util.find_spec("petastorm") is None:
        return "petastorm is not installed"
    arrow, numpy = _versions()
    if int(arrow.split(".")[0]) >= 15:
        return f"petastorm works with pyarrow below 15, and {arrow} is installed"
    if int(numpy.split(".")[0]) >= 2:
        return f"petastorm works with NumPy below 2, and {numpy} is installed"
    return None


class _TableOf(Protocol):
    def __call__(self, file: pq.ParquetFile, content: pa.Buffer, columns: Sequence[str]) -> pa.Table:
        """The named columns of all rows of an opened file, whose bytes are `content`."""


def _read(dataset: Dataset, chunk: Chunk, table_of: _TableOf) -> ChunkArrays:
    """The rows that a reader returns for a chunk, after all checks."""
    path, manifest = dataset.folder.path(chunk.file), dataset.manifest
    types = _column_types(manifest)
    content = _content(dataset, chunk)
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            if fault := _footer_fault(file, chunk, types):
                raise DatasetError(f"'{path}' must {fault} Prepare the dataset again.")
            table = table_of(file, content, list(types))
    except DatasetError:
        raise
    except Exception as error:  # each reader has errors of its own for a damaged file
        raise DatasetError(
            f"'{path}' must be a Parquet file. It cannot be read: {error!r}. Prepare the dataset again."
        ) from error
    if table.num_rows != chunk.rows:
        raise DatasetError(
            f"'{path}' must have {chunk.rows} rows. The reader returned {table.num_rows}. Read it again."
        )
    if fault := _form_fault(table, manifest):
        raise DatasetError(f"'{path}' must {fault} Prepare the dataset again.")
    arrays = _arrays(table, manifest)
    if fault := _value_fault(arrays, chunk, manifest):
        raise DatasetError(f"'{path}' must {fault} Prepare the dataset again.")
    return arrays


def _content(dataset: Dataset, chunk: Chunk) -> pa.Buffer:
    """The bytes of a chunk's file, which has the size that the manifest states."""
    try:
        content = dataset.folder.read(chunk.file)
    except FileNotFoundError:
        content = None
    except Exception as error:  # each file system has errors of its own
        path = dataset.folder.path(chunk.file)
        raise DatasetError(f"'{path}' must be readable. It is not: {error!r}. Check the file system.") from error
    dataset.require_size(chunk, None if content is None else len(content))
    return pa.py_buffer(content)


def _column_types(manifest: Manifest) -> dict[str, pa.DataType]:
    ids = pa.type_for_alias(manifest.id_type)
    types = {"sequence": pa.list_(ids), "length": pa.int32(), "label": pa.int32()}
    return types | ({"weight": pa.float64()} if manifest.weighted else {})


def _footer_fault(file: pq.ParquetFile, chunk: Chunk, types: dict[str, pa.DataType]) -> str | None:
    """What is wrong with the footer, as the rest of a sentence that begins "'…' must"; None if nothing is."""
    rows, schema = file.metadata.num_rows, file.schema_arrow
    if rows != chunk.rows:
        return f"hold {chunk.rows} rows, as the manifest says. It holds {rows}."
    for name, wanted in types.items():
        number = schema.get_field_index(name)  # -1 too if there are several
        found = "none" if number < 0 else f"one of {_type_name(schema.field(number).type)}"
        if found != f"one of {_type_name(wanted)}":
            return f"have a column '{name}' of {_type_name(wanted)}. It has {found}."
    return None


def _type_name(of: pa.DataType) -> str:
    """A type in words, without the names that writers give to the elements of lists."""
    return f"lists of {of.value_type}" if pa.types.is_list(of) else str(of)


def _form_fault(table: pa.Table, manifest: Manifest) -> str | None:
    """Why the rows cannot become arrays, as in `_footer_fault`."""
    for name in table.column_names:
        column = table[name]
        nulls = column.null_count + (pc.list_flatten(column).null_count if name == "sequence" else 0)
        if nulls:
            return f"hold no empty values. Its column '{name}' holds {nulls}."
    lengths = pc.min_max(pc.list_value_length(table["sequence"])).as_py()
    for found in lengths.values() if table.num_rows else ():
        if found != manifest.sequence_length:
            return f"hold sequences of {manifest.sequence_length} ids. It holds one of {found}."
    return None


def _arrays(table: pa.Table, manifest: Manifest) -> ChunkArrays:
    sequence = _flat(pc.list_flatten(table["sequence"])).reshape(-1, manifest.sequence_length)
    weight = _flat(table["weight"]) if manifest.weighted else np.ones(table.num_rows)
    return ChunkArrays(sequence, _flat(table["length"]), _flat(table["label"]), weight)


def _flat(column: pa.ChunkedArray) -> np.ndarray:
    """The values of a column without nulls; not copied if they are contiguous."""
    parts = [part.to_numpy() for part in column.chunks]
    return parts[0] if len(parts) == 1 else np.concatenate([np.zeros(0, column.type.to_pandas_dtype()), *parts])


def _value_fault(arrays: ChunkArrays, chunk: Chunk, manifest: Manifest) -> str | None:
    """What is wrong with the values, as in `_footer_fault`."""
    limits = {
        "sequence": manifest.vocabulary_size - 1,
        "length": manifest.sequence_length,
        "label": len(manifest.label_names) - 1,
    }
    for name, limit in limits.items():
        values = getattr(arrays, name)
        if values.size and (values.min() < 0 or values.max() > limit):
            wrong = values.min() if values.min() < 0 else values.max()
            return f"hold values from 0 to {limit} in its column '{name}'. It holds {wrong}."
    counts, weight = np.bincount(arrays.label, minlength=len(manifest.label_names)), float(arrays.weight.sum())
    for label, (found, expected) in enumerate(zip(counts.tolist(), chunk.label_counts, strict=True)):
        if found != expected:
            return f"hold {expected} rows with label {label}, as the manifest says. It holds {found}."
    if not np.isclose(weight, chunk.weight):
        return f"hold weights of {chunk.weight:g} in all, as the manifest says. They are {weight:g}."
    return None
