"""Exported nets give the net's logits in other runtimes."""

from __future__ import annotations

import dataclasses
import html
import io
import sys

import numpy as np
import pytest
import safetensors.torch
import torch

from sentispark import LSTMClassificationModel
from sentispark.errors import InputError, SetupError
from sentispark.ml.export import onnx_of, torch_program_of
from sentispark.nn.options import NetOptions, reference_net
from sentispark.nn.recurrent import RecurrentNet
from sentispark.train.result import TrainedNet

WORDS, L = 30, 12
NETS = {
    "default": NetOptions(embedding_size=6, hidden_size=5, wide_size=50),
    "reference": reference_net(),
    "two layers": NetOptions(
        embedding_size=6, hidden_size=5, num_layers=2, pooling="last", head_layers=(4,), wide_size=0
    ),
    "gru": NetOptions(cell="gru", embedding_size=6, hidden_size=5, wide_size=50),
    "one direction": NetOptions(embedding_size=6, hidden_size=5, bidirectional=False, pooling="mean", wide_size=0),
}


@pytest.fixture(scope="module", params=NETS)
def trained(request):
    torch.manual_seed(0)
    net = RecurrentNet(WORDS, NETS[request.param])
    state = {name: torch.randn_like(value) for name, value in net.state_dict().items()}
    return TrainedNet(NETS[request.param], WORDS, L, safetensors.torch.save(state), history=[], run={})


def batches(steps):
    """Sequences and lengths of several rows, of one row, and of rows without a word."""
    generator = np.random.default_rng(steps)
    for length in ([steps, 3, 0, 1], [steps - 1], [0, 0]):
        length = np.minimum(length, steps)
        ids = generator.integers(1, WORDS, (len(length), steps))
        yield ids * (np.arange(steps) < length[:, None]), length


def assert_same(logits, trained, sequence, length):
    with torch.inference_mode():
        expected = trained.module()(torch.from_numpy(sequence), torch.from_numpy(length)).numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-5, atol=1e-5)


def test_onnxruntime_gives_the_nets_logits_for_any_number_of_rows_and_steps(trained):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(onnx_of(trained))
    # A net that reads its last padded column takes only its own sequence length, as it does within sentispark.
    for steps in (L,) if trained.options.pooling == "padded_last" else (L, 1, 5, 40):
        for sequence, length in batches(steps):
            logits = session.run(["logit"], {"sequence": sequence, "length": length})[0]
            assert_same(logits, trained, sequence, length)


def test_a_torch_program_gives_the_nets_logits_for_any_number_of_rows(trained):
    program = torch.export.load(io.BytesIO(torch_program_of(trained))).module()
    for sequence, length in batches(L):
        logits = program(torch.from_numpy(sequence), torch.from_numpy(length)).detach().numpy()
        assert_same(logits, trained, sequence, length)


def test_a_model_writes_both_as_files(model, tmp_path):
    pytest.importorskip("onnx")
    model.exportOnnx(f"{tmp_path}/new/net.onnx")
    model.exportTorch(f"{tmp_path}/net.pt2")
    for folder in (f"{tmp_path}/", str(tmp_path)):
        with pytest.raises(InputError, match="'path' must name a file"):
            model.exportTorch(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["net.pt2", "new"]
    assert (tmp_path / "new" / "net.onnx").read_bytes() == onnx_of(model.trained)
    assert isinstance(torch.export.load(tmp_path / "net.pt2"), torch.export.ExportedProgram)


@pytest.mark.usefixtures("spark")
def test_a_file_that_cannot_be_written_is_refused_before_the_net_is_traced(model, tmp_path, monkeypatch):
    monkeypatch.setattr("sentispark.ml.model.torch_program_of", lambda trained: pytest.fail("it is traced"))
    (tmp_path / "file").touch()
    for path in ("/proc/none/net.pt2", f"{tmp_path}/file/net.pt2"):
        with pytest.raises(SetupError, match=f"^'{path}' cannot be written to"):
            model.exportTorch(path)
    with pytest.raises(InputError, match="Got an empty path"):
        model.exportTorch("")


def test_without_the_package_onnx_the_error_names_the_extra_to_install(trained, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(SetupError, match=r"pip install 'sentispark\[onnx\]'"):
        onnx_of(trained)


@pytest.mark.usefixtures("spark")
def test_a_notebook_shows_how_a_model_was_trained(model):
    shown = model._repr_html_()
    assert shown.count("<tr>") + shown.count("<tr style") == 1 + len(model.summary.history)
    assert shown.count("font-weight: bold") == 1
    assert f"{model.summary.history[-1]['train_loss']:.4f}" in shown
    assert LSTMClassificationModel()._repr_html_().endswith("no trained net</div>")


@pytest.mark.usefixtures("spark")
def test_a_notebook_shows_escaped_text_whatever_the_files_hold(trained):
    evil = "<script>alert(1)</script>"
    run = {**trained.run, "workers": evil}
    history = [{**epoch, "epoch": evil} for epoch in trained.history]
    model = LSTMClassificationModel.from_trained(
        dataclasses.replace(trained, sequence_length=evil, history=history, run=run)
    )
    model._resetUid(evil)
    assert evil not in model._repr_html_()
    assert model._repr_html_().count(html.escape(evil)) == 3 + len(history)
    empty = LSTMClassificationModel()
    empty._resetUid(evil)
    assert evil not in empty._repr_html_()
