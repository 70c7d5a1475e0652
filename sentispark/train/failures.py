"""Why a rank failed: its own fault, which would happen again, or something that a restart mends."""

from __future__ import annotations

import errno
import re

import torch
from torch import distributed

from sentispark.errors import RankLostError, RankMemoryError, SentisparkError, SetupError, TrainingError

__all__ = ["kind_of_failure"]

# Gloo, NCCL and the store raise RuntimeErrors; these are in their texts when another rank, or the way to it, is gone.
_LOST = re.compile(
    r"gloo/|Connection (closed|reset|refused)|Broken pipe|Timed out waiting|Socket Timeout|Failed to recv|"
    r"failed to send|NCCL (error|communicator)|connectFullMesh",
    re.IGNORECASE,
)
# Of gloo too, but ranks that do different things will do so again.
_DISAGREEMENT = re.compile(r"preamble\.length|Is there a distributed collective mismatch", re.IGNORECASE)
_MEMORY = re.compile(r"can('t|not) allocate memory|out of memory|bad_alloc|ALLOC_FAILED", re.IGNORECASE)
# What file systems say when they may answer the next time.
_PASSING = re.compile(r"timed? ?out|time-?out|could not connect|reduce your request rate|slow ?down", re.IGNORECASE)
_PASSING_NUMBERS = {errno.EIO, errno.ESTALE, errno.EBUSY, errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH}


def kind_of_failure(error: BaseException) -> type[TrainingError]:
    """The class of the error that tells others what happened on a rank."""
    text = str(error)
    if isinstance(error, TrainingError):
        return type(error)
    if isinstance(error, (torch.cuda.OutOfMemoryError, MemoryError)) or getattr(error, "errno", None) == errno.ENOMEM:
        return RankMemoryError
    if isinstance(error, (OSError, SetupError)):
        return RankLostError if _may_pass(error) else TrainingError
    if not isinstance(error, RuntimeError) or isinstance(error, SentisparkError) or _DISAGREEMENT.search(text):
        return TrainingError
    if _MEMORY.search(text):
        return RankMemoryError
    if isinstance(error, getattr(distributed, "DistError", ())) or _LOST.search(text):
        return RankLostError
    return TrainingError


def _may_pass(error: BaseException) -> bool:
    """Whether an error of a file system may be gone the next time."""
    passes = isinstance(error, (ConnectionError, TimeoutError)) or getattr(error, "errno", None) in _PASSING_NUMBERS
    return passes or _PASSING.search(str(error)) is not None
