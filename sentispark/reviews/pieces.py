"""Files, and the pieces of them that tasks read. Pure."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COMPRESSIONS", "File", "Partition", "Piece"]

# Endings of compressed files, and how each is compressed.
COMPRESSIONS = {"gz": "gzip", "gzip": "gzip", "bz2": "bz2", "xz": "xz", "zst": "zstd", "zstd": "zstd", "lz4": "lz4"}

# Names and values, as text, of the columns that all rows of a file share and that do not stand in it.
Partition = tuple[tuple[str, str | None], ...]


class File(NamedTuple):
    """A file and what is known of it without opening it.

    Attributes
    ----------
    path : str
        Its path where it is local, else its URL.
    size : int
        Bytes.
    stamp : str
        What changes when its content does: a time or a store's tag.
    partition : tuple of (str, str or None)
        Columns that stand in its folders' names, or in its table's log, and their values as text.
    """

    path: str
    size: int
    stamp: str = ""
    partition: Partition = ()


class Piece(NamedTuple):
    """What one task reads of a file.

    Attributes
    ----------
    path : str
    format : str
        The name of a format of the table.
    start, stop : int
        The bytes in which the piece's lines begin; all of the file's where it cannot be cut.
    share, shares : int
        Of a file that cannot be cut, every `shares`-th block of rows from number `share` on.
    partition : tuple of (str, str or None)
        The file's.
    """

    path: str
    format: str
    start: int
    stop: int
    share: int = 0
    shares: int = 1
    partition: Partition = ()

    @property
    def compression(self) -> str | None:
        """How the whole file is compressed, going by its name."""
        return COMPRESSIONS.get(self.path.rsplit(".", 1)[-1].lower())
