"""What the readers of all formats share: the wanted fields, the opened file, the batch of records."""

from __future__ import annotations

import gzip
import io
import itertools
import lzma
from bz2 import BZ2File
from collections.abc import Iterable, Sequence
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sentispark.errors import InputError
from sentispark.files import Folder
from sentispark.reviews.pieces import Partition, Piece

__all__ = [
    "BATCH_ROWS",
    "BLOCK_BYTES",
    "ByteStream",
    "Fields",
    "Layout",
    "as_batch",
    "decompressed",
    "opened",
    "require_unique_columns",
    "with_partition",
]

BLOCK_BYTES = 4 << 20
BATCH_ROWS = 8192

ByteStream: TypeAlias = BinaryIO | io.BufferedIOBase


class Fields(NamedTuple):
    """The names of the fields to read.

    Attributes
    ----------
    text : str
    rating : str or None
        None if ratings are not needed.
    extra : tuple of str
        Fields that are passed through, such as a review's id.
    """

    text: str
    rating: str | None
    extra: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All names without repetitions, the text first."""
        return tuple(dict.fromkeys(name for name in (self.text, self.rating, *self.extra) if name is not None))


class Layout(NamedTuple):
    """How text files are read, as far as their names do not say.

    Attributes
    ----------
    columns : tuple of str
        The column names of CSV and TSV files without a header.
    csv_escape : {"auto", "double", "backslash"}
        How quotes in quoted fields are escaped; see `csv_form.ESCAPES`.
    encoding : str
        The encoding of all text files.
    escaped_breaks : bool
        Whether a backslash and an `n` mean a line break in CSV and TSV.
    """

    columns: tuple[str, ...] = ()
    csv_escape: str = "auto"
    encoding: str = "utf-8"
    escaped_breaks: bool = False


def require_unique_columns(path: str, names: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise `InputError` if a file has a wanted column more than once."""
    for name in wanted:
        if names.count(name) > 1:
            raise InputError(f"'{path}' must have one column '{name}'. It has {names.count(name)}. Rename the others.")


def opened(path: str) -> BinaryIO:
    """A file, open for reading."""
    fs, location = Folder(path).location
    file: BinaryIO = fs.open(location, "rb")
    return file


def decompressed(piece: Piece) -> ByteStream:
    """A piece's file, open for reading, and decompressed if its name says that it is compressed."""
    file = opened(piece.path)
    # The standard library's readers detect truncated files and read files of several members.
    match piece.compression:
        case None:
            return file
        case "gzip":
            return gzip.GzipFile(fileobj=file)
        case "bz2":
            return BZ2File(file)
        case "xz":
            return lzma.LZMAFile(file)
        case other:
            return io.BufferedReader(pa.CompressedInputStream(file, other), BLOCK_BYTES)


def as_batch(
    arrays: dict[str, pa.StringArray],
    broken: pa.StringArray,
    fields: Fields,
    *,
    reasons: Sequence[str | None] | None = None,
    replaced: Iterable[dict[int, int]] = (),
) -> pa.RecordBatch:
    """A batch as `read_piece` returns it.

    Parameters
    ----------
    arrays : dict of str to string array of shape (n,)
        The columns of all `fields.names`.
    broken : string array of shape (n,)
        The broken records, null elsewhere.
    fields : Fields
    reasons : sequence of str or None, optional
        Why records are broken, where a specific reason is known.
    replaced : iterable of dict of int to int
        Numbers of replaced characters by the index of the record; several dicts are summed.
    """
    rows = len(broken)
    characters = np.zeros(rows, np.int32)
    for index, count in itertools.chain.from_iterable(counts.items() for counts in replaced):
        characters[index] += count
    stars = pa.nulls(rows, pa.string()) if fields.rating is None else arrays[fields.rating]
    batch = {
        "text": arrays[fields.text],
        "stars": stars,
        "broken": broken,
        "why": pa.nulls(rows, pa.string()) if reasons is None else pa.array(reasons, pa.string()),
        "replaced": pa.array(characters),
    }
    if fields.extra:
        # Row-major: row 0 of all columns, row 1 of all columns, …
        flat = itertools.chain.from_iterable(zip(*(arrays[name].to_pylist() for name in fields.extra), strict=True))
        offsets = pa.array(range(0, rows * len(fields.extra) + 1, len(fields.extra)), pa.int32())
        batch["extra"] = pa.ListArray.from_arrays(offsets, pa.array(flat, pa.string()))
    return pa.RecordBatch.from_arrays(list(batch.values()), names=list(batch))


def with_partition(batch: pa.RecordBatch, partition: Partition, fields: Fields) -> pa.RecordBatch:
    """The batch, with the file's partition values for fields that a record has no value for."""
    values = dict(partition)
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    for column, name in (("text", fields.text), ("stars", fields.rating)):
        if name is not None and values.get(name) is not None:
            columns[column] = pc.fill_null(columns[column], values[name])
    if any(values.get(name) is not None for name in fields.extra):
        extra = columns["extra"]
        defaults = pa.array([values.get(name) for name in fields.extra] * len(batch), pa.string())
        columns["extra"] = pa.ListArray.from_arrays(extra.offsets, pc.coalesce(extra.values, defaults))
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
