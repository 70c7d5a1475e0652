"""The preparation of the 2019 reference system as its Hadoop streaming jobs did it: plain Python, files in between.

Mapper (clean, lower-case, split, drop stop words), sort, reducer (one row for each text, with its most frequent
rating), word count, encoding. A process stands for a cluster node: it maps its own files and reduces its own share of
the texts.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import re
import subprocess
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from sentispark.text.stopwords import REFERENCE

__all__ = ["FIRST_WORD", "LENGTH", "PAD", "UNKNOWN", "WORDS", "prepare_by_streaming"]

WORDS, LENGTH = 10_000, 100
PAD, UNKNOWN, FIRST_WORD = 1, 2, 3

_OTHERS = re.compile("[^a-zA-Z' ]")
_STOP_WORDS = frozenset(REFERENCE)


def prepare_by_streaming(paths: Sequence[str], folder: Path, *, processes: int) -> dict[str, Any]:
    """JSON lines to sequences and labels in Parquet, by several processes at once.

    Parameters
    ----------
    paths : sequence of str
        JSON Lines files, at least one for each process.
    folder : Path
        For intermediate files and the sequences.
    processes : int

    Returns
    -------
    dict
        `seconds` by stage, and `rows`, the number of rows that were written.
    """
    seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        seconds[name] = time.perf_counter() - started

    shares = range(processes)
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.map(len, [""] * processes, chunksize=1)  # starts the interpreters before the clock
        with stage("map"):
            pool.starmap(_map, [(path, f"{folder}/mapped-{n}", processes) for n, path in enumerate(paths)], chunksize=1)
        with stage("sort"):
            mapped = [[f"{folder}/mapped-{n}.{share}" for n in range(len(paths))] for share in shares]
            pool.starmap(_sort, [(mapped[share], f"{folder}/sorted-{share}") for share in shares], chunksize=1)
        with stage("reduce"):
            pool.starmap(_reduce, [(f"{folder}/sorted-{n}", f"{folder}/reduced-{n}") for n in shares], chunksize=1)
        with stage("count words"):
            partial = pool.map(_count, [f"{folder}/reduced-{n}" for n in shares], chunksize=1)
            counts: Counter[str] = sum(partial, Counter())
            ids = {word: FIRST_WORD + rank for rank, (word, _) in enumerate(counts.most_common(WORDS))}
        with stage("encode and write"):
            encode = [(f"{folder}/reduced-{n}", f"{folder}/encoded-{n}.parquet", ids) for n in shares]
            rows = sum(pool.starmap(_encode, encode, chunksize=1))
    return {"seconds": seconds, "rows": rows}


def _map(path: str, output: str, shares: int) -> None:
    with contextlib.ExitStack() as stack:
        parts = [stack.enter_context(open(f"{output}.{share}", "w")) for share in range(shares)]
        for line in stack.enter_context(open(path, encoding="utf-8")):
            try:
                record = json.loads(line)
            except ValueError:
                continue
            text, stars = record.get("reviewText"), record.get("overall")
            if not text or not isinstance(stars, float) or not 1 <= stars <= 5:
                continue
            words = [word for word in _OTHERS.sub("", text).lower().split(" ") if word and word not in _STOP_WORDS]
            if words:
                cleaned = " ".join(words)
                parts[zlib.crc32(cleaned.encode()) % shares].write(f"{cleaned}\t{stars}\n")


def _sort(inputs: list[str], output: str) -> None:
    subprocess.run(["sort", "-o", output, *inputs], env={**os.environ, "LC_ALL": "C"}, check=True)


def _reduce(path: str, output: str) -> None:
    with open(path) as lines, open(output, "w") as reduced:
        for text, group in groupby((line.rstrip("\n").split("\t") for line in lines), key=lambda pair: pair[0]):
            ratings = Counter(float(stars) for _, stars in group)
            mode = min(ratings, key=lambda stars: (-ratings[stars], stars))
            reduced.write(f"{text}\t{int(mode >= 4)}\n")


def _count(path: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    with open(path) as lines:
        for line in lines:
            counts.update(line.split("\t")[0].split(" "))
    return counts


def _encode(path: str, output: str, ids: dict[str, int]) -> int:
    schema = pa.schema([("sequence", pa.list_(pa.int16())), ("label", pa.int32())])
    rows = 0
    with open(path) as lines, pq.ParquetWriter(output, schema, compression="zstd") as writer:
        while True:
            sequences, labels = [], []
            for line, _ in zip(lines, range(32_768), strict=False):
                text, label = line.rstrip("\n").split("\t")
                known = [ids.get(word, UNKNOWN) for word in text.split(" ")[:LENGTH]]
                sequences.append(known + [PAD] * (LENGTH - len(known)))
                labels.append(int(label))
            if not labels:
                return rows
            values = pa.array(np.array(sequences, np.int16).ravel())
            offsets = pa.array(np.arange(len(labels) + 1, dtype=np.int32) * LENGTH)
            columns = [pa.ListArray.from_arrays(offsets, values), pa.array(labels, pa.int32())]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            rows += len(labels)
