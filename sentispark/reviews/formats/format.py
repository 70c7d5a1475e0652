"""The declaration of a format: the endings of its files, how they are cut, and the functions that read them."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

import pyarrow as pa

from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import Fields, Layout

__all__ = ["Check", "ColumnNames", "Cut", "Format", "nothing_to_check"]


class Cut(enum.Enum):
    """How several tasks can share a file."""

    ANYWHERE = enum.auto()
    """Each task gets a range of bytes, and finds the first record that begins in it."""
    BLOCKS = enum.auto()
    """Each task reads every n-th of the file's own blocks, and only these."""
    SEQUENTIAL = enum.auto()
    """Records can only be found from the beginning: each task reads all, and keeps every n-th block."""


class ColumnNames(NamedTuple):
    """The names of a file's columns, or of its records' fields, as far as the beginning of the file shows them.

    Attributes
    ----------
    names : set of str
    known : bool
        Whether the names could be determined. If not, reading the file will report what is wrong with it.
    complete : bool
        Whether the file has no other columns.
    """

    names: set[str]
    known: bool = True
    complete: bool = True


Check: TypeAlias = Callable[[Piece, Fields, Layout], None]


def nothing_to_check(piece: Piece, fields: Fields, layout: Layout) -> None:
    """The check of formats for which reading the column names is check enough."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Format:
    """A format of review files. Its functions take a piece of a file, the wanted fields and the layout of text files.

    Attributes
    ----------
    endings : tuple of str
        The endings of file names, without the dot, in lower case.
    rows : callable
        Yields the records of a piece, as `read_piece` returns them. May raise whatever reading a damaged file raises.
    names : callable
        Returns the `ColumnNames` of the file.
    cut : Cut
        How several tasks share a file.
    work : int
        The work of reading a byte, relative to a byte of JSON lines; used only to balance the work of tasks.
    is_text : bool
        Whether files are text of some encoding, and possibly compressed as a whole, in which case they are read
        sequentially.
    has_header : bool
        Whether a file stores its column names. If not, only the first files are searched for the wanted fields.
    check : callable
        Raises an error, on the driver and before the work starts, if the beginning of a file shows that it cannot be
        read. Only the first files of the format are checked.
    """

    endings: tuple[str, ...]
    rows: Callable[[Piece, Fields, Layout], Iterator[pa.RecordBatch]]
    names: Callable[[Piece, Fields, Layout], ColumnNames]
    cut: Cut
    work: int = 1
    is_text: bool = False
    has_header: bool = True
    check: Check = nothing_to_check
