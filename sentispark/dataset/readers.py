"""Chunks of Parquet to NumPy arrays, every row counted against the file's footer.

Petastorm is imported here and nowhere else. Where it cannot run (pyarrow 15 or later, NumPy 2), pyarrow alone reads.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sentispark.dataset.dataset import Dataset
from sentispark.dataset.manifest import Chunk
from sentispark.errors import DatasetError, OptionError, SentisparkError, SetupError

__all__ = ["READERS", "ArrowReader", "ChunkArrays", "PetastormReader", "Reader", "choose_reader"]

READERS = ("auto", "petastorm", "arrow")

_log = logging.getLogger(__name__)


class ChunkArrays(NamedTuple):
    """The rows of a chunk, in their order.

    Attributes
    ----------
    sequence : ndarray of shape (n, L), dtype=int16 or int32
    length : ndarray of shape (n,), dtype=int32
    label : ndarray of shape (n,), dtype=int32
    weight : ndarray of shape (n,), dtype=float64
        Ones where the dataset has no weights.
    """

    sequence: np.ndarray
    length: np.ndarray
    label: np.ndarray
    weight: np.ndarray


class Reader(Protocol):
    """Reads a dataset's chunks."""

    name: str

    def read(self, dataset: Dataset, chunk: Chunk) -> ChunkArrays:
        """All rows of one chunk. Raises `DatasetError` if they are not exactly those the dataset was written with."""


class PetastormReader:
    """Reads with `petastorm.make_batch_reader`."""

    name = "petastorm"

    def read(self, dataset: Dataset, chunk: Chunk) -> ChunkArrays:
        """All rows of one chunk; see `Reader`."""
        return _checked(self._columns, dataset, chunk)

    def _columns(self, dataset: Dataset, chunk: Chunk, names: Sequence[str]) -> list[np.ndarray]:
        from petastorm import make_batch_reader

        # The dummy pool reads in this thread: no race that could end a chunk early, no order but the file's.
        url = dataset.folder.child(chunk.file).absolute
        if set("#?") & set(url):
            raise ValueError("Petastorm cannot read a path with '#' or '?' in it. Use reader 'arrow' or another folder")
        with (
            _silenced(),
            make_batch_reader(url, reader_pool_type="dummy", shuffle_row_groups=False, num_epochs=1) as reader,
        ):
            batches = list(reader)
        return [np.concatenate([getattr(batch, name) for batch in batches]) for name in names] if batches else []


class ArrowReader:
    """Reads with pyarrow alone."""

    name = "arrow"

    def read(self, dataset: Dataset, chunk: Chunk) -> ChunkArrays:
        """All rows of one chunk; see `Reader`."""
        return _checked(self._columns, dataset, chunk)

    def _columns(self, dataset: Dataset, chunk: Chunk, names: Sequence[str]) -> list[np.ndarray]:
        with dataset.folder.open(chunk.file) as file:
            table = pq.read_table(file, columns=list(names), use_threads=False)
        sequence = table["sequence"].combine_chunks()
        lengths = sequence.value_lengths().unique().to_pylist()
        if len(lengths) > 1:
            raise ValueError(f"its sequences have {len(lengths)} lengths")
        values = sequence.flatten().to_numpy(zero_copy_only=False)
        return [values.reshape(table.num_rows, -1), *(table[name].to_numpy() for name in names[1:])]


def choose_reader(name: str) -> Reader:
    """The reader of that name; "auto" is Petastorm where it can run, and pyarrow where not.

    Raises
    ------
    OptionError
        If the name is unknown.
    SetupError
        If Petastorm is asked for and cannot run here.
    """
    if name not in READERS:
        raise OptionError(f"'reader' must be one of {', '.join(READERS)}. Got {name!r}.")
    if name == "arrow":
        return ArrowReader()
    obstacle = _petastorm_obstacle()
    if obstacle is None:
        return PetastormReader()
    if name == "petastorm":
        raise SetupError(f"The Petastorm reader cannot run here: {obstacle}. Use reader 'arrow'.")
    _log.info("Reading with pyarrow alone: %s.", obstacle)
    return ArrowReader()


@contextlib.contextmanager
def _silenced() -> Iterator[None]:
    """Petastorm tells of each file that it did not make it, and calls what pyarrow 14 deprecates: no news to a user."""
    logging.getLogger("petastorm").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _petastorm_obstacle() -> str | None:
    if importlib.util.find_spec("petastorm") is None:
        return "petastorm is not installed"
    if int(pa.__version__.split(".")[0]) >= 15:
        return f"petastorm works with pyarrow below 15, and {pa.__version__} is installed"
    if int(np.__version__.split(".")[0]) >= 2:
        return f"petastorm works with NumPy below 2, and {np.__version__} is installed"
    return None


def _checked(
    read: Callable[[Dataset, Chunk, Sequence[str]], list[np.ndarray]], dataset: Dataset, chunk: Chunk
) -> ChunkArrays:
    """What a reader gives of a chunk, if that is each row once and all of the right shape."""
    path = dataset.folder.path(chunk.file)
    names = ("sequence", "length", "label", *(["weight"] if dataset.manifest.weighted else []))
    try:
        with dataset.folder.open(chunk.file) as file:
            rows = pq.ParquetFile(file).metadata.num_rows
        if rows != chunk.rows:
            raise DatasetError(f"'{path}' must hold {chunk.rows} rows, as the manifest says. It holds {rows}.")
        columns = read(dataset, chunk, names)
    except SentisparkError:
        raise
    except Exception as error:  # each reader has errors of its own for a damaged file
        raise DatasetError(f"'{path}' must be a Parquet file. It cannot be read: {error!r}.") from error
    given = len(columns[0]) if columns else 0
    if given != rows:
        raise DatasetError(f"'{path}' must give {rows} rows. The reader gave {given}. Read it again.")
    sequence, length, label, *weight = columns
    if sequence.shape != (rows, dataset.manifest.sequence_length):
        raise DatasetError(
            f"'{path}' must hold sequences of {dataset.manifest.sequence_length} ids. "
            f"It holds an array of shape {sequence.shape}."
        )
    return ChunkArrays(sequence, length, label, weight[0] if weight else np.ones(rows))
