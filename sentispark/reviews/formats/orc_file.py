"""A piece of an ORC file in, batches of its records out."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

import pyarrow as pa

from sentispark.errors import SetupError
from sentispark.reviews.formats.arrow_columns import batch_of_columns
from sentispark.reviews.formats.format import ColumnNames, Cut, Format
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import BATCH_ROWS, Fields, Layout, opened, require_unique_columns

if TYPE_CHECKING:
    from pyarrow.orc import ORCFile

__all__ = ["ORC"]


def _rows(piece: Piece, fields: Fields, layout: Layout) -> Iterator[pa.RecordBatch]:
    """The records of the piece's share of the stripes."""
    _require_time_zones(piece.path)
    with opened(piece.path) as file:
        orc, names = _orc(piece.path, file)
        require_unique_columns(piece.path, names, fields.names)
        present = [name for name in fields.names if name in names]
        for number in range(piece.share, orc.nstripes, piece.shares):
            stripe = _stripe(orc, number, present or names[:1])
            for start in range(0, stripe.num_rows, BATCH_ROWS):
                batch = stripe.slice(start, BATCH_ROWS)
                yield batch_of_columns({name: batch.column(name) for name in present}, batch.num_rows, fields)


def _names(piece: Piece, fields: Fields, layout: Layout) -> ColumnNames:
    """The names of the file's columns. Raises `InputError` if a wanted column occurs more than once."""
    with opened(piece.path) as file:
        _, names = _orc(piece.path, file)
    require_unique_columns(piece.path, names, fields.names)
    return ColumnNames(set(names))


def _check(piece: Piece, fields: Fields, layout: Layout) -> None:
    _require_time_zones(piece.path)


def _orc(path: str, file: BinaryIO) -> tuple[ORCFile, list[str]]:
    """The file, and the names of its columns."""
    try:
        from pyarrow.orc import ORCFile
    except ImportError as error:
        raise SetupError(
            f"'{path}' needs a pyarrow that reads ORC. The installed one does not. Install pyarrow with pip."
        ) from error
    try:
        orc = ORCFile(file)
        return orc, orc.schema.names
    except UnicodeDecodeError as error:
        raise OSError("its column names are not valid UTF-8") from error


def _stripe(orc: ORCFile, number: int, names: Sequence[str]) -> pa.RecordBatch:
    """Some columns of a stripe, the smallest unit that Arrow can read."""
    stripe = orc.read_stripe(number, columns=list(names))
    if set(names) <= set(stripe.schema.names):
        return stripe
    return orc.read_stripe(number)  # pyarrow reads the name 'a.b' as the field b of a struct a


def _require_time_zones(path: str) -> None:
    """Raise `SetupError` if there are no time zones: pyarrow 14 would then abort the process, whatever the columns."""
    folder = os.environ.get("TZDIR", "/usr/share/zoneinfo")
    if not os.path.exists(os.path.join(folder, "GMT")):
        raise SetupError(
            f"'{path}' needs the time zones of the operating system, as all ORC files do. '{folder}' has none. "
            "Install the system package tzdata, or set TZDIR to a folder of time zones."
        )


# Columns are compressed, so a byte takes about twice the work of a byte of JSON lines.
ORC = Format(endings=("orc",), rows=_rows, names=_names, cut=Cut.BLOCKS, work=2, check=_check)
