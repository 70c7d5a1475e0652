"""Which errors of a rank a restart may mend."""

from __future__ import annotations

import errno

import pytest
import torch
from torch import distributed

from sentispark.errors import (
    DatasetError,
    OptionError,
    PreemptedError,
    RankLostError,
    RankMemoryError,
    SetupError,
    TrainingError,
)
from sentispark.train.failures import kind_of_failure

LOST = [
    RuntimeError("[../gloo/transport/tcp/pair.cc:553] Connection closed by peer [127.0.0.1]:30614"),
    RuntimeError(
        "[../gloo/transport/tcp/unbound_buffer.cc:84] Timed out waiting 4000ms for recv operation to complete"
    ),
    RuntimeError("NCCL communicator was aborted on rank 1."),
    RuntimeError("Broken pipe"),
    ConnectionResetError(104, "Connection reset by peer"),
    TimeoutError("timed out"),
    OSError(errno.ESTALE, "Stale file handle"),
    OSError(errno.EIO, "Input/output error"),
    OSError(errno.EBUSY, "Please reduce your request rate."),
    SetupError("'s3://b' cannot be reached: Could not connect to the endpoint URL."),
    SetupError("'s3://b' cannot be reached: Read timeout on endpoint URL."),
]
MEMORY = [
    MemoryError(),
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
]
FINAL = [
    ValueError("no"),
    KeyError("no"),
    DatasetError("damaged"),
    OptionError("no"),
    TrainingError("The loss of epoch 1 is nan."),
    RuntimeError("mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)"),
    RuntimeError("[enforce fail at ../gloo/transport/tcp/pair.cc:456] op.preamble.length <= op.nbytes. 1332 vs 16."),
    FileNotFoundError(2, "No such file or directory"),
    PermissionError(13, "Permission denied"),
    OSError(errno.ENOSPC, "No space left on device"),
    SetupError("'s3://b' cannot be reached: Unable to locate credentials."),
]


@pytest.mark.parametrize("error", LOST, ids=str)
def test_a_lost_rank_or_connection_is_one(error):
    assert kind_of_failure(error) is RankLostError


@pytest.mark.parametrize("error", MEMORY, ids=str)
def test_memory_that_ran_out_is_told_apart(error):
    assert kind_of_failure(error) is RankMemoryError


@pytest.mark.parametrize("error", FINAL, ids=str)
def test_everything_else_would_fail_again(error):
    assert kind_of_failure(error) is TrainingError


@pytest.mark.skipif(not hasattr(distributed, "DistNetworkError"), reason="torch has no such class")
def test_errors_of_the_store_are_lost_connections():
    assert kind_of_failure(distributed.DistNetworkError("failed to recv, got 0 bytes")) is RankLostError


@pytest.mark.parametrize("kind", [PreemptedError, RankLostError, RankMemoryError])
def test_an_error_that_says_what_it_is_stays_that(kind):
    assert kind_of_failure(kind("x")) is kind
