"""Files, cut to pieces of about equal work. Pure."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from sentispark.errors import InputError

__all__ = ["COMPRESSIONS", "File", "Partition", "Piece", "cut_into_tasks", "format_of"]

# Endings of compressed files, and how each is compressed.
COMPRESSIONS = {"gz": "gzip", "gzip": "gzip", "bz2": "bz2", "xz": "xz", "zst": "zstd", "zstd": "zstd", "lz4": "lz4"}
_ENDINGS = {"json": "json|jsonl|ndjson", "csv": "csv", "tsv": "tsv|tab", "parquet": "parquet|parq|pq"}

# How many bytes of JSON lines a byte of the file stands for, roughly: pieces are made equal by it, nothing else.
_COMPRESSED, _COLUMNAR = 3, 2
_SMALLEST, _LARGEST = 4 << 20, 64 << 20
# Several tasks a core even out what they differ by; each costs some 0.05 s too, so they are fewer where they are short.
_MOST_A_CORE, _WORTH_A_TASK = 3, 32 << 20
# No piece is cut off that would be less than one such part of a task's work.
_SLIVERS = 16
# Each share of a file that cannot be cut reads, and drops, what is the others'.
_MOST_SHARES = 4

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
    format : {"json", "csv", "tsv", "parquet"}
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
        """How the file is compressed, going by its name."""
        return COMPRESSIONS.get(self.path.rsplit(".", 1)[-1].lower())


def format_of(path: str) -> str:
    """The format that a file's name tells. Raises `InputError` if it tells none."""
    for name, endings in _ENDINGS.items():
        if re.search(rf"\.(?:{endings})(?:\.(?:{'|'.join(COMPRESSIONS)}))?$", path, re.IGNORECASE):
            return name
    raise InputError(
        f"The format of '{path}' cannot be told from its name. Name the format: json, csv, tsv or parquet."
    )


def cut_into_tasks(files: Iterable[tuple[File, str]], *, cores: int, anywhere: bool = True) -> list[list[Piece]]:
    """Files and their formats, cut and put together to tasks of about equal work: one to three a core, fewer where they
    would be small, more where they would be larger than a task may be.

    Lines of JSON are cut where a task ends, if `anywhere` says that their ends can be told without decoding. Rows of a
    compressed file, of CSV (a quoted field may hold line breaks) and of Parquet are found only by reading from the
    beginning; several tasks then take turns at their blocks.
    """
    files = [(file, format) for file, format in files if file.size]
    work = [file.size * _work(file, format) for file, format in files]
    tasks = cores * min(max(round(sum(work) / cores / _WORTH_A_TASK), 1), _MOST_A_CORE)
    tasks = max(min(tasks, sum(work) // _SMALLEST), math.ceil(sum(work) / _LARGEST), 1)
    enough = max(math.ceil(sum(work) / tasks), 1)
    before = itertools.accumulate(work, initial=0)
    pieces = [
        (int((done + middle) // enough), piece)
        for (file, format), own, done in zip(files, work, before, strict=False)
        for middle, piece in _cut(file, format, own, done, enough, anywhere)
    ]
    return [[piece for _, piece in task] for _, task in itertools.groupby(pieces, key=lambda pair: pair[0])]


def _work(file: File, format: str) -> int:
    if format == "parquet":
        return _COLUMNAR
    return 1 if Piece(file.path, format, 0, 0).compression is None else _COMPRESSED


def _cut(file: File, format: str, work: int, before: int, enough: int, anywhere: bool) -> Iterator[tuple[float, Piece]]:
    """The pieces of a file, each with the middle of its work; a task gets `enough`, earlier files took `before`."""
    whole = Piece(file.path, format, 0, file.size, partition=file.partition)
    if format == "json" and anywhere and whole.compression is None:
        sliver = enough // _SLIVERS
        ends = (end for end in range(-before % enough, work, enough) if sliver < end < work - sliver)
        for start, stop in itertools.pairwise([0, *ends, file.size]):
            yield (start + stop) / 2, whole._replace(start=start, stop=stop)
    else:
        parts = math.ceil(work / enough)
        shares = parts if format == "parquet" else min(parts, _MOST_SHARES)
        for share in range(shares):
            yield (share + 0.5) * work / shares, whole._replace(share=share, shares=shares)
