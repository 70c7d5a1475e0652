"""Which rows each step of each rank took, written down by the ranks themselves, also by those that are killed later."""

from __future__ import annotations

import collections
import dataclasses
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
import xxhash

from sentispark.train.step import Tensors

__all__ = ["Entry", "RowLedger", "committed", "rows_of_dataset", "wasted_steps"]

Rows = collections.Counter[str]


class Entry(NamedTuple):
    """One step of one rank."""

    seconds: float  # since the epoch
    step: int
    rows: tuple[str, ...]  # a hash of each


@dataclasses.dataclass(frozen=True)
class RowLedger:
    """A `StepHook` that appends each step to a file of the rank's process.

    Attributes
    ----------
    folder : str
        On a file system that all ranks and the reader share.
    """

    folder: str

    def __call__(self, step: int, batch: Tensors) -> None:
        """Write down the rows of a step."""
        sequence, length, label, _ = (column.numpy() for column in batch)
        rows = _hashes(sequence, length, label)
        with open(Path(self.folder, f"{os.getpid()}.jsonl"), "a") as file:
            file.write(json.dumps([time.time(), step, rows]) + "\n")

    def entries(self) -> list[Entry]:
        """All that was written; the last line of a process that was killed may be incomplete."""
        found = []
        for path in Path(self.folder).glob("*.jsonl"):
            for line in path.read_text().splitlines(keepends=True):
                if line.endswith("\n"):
                    seconds, step, rows = json.loads(line)
                    found.append(Entry(seconds, step, tuple(rows)))
        return found


def committed(entries: Sequence[Entry], attempts: Sequence[float], steps: int) -> dict[int, Rows]:
    """The rows of each epoch, from 0, in the steps that count: of a step, those of the last attempt that took it.

    Parameters
    ----------
    entries : sequence of Entry
    attempts : sequence of float
        When each attempt began, in seconds since the epoch.
    steps : int
        Steps of an epoch.
    """
    last: dict[int, int] = {}
    for entry in entries:
        last[entry.step] = max(last.get(entry.step, 0), _attempt(entry, attempts))
    found: dict[int, Rows] = collections.defaultdict(collections.Counter)
    for entry in entries:
        if _attempt(entry, attempts) == last[entry.step]:
            found[entry.step // steps].update(entry.rows)
    return dict(found)


def wasted_steps(entries: Sequence[Entry], attempts: Sequence[float]) -> int:
    """How many steps were taken, or begun, and thrown away."""
    taken = {(entry.step, _attempt(entry, attempts)) for entry in entries}
    return len(taken) - len({step for step, _ in taken})


def rows_of_dataset(folder: str, split: str = "train") -> Rows:
    """The hashes of a split's rows, read by pyarrow alone."""
    table = pq.read_table(Path(folder, split), columns=["sequence", "length", "label"])
    sequence = np.array(table["sequence"].to_pylist(), np.int32)
    length, label = (table[name].to_numpy() for name in ("length", "label"))
    return collections.Counter(_hashes(sequence, length, label))


def _attempt(entry: Entry, attempts: Sequence[float]) -> int:
    return sum(began <= entry.seconds for began in attempts)


def _hashes(sequence: np.ndarray, length: np.ndarray, label: np.ndarray) -> list[str]:
    ids = sequence.astype(np.int32, copy=False)
    return [
        xxhash.xxh3_64_hexdigest(ids[row, :steps].tobytes() + bytes([int(positive)]))
        for row, (steps, positive) in enumerate(zip(length, label, strict=True))
    ]
