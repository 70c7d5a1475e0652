"""Arrays of token ids to logits, on executors: what the model's transform runs in Python workers."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark import TaskContext

from sentispark.cluster.barrier import given_gpu
from sentispark.ml.options import PredictOptions
from sentispark.text.token_ids import PAD, UNKNOWN

if TYPE_CHECKING:
    from sentispark.nn.net import Net
    from sentispark.train.result import TrainedNet

__all__ = ["LARGEST_ID", "Predictor", "known_ids", "logits_of", "valid_lengths"]

# Training makes a word vector for each id up to the largest; the largest published vocabularies have 3 million words.
LARGEST_ID = 2**22 - 1

_log = logging.getLogger(__name__)

# Spark reuses Python workers, so a net is built once a worker and not once a task. A few are held, in the order of
# their last use: a query may apply several models to each batch.
_built: dict[tuple[str, str], Net] = {}
_MOST_BUILT = 4
_building = threading.Lock()


def valid_lengths(sequence: np.ndarray) -> np.ndarray:
    """The steps before the trailing padding, shape (n,), of sequences of shape (n, L)."""
    valid = sequence != PAD
    steps = sequence.shape[1]
    return np.where(valid.any(axis=1), steps - np.argmax(valid[:, ::-1], axis=1), 0)


def known_ids(sequences: pa.Array, vocabulary_size: int) -> pa.ListArray:
    """Lists of token ids, list<int32>, in which what is no id below the vocabulary's size is an unknown word."""
    counts = pc.list_value_length(sequences).fill_null(0)
    offsets = np.concatenate(([0], np.cumsum(counts.to_numpy(zero_copy_only=False))))
    ids = sequences.flatten().cast(pa.int64()).fill_null(UNKNOWN).to_numpy(zero_copy_only=False)
    known = np.where((ids >= 0) & (ids < vocabulary_size), ids, UNKNOWN).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(known))


def logits_of(
    net: Net, trained: TrainedNet, sequences: pa.Array, *, batch_rows: int = PredictOptions.prediction_batch_size
) -> np.ndarray:
    """The logits, shape (n,), dtype=float64.

    Parameters
    ----------
    net : Net
        The module of the trained net.
    trained : TrainedNet
    sequences : list<integer> array of length n
        Token ids; shorter than the net's sequence length is padded, longer is cut. A null counts as empty, and an
        id that training never saw as an unknown word.
    batch_rows : int
        Rows that the net takes at once.
    """
    import torch

    device = next(net.parameters()).device
    ids, first, length = _flat(sequences, trained.sequence_length)
    logits = np.zeros(len(length))
    by_length = np.argsort(length, kind="stable")
    # TensorFloat-32 would make a GPU's logits differ from a CPU's by 1e-3.
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for start in range(0, len(by_length), batch_rows):
            chosen = by_length[start : start + batch_rows]
            steps = max(1, int(length[chosen[-1]])) if net.trims else trained.sequence_length
            sequence = _rows(ids, first[chosen], length[chosen], steps, vocabulary_size=trained.vocabulary_size)
            logits[chosen] = (
                net(torch.from_numpy(sequence).to(device), torch.from_numpy(length[chosen]).to(device)).cpu().numpy()
            )
    return logits


def _flat(sequences: pa.Array, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All ids one after another, where each row's begin, and how many of them are neither padding nor beyond `most`."""
    counts = pc.list_value_length(sequences).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    first = np.cumsum(counts) - counts
    ids = sequences.flatten().fill_null(UNKNOWN).to_numpy(zero_copy_only=False)
    ends = first + np.minimum(counts, most)
    words = np.flatnonzero(ids != PAD)
    last = words[np.searchsorted(words, ends) - 1] if len(words) else ends - 1 - counts
    return ids, first, np.clip(last + 1 - first, 0, None) * (last < ends)


def _rows(ids: np.ndarray, first: np.ndarray, length: np.ndarray, steps: int, *, vocabulary_size: int) -> np.ndarray:
    """The ids of some rows, shape (n, steps), dtype=int32; what is no id below the vocabulary's size as an unknown."""
    valid = np.arange(steps) < length[:, None]
    chosen = ids[(first[:, None] + np.arange(steps))[valid]]
    rows = np.zeros(valid.shape, np.int32)
    rows[valid] = np.where((chosen >= 0) & (chosen < vocabulary_size), chosen, UNKNOWN)
    return rows


class Predictor:
    """Logits of a trained net; small to send, as it builds the net where it is used.

    Parameters
    ----------
    trained : TrainedNet
    batch_rows : int
        Rows that the net takes at once.
    """

    def __init__(self, trained: TrainedNet, batch_rows: int = PredictOptions.prediction_batch_size) -> None:
        self._trained, self._batch_rows = trained, batch_rows
        self._fingerprint = trained.fingerprint  # here, once, and not in each task

    def __call__(self, sequences: pa.Array) -> np.ndarray:
        """The logits of a list<integer> array of length n, shape (n,), dtype=float64; see `logits_of`."""
        with _task_threads():
            return logits_of(self._net(), self._trained, sequences, batch_rows=self._batch_rows)

    def _net(self) -> Net:
        device = _device()
        key = self._fingerprint, device
        with _building:
            net = _built.pop(key, None)
            if net is None:
                net = self._trained.module().to(device)
                while len(_built) >= _MOST_BUILT:
                    del _built[next(iter(_built))]
            _built[key] = net
            return net


@contextlib.contextmanager
def _task_threads() -> Iterator[None]:
    """In a task torch has the task's cores, as more threads would fight with the other tasks'; else what it has."""
    import torch

    task, before = TaskContext.get(), torch.get_num_threads()
    wanted = task.cpus() if task else before
    if wanted != before:
        torch.set_num_threads(wanted)
    try:
        yield
    finally:
        if wanted != before:
            torch.set_num_threads(before)


def _device() -> str:
    """The GPU that Spark gave this task, else the CPU: all tasks of a host at once would not fit on a GPU."""
    task = TaskContext.get()
    given = given_gpu(task) if task else None
    if given is None:
        return "cpu"
    from sentispark.train.gathering import gpu_index, gpus_here

    index = gpu_index(given, os.environ.get("CUDA_VISIBLE_DEVICES"), gpus_here())
    if index is None:
        _log.warning("Predictions are made on the CPU: torch does not see GPU '%s', which Spark gave this task.", given)
        return "cpu"
    return f"cuda:{index}"
