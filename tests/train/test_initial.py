"""Trainings that start from a trained net."""

from __future__ import annotations

import dataclasses

import pytest
import safetensors.torch
import torch

from sentispark.dataset.dataset import open_dataset
from sentispark.errors import DatasetError, OptionError, TrainingError
from sentispark.files import Folder
from sentispark.nn.options import NetOptions
from sentispark.train.config import TrainConfig
from sentispark.train.initial import check_initial, initial_net
from sentispark.train.options import TrainOptions
from sentispark.train.run import run_rank
from sentispark.train.world import World
from tests.helpers.toy import toy_rows, write_toy

NET = NetOptions(embedding_size=8, hidden_size=8, wide_size=50)
OPTIONS = TrainOptions(max_epochs=1, batch_size=20, reader="arrow", learning_rate=0.02)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return write_toy(tmp_path_factory.mktemp("toy") / "dataset", {"train": toy_rows(200), "validation": toy_rows(50)})


def trained(path, **options):
    return run_rank(TrainConfig(path, dataclasses.replace(OPTIONS, **options), NET), World(threads=1))


@pytest.fixture(scope="module")
def model(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("model") / "net"
    trained(toy).save(Folder(str(folder)))
    return str(folder)


def test_the_weights_of_the_model_are_the_start(toy, model):
    expected = safetensors.torch.load(initial_net(model).weights)
    # With a learning rate that is next to nothing, the weights of the start are those of the end.
    still = {"learning_rate": 1e-12, "wide_learning_rate": 1e-12, "weight_decay": 0.0}
    found = safetensors.torch.load(trained(toy, initial_model=model, **still).weights)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        torch.testing.assert_close(found[name], tensor, rtol=0, atol=1e-6)


def test_it_learns_further(toy, model):
    first = initial_net(model).history[-1]["validation"]["log_loss"]
    assert trained(toy, initial_model=model).history[-1]["validation"]["log_loss"] < first


def test_a_net_of_another_shape_is_refused_with_each_difference(toy, model):
    other = dataclasses.replace(NET, hidden_size=9, cell="gru", dropout=0.9)
    with pytest.raises(OptionError) as caught:
        check_initial(initial_net(model), open_dataset(toy), other)
    assert str(caught.value) == (
        "The net's options must match those of 'initialModel': 'cell' is gru, but the model has lstm; 'hiddenSize' is "
        "9, but the model has 8. Use the model's values."
    )


def test_ids_that_the_model_does_not_know_are_refused(model, tmp_path):
    wide = write_toy(tmp_path / "wide", {"train": toy_rows(20)}, vocabulary_size=99)
    with pytest.raises(TrainingError, match=r"Token ids must be below the 12 of 'initialModel'. The largest is 98\."):
        trained(wide, initial_model=model)


def test_a_dataset_with_fewer_ids_keeps_those_of_the_model(model, tmp_path):
    few = write_toy(tmp_path / "few", {"train": toy_rows(40)}, vocabulary_size=12)
    assert trained(few, initial_model=model).vocabulary_size == 12


def test_another_vocabulary_is_refused(toy, model):
    dataset = open_dataset(toy)
    other = dataclasses.replace(dataset, manifest=dataclasses.replace(dataset.manifest, vocabulary_fingerprint="x"))
    with pytest.raises(OptionError, match=r"The dataset must have the vocabulary of 'initialModel'\. It has another"):
        check_initial(initial_net(model), other, NET)


@pytest.mark.parametrize("name", ["none", "."])
def test_a_folder_without_a_net_is_refused(tmp_path, name):
    with pytest.raises(DatasetError, match=r"'initialModel' must be the folder of a trained model\. .* holds 0 nets\."):
        initial_net(str(tmp_path / name))


def test_a_model_and_vectors_exclude_each_other():
    with pytest.raises(OptionError, match=r"'initialModel' brings word vectors of its own"):
        TrainOptions(initial_model="a", embedding_path="b")
