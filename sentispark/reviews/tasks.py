"""Files and their formats to tasks of about equal work, each a list of pieces. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator

from sentispark.reviews.formats.format import Cut
from sentispark.reviews.formats.table import FORMATS
from sentispark.reviews.pieces import File, Piece

__all__ = ["cut_into_tasks"]

# How many bytes of text a byte of a compressed file stands for, roughly: pieces are made equal by it, nothing else.
_COMPRESSED = 3
_SMALLEST, _LARGEST = 4 << 20, 64 << 20
# Several tasks a core even out what they differ by; each costs some 0.05 s too, so they are fewer where they are short.
_MOST_A_CORE, _WORTH_A_TASK = 3, 32 << 20
# No piece is cut off that would be less than one such part of a task's work.
_SLIVERS = 16
# Each share of a file that is read in turns reads, and drops, what is the others'.
_MOST_SHARES = 4


def cut_into_tasks(files: Iterable[tuple[File, str]], *, cores: int, anywhere: bool = True) -> list[list[Piece]]:
    """Files and the names of their formats, cut and put together to tasks of about equal work: one to three a core,
    fewer where they would be small, more where they would be larger than a task may be.

    Files are cut as their formats say. Of text, those that are compressed are read in turns, and so are all unless
    `anywhere` says that the ends of lines can be told without decoding.
    """
    files = [(file, format) for file, format in files if file.size]
    work = [file.size * _work_per_byte(file, format) for file, format in files]
    tasks = cores * min(max(round(sum(work) / cores / _WORTH_A_TASK), 1), _MOST_A_CORE)
    tasks = max(min(tasks, sum(work) // _SMALLEST), math.ceil(sum(work) / _LARGEST), 1)
    enough = max(math.ceil(sum(work) / tasks), 1)
    before = itertools.accumulate(work, initial=0)
    pieces = [
        (int((done + middle) // enough), piece)
        for (file, format), done in zip(files, before, strict=False)
        for middle, piece in _cut(file, format, done, enough, anywhere)
    ]
    return [[piece for _, piece in task] for _, task in itertools.groupby(pieces, key=lambda pair: pair[0])]


def _work_per_byte(file: File, format: str) -> int:
    return FORMATS[format].work * (_COMPRESSED if _is_compressed_text(file, format) else 1)


def _is_compressed_text(file: File, format: str) -> bool:
    return FORMATS[format].is_text and Piece(file.path, format, 0, 0).compression is not None


def _cut(file: File, format: str, before: int, enough: int, anywhere: bool) -> Iterator[tuple[float, Piece]]:
    """The pieces of a file, each with the middle of its work; a task gets `enough`, earlier files took `before`."""
    whole = Piece(file.path, format, 0, file.size, partition=file.partition)
    per_byte = _work_per_byte(file, format)
    work, cut = file.size * per_byte, _cut_of(file, format, anywhere)
    if cut is Cut.ANYWHERE:
        sliver = enough // _SLIVERS
        ends = (end for end in range(-before % enough, work, enough) if sliver < end < work - sliver)
        for start, stop in itertools.pairwise([0, *ends, work]):
            yield (start + stop) / 2, whole._replace(start=start // per_byte, stop=stop // per_byte)
    else:
        parts = math.ceil(work / enough)
        shares = parts if cut is Cut.BLOCKS else min(parts, _MOST_SHARES)
        for share in range(shares):
            yield (share + 0.5) * work / shares, whole._replace(share=share, shares=shares)


def _cut_of(file: File, format: str, anywhere: bool) -> Cut:
    if FORMATS[format].is_text and (not anywhere or _is_compressed_text(file, format)):
        return Cut.TURNS
    return FORMATS[format].cut
