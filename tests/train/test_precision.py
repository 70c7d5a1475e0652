"""The arithmetic of GPUs is set for a training and restored afterwards; that of CPUs is float32."""

import contextlib

import pytest
import torch

from sentispark.nn.options import NetOptions
from sentispark.nn.recurrent import RecurrentNet
from sentispark.train.precision import autocast, products

BACKENDS = (torch.backends.cuda.matmul, torch.backends.cudnn)


@pytest.mark.parametrize(("precision", "allowed"), [("float32", False), ("tf32", True), ("bfloat16", True)])
@pytest.mark.parametrize("before", [False, True])
def test_products_have_the_requested_precision_and_the_former_one_afterwards(precision, allowed, before):
    was = [backend.allow_tf32 for backend in BACKENDS]
    try:
        for backend in BACKENDS:
            backend.allow_tf32 = before
        with contextlib.suppress(ZeroDivisionError), products(precision):
            assert [backend.allow_tf32 for backend in BACKENDS] == [allowed, allowed]
            raise ZeroDivisionError
        assert [backend.allow_tf32 for backend in BACKENDS] == [before, before]
    finally:
        for backend, value in zip(BACKENDS, was, strict=True):
            backend.allow_tf32 = value


@pytest.mark.parametrize("precision", ["float32", "tf32", "bfloat16"])
def test_a_cpu_always_computes_in_float32(precision):
    with autocast(torch.device("cpu"), precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


@pytest.mark.filterwarnings("ignore:CUDA is not available")
@pytest.mark.parametrize(("precision", "casts"), [("float32", False), ("tf32", False), ("bfloat16", True)])
def test_a_gpu_uses_autocast_only_if_requested(precision, casts):
    context = autocast(torch.device("cuda", 0), precision)
    assert isinstance(context, torch.autocast) == casts
    if casts:
        assert (context.device, context.fast_dtype) == ("cuda", torch.bfloat16)


@pytest.mark.parametrize("bidirectional", [True, False])
def test_an_lstm_is_excluded_from_autocast_and_the_rest_is_not(bidirectional):
    """On a CPU, where autocast can be watched: on a GPU it would run an LSTM in float16."""
    net = RecurrentNet(10, NetOptions(embedding_size=4, hidden_size=4, bidirectional=bidirectional, wide_size=5))
    seen = {}
    for name, module in net.named_modules():
        if isinstance(module, (torch.nn.LSTM, torch.nn.Linear)):
            module.register_forward_hook(
                lambda module, given, out, name=name: seen.update(
                    {name: ((out[0] if isinstance(out, tuple) else out).dtype, type(module))}
                )
            )
    sequence, length = torch.tensor([[2, 3, 0]]), torch.tensor([2])
    with torch.autocast("cpu", torch.bfloat16):
        net(sequence, length).sum().backward()
        assert torch.is_autocast_enabled("cpu")
    kinds = {kind: {dtype for dtype, other in seen.values() if other is kind} for _, kind in seen.values()}
    assert kinds == {torch.nn.LSTM: {torch.float32}, torch.nn.Linear: {torch.bfloat16}}
    assert {parameter.grad.dtype for parameter in net.parameters()} == {torch.float32}
