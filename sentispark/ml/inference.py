"""Arrays of token ids → logits: what the model's `transform` runs in Python workers."""

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

# Training creates a word vector for each id up to the largest one. The largest published vocabulary, word2vec's of
# Google News, has 3 million words.
LARGEST_ID = 2**22 - 1

_log = logging.getLogger(__name__)

# Spark reuses Python workers, so nets are cached in the worker, a few of them, in the order of their last use: a query
# may apply several models to each batch.
_nets: dict[tuple[str, str], Net] = {}
_MAX_NETS = 4
_nets_lock = threading.Lock()


def valid_lengths(sequence: np.ndarray) -> np.ndarray:
    """The steps before the trailing padding, shape (n,), of sequences of shape (n, L)."""
    valid = sequence != PAD
    steps = sequence.shape[1]
    return np.where(valid.any(axis=1), steps - np.argmax(valid[:, ::-1], axis=1), 0)


def known_ids(sequences: pa.Array, vocabulary_size: int) -> pa.ListArray:
    """Lists of token ids, list<int32>, in which ids outside of the vocabulary are replaced by the unknown word."""
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
        Token ids. Rows shorter than the net's sequence length are padded, longer ones are cut. A null counts as
        empty, and an id outside of the vocabulary as the unknown word.
    batch_rows : int
        Rows in a batch of the net.
    """
    import torch

    device = next(net.parameters()).device
    ids, first, length = _flat(sequences, trained.sequence_length)
    logits = np.zeros(len(length))
    by_length = np.argsort(length, kind="stable")
    # With TensorFloat-32 a GPU's logits would differ from a CPU's by 1e-3.
    with torch.inference_mode(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for start in range(0, len(by_length), batch_rows):
            batch = by_length[start : start + batch_rows]
            steps = max(1, int(length[batch[-1]])) if net.trims else trained.sequence_length
            sequence = _rows(ids, first[batch], length[batch], steps, vocabulary_size=trained.vocabulary_size)
            inputs = (torch.from_numpy(array).to(device) for array in (sequence, length[batch]))
            logits[batch] = net(*inputs).cpu().numpy()
    return logits


def _flat(sequences: pa.Array, max_steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All ids in one array, the index of each row's first id, and each row's length, cut to `max_steps`."""
    counts = pc.list_value_length(sequences).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    first = np.cumsum(counts) - counts
    ids = sequences.flatten().fill_null(UNKNOWN).to_numpy(zero_copy_only=False)
    ends = first + np.minimum(counts, max_steps)
    words = np.flatnonzero(ids != PAD)
    last = words[np.searchsorted(words, ends) - 1] if len(words) else ends - 1 - counts
    return ids, first, np.clip(last + 1 - first, 0, None) * (last < ends)


def _rows(ids: np.ndarray, first: np.ndarray, length: np.ndarray, steps: int, *, vocabulary_size: int) -> np.ndarray:
    """The padded ids of rows, shape (n, steps), dtype=int32; ids outside of the vocabulary become the unknown word."""
    valid = np.arange(steps) < length[:, None]
    chosen = ids[(first[:, None] + np.arange(steps))[valid]]
    rows = np.zeros(valid.shape, np.int32)
    rows[valid] = np.where((chosen >= 0) & (chosen < vocabulary_size), chosen, UNKNOWN)
    return rows


class Predictor:
    """Computes the logits of a trained net; cheap to send, as it builds the module where it is called.

    Parameters
    ----------
    trained : TrainedNet
    batch_rows : int
        Rows in a batch of the net.
    """

    def __init__(self, trained: TrainedNet, batch_rows: int = PredictOptions.prediction_batch_size) -> None:
        self._trained, self._batch_rows = trained, batch_rows
        self._fingerprint = trained.fingerprint  # computed once, not in each task

    def __call__(self, sequences: pa.Array) -> np.ndarray:
        """The logits of a list<integer> array of length n, shape (n,), dtype=float64; see `logits_of`."""
        with _task_threads():
            return logits_of(self._net(), self._trained, sequences, batch_rows=self._batch_rows)

    def _net(self) -> Net:
        device = _device()
        key = self._fingerprint, device
        with _nets_lock:
            net = _nets.pop(key, None)
            if net is None:
                net = self._trained.module().to(device)
                while len(_nets) >= _MAX_NETS:
                    del _nets[next(iter(_nets))]
            _nets[key] = net
            return net


@contextlib.contextmanager
def _task_threads() -> Iterator[None]:
    """A block in which torch uses as many threads as the task has cores; outside of tasks its number is unchanged."""
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
    """The GPU that Spark assigned to this task, else the CPU: a GPU could not serve all tasks of a host at once."""
    task = TaskContext.get()
    given = given_gpu(task) if task else None
    if given is None:
        return "cpu"
    from sentispark.train.gathering import gpu_index, gpus_here

    index = gpu_index(given, os.environ.get("CUDA_VISIBLE_DEVICES"), gpus_here())
    if index is None:
        _log.warning(
            "Predictions run on the CPU: torch does not see GPU '%s', which Spark assigned to the task.", given
        )
        return "cpu"
    return f"cuda:{index}"
