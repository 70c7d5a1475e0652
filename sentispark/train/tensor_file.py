"""Tensors as a file in the safetensors format, piece by piece: without a copy of them in memory.

The format (https://huggingface.co/docs/safetensors, "Format"): the length of the header in 8 bytes, little-endian; the
header, JSON with the type, shape and range of bytes of each tensor; and the bytes of the tensors, one after the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["tensor_file"]

_TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_ALIGNED = 8  # bytes


def tensor_file(tensors: Mapping[str, Tensor]) -> list[bytes | memoryview]:
    """The pieces of a file with these tensors, which must be contiguous and on the CPU. Pieces refer to their memory.

    >>> b"".join(tensor_file({"a": torch.ones(1, dtype=torch.uint8)}))[8:]
    b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}   \\x01'
    """
    header, pieces, end = {}, [], 0
    # The largest elements first, so that each tensor is aligned.
    for name, tensor in sorted(tensors.items(), key=lambda one: -one[1].element_size()):
        begin, end = end, end + tensor.nbytes
        header[name] = {"dtype": _TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [begin, end]}
        if tensor.nbytes:
            pieces.append(tensor.detach().reshape(-1).view(torch.uint8).numpy().data)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNED)
    return [len(text).to_bytes(8, "little"), text, *pieces]
