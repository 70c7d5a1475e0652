"""The precision of GPUs' arithmetic; CPUs always compute in float32, as bfloat16 gains nothing there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

__all__ = ["autocast", "products"]


@contextlib.contextmanager
def products(precision: str) -> Iterator[None]:
    """In this context matrix products of float32 numbers on GPUs are exact for "float32" and in TF32 otherwise.

    TF32 keeps 10 of the factors' 23 bits and adds up in float32.
    """
    backends: tuple[Any, ...] = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [backend.allow_tf32 for backend in backends]
    for backend in backends:
        backend.allow_tf32 = precision != "float32"
    try:
        yield
    finally:
        for backend, allowed in zip(backends, before, strict=True):
            backend.allow_tf32 = allowed


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[None]:
    """In this context a net on a GPU computes in bfloat16, if `precision` says so; its weights stay float32.

    The LSTM is excluded: torch's autocast would run it in float16, in which small gradients underflow.
    """
    if device.type != "cuda" or precision != "bfloat16":
        return contextlib.nullcontext()
    return torch.autocast("cuda", torch.bfloat16)
