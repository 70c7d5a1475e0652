"""Files of tensors are what the safetensors library reads."""

from __future__ import annotations

import numpy as np
import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st

from sentispark.train.tensor_file import tensor_file

TYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.uint8, torch.bool),
]
shapes = st.lists(st.integers(1, 4), max_size=3)
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5).filter("__metadata__".__ne__)


@given(st.dictionaries(names, st.tuples(st.sampled_from(TYPES), shapes), max_size=6), st.integers(0, 9))
def test_the_library_reads_the_same_tensors(layout, seed):
    rng = np.random.default_rng(seed)
    tensors = {name: torch.from_numpy(rng.normal(size=shape)).to(kind) for name, (kind, shape) in layout.items()}
    found = safetensors.torch.load(b"".join(tensor_file(tensors)))
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].shape == tensor.shape
        assert torch.equal(found[name], tensor)


def test_a_tensor_without_elements_has_no_bytes():
    """Early versions of the library cannot read one."""
    header = b'{"a":{"dtype":"F32","shape":[2,0],"data_offsets":[0,0]}}'
    assert b"".join(tensor_file({"a": torch.zeros(2, 0)}))[8:].rstrip() == header


def test_the_pieces_are_the_memory_of_the_tensors():
    tensor = torch.zeros(3)
    *_, piece = tensor_file({"a": tensor})
    tensor += 1
    assert bytes(piece) == tensor.numpy().tobytes()


def test_a_type_that_is_not_known_is_an_error():
    with pytest.raises(KeyError):
        tensor_file({"a": torch.zeros(1, dtype=torch.complex64)})
