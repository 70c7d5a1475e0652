"""A trained net as one file that runs without sentispark and without Spark.

Both formats take `sequence`, int64 of shape (n, T), padded on the right with 0, and `length`, int64 of shape (n,), the
steps before the padding; both give `logit`, float32 of shape (n,).
"""

from __future__ import annotations

import importlib.util
import io
import warnings
from typing import TYPE_CHECKING

from sentispark.errors import SetupError

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sentispark.train.result import TrainedNet

__all__ = ["onnx_of", "torch_program_of"]

# The oldest opset that is tested: older opsets are supported by more runtimes.
_OPSET = 17


def onnx_of(trained: TrainedNet) -> bytes:
    """The net in the ONNX format, for any n and T from 1 on.

    The pooling `padded_last` reads the last column, so with it T must be the net's sequence length.

    Raises
    ------
    SetupError
        If the package 'onnx' is not installed.
    """
    if importlib.util.find_spec("onnx") is None:
        raise SetupError("ONNX files need the package 'onnx'. It is not installed: pip install 'sentispark[onnx]'.")
    import torch

    file = io.BytesIO()
    with warnings.catch_warnings():
        # One of the warnings is about negative indices, which the net does not use.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _module(trained),
            _example(trained.sequence_length),
            file,  # type: ignore[arg-type]  # files work too, but torch does not declare them
            input_names=["sequence", "length"],
            output_names=["logit"],
            dynamic_axes={"sequence": {0: "n", 1: "T"}, "length": {0: "n"}, "logit": {0: "n"}},
            opset_version=_OPSET,
            dynamo=False,  # the newer exporter unrolls an LSTM to a fixed number of steps
        )
    return file.getvalue()


def torch_program_of(trained: TrainedNet) -> bytes:
    """The net in the format of `torch.export.load`, for any n from 1 on; T must be the net's sequence length."""
    import torch

    file, rows = io.BytesIO(), torch.export.Dim("n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about an LSTM's weights, which the module also holds in a list
        program = torch.export.export(
            _module(trained),
            _example(trained.sequence_length),
            dynamic_shapes={"sequence": {0: rows}, "length": {0: rows}},
        )
    torch.export.save(program, file)
    return file.getvalue()


def _module(trained: TrainedNet) -> nn.Module:
    from torch import nn

    net = trained.module()
    assert isinstance(net, nn.Module), "Net describes a module"
    return net


def _example(steps: int) -> tuple[Tensor, Tensor]:
    """A batch for tracing the net: a full row and, if there is more than one step, a padded one."""
    import torch

    length = torch.tensor([steps, (steps + 1) // 2])
    sequence = (torch.arange(steps) < length.unsqueeze(1)).long()
    return sequence, length
