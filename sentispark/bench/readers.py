"""The speed of a dataset's readers, compared with a bare pyarrow loop."""

from __future__ import annotations

import functools
import logging
import statistics
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow.parquet as pq

from sentispark.bench.turns import in_turns, median_ratio
from sentispark.dataset.dataset import Dataset
from sentispark.dataset.readers import ArrowReader, PetastormReader, Reader, choose_reader
from sentispark.errors import SetupError

__all__ = ["compare_readers"]

_log = logging.getLogger(__name__)


def compare_readers(dataset: Dataset, *, times: int) -> dict[str, Any]:
    """Read all rows of a dataset with each installed reader and with a bare pyarrow loop.

    Returns
    -------
    dict
        `rows_per_second` of each, and in `ratios` `reader_petastorm` and `reader_arrow`, the reader's speed over that
        of the bare loop.
    """
    contenders: dict[str, Callable[[], None]] = {"bare": functools.partial(_read_by_pyarrow, dataset)}
    for name, reader in _readers():
        contenders[name] = functools.partial(_read_all, reader, dataset)
    seconds = in_turns(contenders, times=times)
    rows = sum(chunk.rows for chunk in dataset.manifest.chunks)
    return {
        "rows_per_second": {name: rows / statistics.median(turns) for name, turns in seconds.items()},
        "ratios": {f"reader_{name}": median_ratio(seconds, "bare", name) for name in contenders if name != "bare"},
    }


def _readers() -> Iterator[tuple[str, Reader]]:
    yield "arrow", ArrowReader()
    try:
        choose_reader("petastorm")
        yield "petastorm", PetastormReader()
    except SetupError as error:
        _log.warning("%s", error)


def _read_all(reader: Reader, dataset: Dataset) -> None:
    for chunk in dataset.manifest.chunks:
        reader.read(dataset, chunk)


def _read_by_pyarrow(dataset: Dataset) -> None:
    for chunk in dataset.manifest.chunks:
        table = pq.read_table(dataset.folder.path(chunk.file), use_threads=False)
        values = table["sequence"].combine_chunks().flatten().to_numpy()
        values.reshape(-1, dataset.manifest.sequence_length)
        for name in ("length", "label"):
            table[name].to_numpy()
