"""Generated reviews as JSON Lines files, written by several processes and reused by the next run."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import shutil
from pathlib import Path

from sentispark.reviews.generate import generate_reviews

__all__ = ["generated_reviews", "write_many_reviews"]

_log = logging.getLogger(__name__)

FILES = 16


def generated_reviews(folder: Path, rows: int, *, processes: int) -> list[str]:
    """The paths of 16 files with `rows` generated reviews; complete files of an earlier run are reused."""
    done = folder / f"reviews-{rows}"
    if not done.exists():
        _log.info("generating %d reviews", rows)
        draft = folder / f"reviews-{rows}.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        write_many_reviews(draft, rows, files=FILES, processes=processes)
        draft.rename(done)
    return sorted(map(str, done.iterdir()))


def write_many_reviews(folder: Path, rows: int, *, files: int, processes: int) -> list[str]:
    """Write generated reviews to JSON Lines files of about equal size, and return their paths."""
    edges = [rows * number // files for number in range(files + 1)]
    parts = [(str(folder / f"reviews-{first:09d}.jsonl"), first, last) for first, last in itertools.pairwise(edges)]
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.starmap(_write_part, parts, chunksize=1)
    return [path for path, _, _ in parts]


def _write_part(path: str, first: int, last: int) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in generate_reviews(last - first, first=first))
