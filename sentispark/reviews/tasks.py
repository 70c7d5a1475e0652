"""Files to tasks of about equal work, each a list of pieces. Pure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator

from sentispark.reviews.formats.format import Cut
from sentispark.reviews.formats.table import FORMATS
from sentispark.reviews.pieces import File, Piece

__all__ = ["cut_into_tasks"]

# Typical compression ratio of text, used only to balance the work of tasks.
_COMPRESSED = 3
# Bytes of work per task.
_SMALLEST, _LARGEST = 4 << 20, 64 << 20
# Several tasks per core even out their differences; but each task costs about 0.05 s, so short ones are avoided.
_MOST_TASKS_PER_CORE, _WORTH_A_TASK = 3, 32 << 20
# The smallest piece is one such part of a task's work.
_SLIVERS = 16
# Each share of a file that is read sequentially also reads, and drops, the blocks of the other shares.
_MOST_SHARES = 4


def cut_into_tasks(files: Iterable[tuple[File, str]], *, cores: int, anywhere: bool = True) -> list[list[Piece]]:
    """The tasks that read some files, as lists of pieces: one to three tasks per core, of about equal work.

    There are fewer tasks if they would be small, and more if they would be large.

    Parameters
    ----------
    files : iterable of (File, str)
        The files and the names of their formats, which decide how a file is cut.
    cores : int
    anywhere : bool
        Whether text files can be cut at line ends without decoding them. If not, and if they are compressed, they are
        read sequentially.
    """
    files = [(file, format) for file, format in files if file.size]
    work = [file.size * _work_per_byte(file, format) for file, format in files]
    tasks = cores * min(max(round(sum(work) / cores / _WORTH_A_TASK), 1), _MOST_TASKS_PER_CORE)
    tasks = max(min(tasks, sum(work) // _SMALLEST), math.ceil(sum(work) / _LARGEST), 1)
    task_work = max(math.ceil(sum(work) / tasks), 1)
    before = itertools.accumulate(work, initial=0)
    pieces = [
        (int((done + middle) // task_work), piece)
        for (file, format), done in zip(files, before, strict=False)
        for middle, piece in _cut(file, format, done, task_work, anywhere)
    ]
    return [[piece for _, piece in task] for _, task in itertools.groupby(pieces, key=lambda pair: pair[0])]


def _work_per_byte(file: File, format: str) -> int:
    return FORMATS[format].work * (_COMPRESSED if _is_compressed_text(file, format) else 1)


def _is_compressed_text(file: File, format: str) -> bool:
    return FORMATS[format].is_text and Piece(file.path, format, 0, 0).compression is not None


def _cut(file: File, format: str, before: int, task_work: int, anywhere: bool) -> Iterator[tuple[float, Piece]]:
    """The pieces of a file, each with the midpoint of its work; `before` is the work of earlier files."""
    whole = Piece(file.path, format, 0, file.size, partition=file.partition)
    per_byte = _work_per_byte(file, format)
    work, cut = file.size * per_byte, _cut_of(file, format, anywhere)
    if cut is Cut.ANYWHERE:
        sliver = task_work // _SLIVERS
        ends = (end for end in range(-before % task_work, work, task_work) if sliver < end < work - sliver)
        for start, stop in itertools.pairwise([0, *ends, work]):
            yield (start + stop) / 2, whole._replace(start=start // per_byte, stop=stop // per_byte)
    else:
        parts = math.ceil(work / task_work)
        shares = parts if cut is Cut.BLOCKS else min(parts, _MOST_SHARES)
        for share in range(shares):
            yield (share + 0.5) * work / shares, whole._replace(share=share, shares=shares)


def _cut_of(file: File, format: str, anywhere: bool) -> Cut:
    if FORMATS[format].is_text and (not anywhere or _is_compressed_text(file, format)):
        return Cut.SEQUENTIAL
    return FORMATS[format].cut
