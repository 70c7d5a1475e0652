"""Files, and the pieces of files that tasks read. Pure."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["COMPRESSIONS", "File", "Partition", "Piece"]

# File name endings and the compressions they stand for.
COMPRESSIONS = {"gz": "gzip", "gzip": "gzip", "bz2": "bz2", "xz": "xz", "zst": "zstd", "zstd": "zstd", "lz4": "lz4"}

# Names and values (as text) of a file's partition columns, which are not stored in the file.
Partition = tuple[tuple[str, str | None], ...]


class File(NamedTuple):
    """A file, and what is known without opening it.

    Attributes
    ----------
    path : str
        Its path if it is local, else its URL.
    size : int
        Bytes.
    stamp : str
        Modification time, or an object store's tag.
    partition : tuple of (str, str or None)
        Partition columns from the names of its folders or from its table's log, and their values as text.
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
        The byte range in which the piece's records begin; the whole file if it cannot be cut by bytes.
    share, shares : int
        In a file that cannot be cut by bytes: every `shares`-th block of records, beginning with block `share`.
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
        """The compression of the whole file, according to its name; None if it is not compressed."""
        return COMPRESSIONS.get(self.path.rsplit(".", 1)[-1].lower())
