"""What the readers of all formats share: the fields that are read, the opened file, the batch of records."""

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
    "require_each_once",
    "with_partition",
]

BLOCK_BYTES = 4 << 20
BATCH_ROWS = 8192

ByteStream: TypeAlias = BinaryIO | io.BufferedIOBase


class Fields(NamedTuple):
    """The names of the fields that are read; `rating` is None where ratings do not matter."""

    text: str
    rating: str | None
    kept: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, each once, text first."""
        return tuple(dict.fromkeys(name for name in (self.text, self.rating, *self.kept) if name is not None))


class Layout(NamedTuple):
    """What is not known from the files' names of how text files are to be read.

    Attributes
    ----------
    columns : tuple of str
        The names of the columns of CSV and TSV files, if no line of theirs holds them.
    csv_escape : {"auto", "double", "backslash"}
        How a quote within quotes is spelled; see `csv_form.ESCAPES`.
    encoding : str
        Of all text files.
    escaped_breaks : bool
        Whether in CSV and TSV a backslash and an `n` stand for a line break.
    """

    columns: tuple[str, ...] = ()
    csv_escape: str = "auto"
    encoding: str = "utf-8"
    escaped_breaks: bool = False


def require_each_once(path: str, names: Sequence[str], wanted: Sequence[str]) -> None:
    """Raise `InputError` if a wanted column is among a file's more than once."""
    for name in wanted:
        if names.count(name) > 1:
            raise InputError(f"'{path}' must have one column '{name}'. It has {names.count(name)}: rename the others.")


def opened(path: str) -> BinaryIO:
    """The bytes of a file as they are."""
    fs, location = Folder(path).location
    file: BinaryIO = fs.open(location, "rb")
    return file


def decompressed(piece: Piece) -> ByteStream:
    """The bytes of a piece's file, decompressed if its name says that the whole file is compressed."""
    file = opened(piece.path)
    # The standard library's readers say so when a file was cut off, and go on from one member to the next.
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
    """The batch that `read_piece` gives.

    Parameters
    ----------
    arrays : dict
        Those of all `fields.names`.
    broken : string array
        The broken records.
    fields : Fields
    reasons : sequence of str or None, optional
        Why they are broken.
    replaced : iterable of dict
        How many characters were replaced in some records, by their places, in parts that add up.
    """
    rows = len(broken)
    characters = np.zeros(rows, np.int32)
    for place, count in itertools.chain.from_iterable(counts.items() for counts in replaced):
        characters[place] += count
    stars = pa.nulls(rows, pa.string()) if fields.rating is None else arrays[fields.rating]
    batch = {
        "text": arrays[fields.text],
        "stars": stars,
        "broken": broken,
        "why": pa.nulls(rows, pa.string()) if reasons is None else pa.array(reasons, pa.string()),
        "replaced": pa.array(characters),
    }
    if fields.kept:
        # Row-major, as the lists are filled: row 0 of all columns, row 1 of all columns, …
        flat = itertools.chain.from_iterable(zip(*(arrays[name].to_pylist() for name in fields.kept), strict=True))
        offsets = pa.array(range(0, rows * len(fields.kept) + 1, len(fields.kept)), pa.int32())
        batch["kept"] = pa.ListArray.from_arrays(offsets, pa.array(flat, pa.string()))
    return pa.RecordBatch.from_arrays(list(batch.values()), names=list(batch))


def with_partition(batch: pa.RecordBatch, partition: Partition, fields: Fields) -> pa.RecordBatch:
    """The batch; a record that has no value of its own for a field has the one that its file has in `partition`."""
    values = dict(partition)
    columns = dict(zip(batch.schema.names, batch.columns, strict=True))
    for column, name in (("text", fields.text), ("stars", fields.rating)):
        if name is not None and values.get(name) is not None:
            columns[column] = pc.fill_null(columns[column], values[name])
    if any(values.get(name) is not None for name in fields.kept):
        kept = columns["kept"]
        own = pa.array([values.get(name) for name in fields.kept] * len(batch), pa.string())
        columns["kept"] = pa.ListArray.from_arrays(kept.offsets, pc.coalesce(kept.values, own))
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))
