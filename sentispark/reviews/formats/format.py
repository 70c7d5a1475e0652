"""What is declared of a format: the endings of its files, how they are cut, and the functions that read them."""

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
    """Each gets a range of bytes, and finds by itself the first record that begins in it."""
    BLOCKS = enum.auto()
    """Each gets every n-th of the file's own blocks, and reads no others."""
    TURNS = enum.auto()
    """Records are found only by reading from the beginning: each keeps every n-th block and drops the others'."""


class ColumnNames(NamedTuple):
    """The names of a file's columns, or of the fields of its records, as far as its beginning tells them.

    Attributes
    ----------
    names : set of str
    told : bool
        Whether it tells any, or the file is empty. One that does not is read all the same, and then says what is wrong.
    whole : bool
        Whether the file has no others.
    """

    names: set[str]
    told: bool = True
    whole: bool = True


Check: TypeAlias = Callable[[Piece, Fields, Layout], None]


def nothing_to_check(piece: Piece, fields: Fields, layout: Layout) -> None:
    """The check of a format whose files are checked by reading their columns' names."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Format:
    """A format of review files. All functions take a piece of a file, the wanted fields and the layout of text files.

    Attributes
    ----------
    endings : tuple of str
        What the names of its files end with, without the dot, in lower case.
    rows : callable
        Gives the records of a piece, as `read_piece` documents them. May raise whatever reading a damaged file raises.
    names : callable
        Gives the `ColumnNames` of the whole file.
    cut : Cut
        How several tasks share a file.
    work : int
        How many bytes of JSON lines a byte of the file stands for, roughly. Pieces are made equal by it, nothing else.
    is_text : bool
        Whether files are text: of some encoding, and maybe compressed as a whole, in which case they are read in turns.
    has_header : bool
        Whether a file tells its columns apart from its records. If not, only the first files are asked for them.
    check : callable
        Raises an error, on the driver and before the work starts, if the beginning of a file tells that it cannot be
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
