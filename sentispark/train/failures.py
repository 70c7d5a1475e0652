"""Why a rank failed: its own fault, which would happen again, or something that a restart mends."""

from __future__ import annotations

import re

import torch
from torch import distributed

from sentispark.errors import RankLostError, RankMemoryError, SentisparkError, TrainingError

__all__ = ["kind_of_failure"]

# Gloo, NCCL and the store raise RuntimeErrors; these are in their texts when another rank, or the way to it, is gone.
_LOST = re.compile(
    r"gloo/|Connection (closed|reset|refused)|Broken pipe|Timed out waiting|Socket Timeout|Failed to recv|"
    r"failed to send|NCCL (error|communicator)|connectFullMesh|The store is gone",
    re.IGNORECASE,
)
_MEMORY = re.compile(r"can't allocate memory|out of memory|bad_alloc", re.IGNORECASE)


def kind_of_failure(error: BaseException) -> type[TrainingError]:
    """The class of the error that tells others what happened on a rank."""
    if isinstance(error, TrainingError):
        return type(error)
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)):
        return RankMemoryError
    if isinstance(error, (ConnectionError, TimeoutError)):  # of a file system
        return RankLostError
    if not isinstance(error, RuntimeError) or isinstance(error, SentisparkError):
        return TrainingError
    text = str(error)
    if _MEMORY.search(text):
        return RankMemoryError
    if isinstance(error, getattr(distributed, "DistError", ())) or _LOST.search(text):
        return RankLostError
    return TrainingError
