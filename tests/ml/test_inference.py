"""Where predictions are computed and with how many threads; torch's own number of threads does not change."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pyarrow as pa
import pytest
import torch

from sentispark.ml import inference
from sentispark.ml.inference import Predictor
from sentispark.nn.options import NetOptions
from sentispark.nn.recurrent import RecurrentNet
from sentispark.train import gathering
from sentispark.train.result import TrainedNet

NET = NetOptions(embedding_size=4, hidden_size=4, wide_size=5)


def new_predictor():
    """A predictor of a net with new random weights."""
    import safetensors.torch

    weights = safetensors.torch.save(RecurrentNet(10, NET).state_dict())
    return Predictor(TrainedNet(NET, 10, 4, weights, history=[], run={}))


@pytest.fixture
def predictor():
    return new_predictor()


@pytest.fixture
def task(monkeypatch):
    """A function that makes this process look like a task with a number of cores and perhaps a GPU."""

    def become(cpus=1, gpu=None):
        resources = {"gpu": SimpleNamespace(addresses=[gpu])} if gpu else {}
        context = SimpleNamespace(cpus=lambda: cpus, resources=lambda: resources)
        monkeypatch.setattr(inference, "TaskContext", SimpleNamespace(get=lambda: context))

    return become


@pytest.fixture(autouse=True)
def three_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def threads_of(predictor, monkeypatch):
    """Torch's number of threads during a prediction."""
    seen, plain = [], inference.logits_of
    monkeypatch.setattr(
        inference,
        "logits_of",
        lambda *args, **kwargs: (seen.append(torch.get_num_threads()), plain(*args, **kwargs))[1],
    )
    assert len(predictor(pa.array([[2, 3], [4]]))) == 2
    return seen


def test_alternating_models_are_built_once_and_the_cache_is_bounded(monkeypatch):
    built, plain = [], TrainedNet.module
    monkeypatch.setattr(TrainedNet, "module", lambda trained: (built.append(trained), plain(trained))[1])
    monkeypatch.setattr(inference, "_nets", {})
    predictors = [new_predictor() for _ in range(inference._MAX_NETS + 1)]
    for predictor in 3 * predictors[:-1]:
        predictor(pa.array([[2, 3]]))
    assert len(built) == inference._MAX_NETS
    for predictor in (predictors[0], predictors[-1], predictors[0]):
        predictor(pa.array([[2, 3]]))
    assert len(built) == inference._MAX_NETS + 1  # the least recently used net was dropped
    predictors[1](pa.array([[2, 3]]))
    assert len(built) == inference._MAX_NETS + 2
    assert len(inference._nets) == inference._MAX_NETS


def test_threads_that_share_a_model_build_it_once(predictor, monkeypatch):
    built, plain = [], TrainedNet.module
    monkeypatch.setattr(TrainedNet, "module", lambda trained: (built.append(trained), plain(trained))[1])
    monkeypatch.setattr(inference, "_nets", {})
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(predictor, [pa.array([[2, 3]])] * 8))
    assert len(built) == 1


def test_in_the_driver_torch_keeps_its_threads(predictor, monkeypatch):
    assert threads_of(predictor, monkeypatch) == [3]
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize("cpus", [1, 2])
def test_a_task_uses_its_own_cores_and_resets_torchs_threads(predictor, task, monkeypatch, cpus):
    task(cpus)
    assert threads_of(predictor, monkeypatch) == [cpus]
    assert torch.get_num_threads() == 3


@pytest.mark.parametrize(
    ("given", "listed", "expected"),
    [("1", None, "cuda:1"), ("GPU-u1", None, "cuda:1"), ("MIG-7", "MIG-7", "cuda:0"), ("GPU-u9", None, "cpu")],
)
def test_predictions_are_computed_on_the_gpu_that_spark_assigned(task, monkeypatch, caplog, given, listed, expected):
    monkeypatch.setattr(gathering, "gpus_here", lambda: ("u0", "u1"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if listed:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    task(gpu=given)
    assert inference._device() == expected
    assert ("torch does not see GPU 'GPU-u9'" in caplog.text) == (expected == "cpu")


def test_without_a_gpu_of_its_own_a_task_predicts_on_the_cpu(task):
    task()
    assert inference._device() == "cpu"
