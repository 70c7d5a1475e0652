"""Which trainings may continue from each other's checkpoints."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.dataset.dataset import open_dataset
from sentispark.errors import DatasetError
from sentispark.nn.options import NetOptions, reference_net
from sentispark.train.config import TrainConfig
from sentispark.train.identity import identity_of, require_same
from sentispark.train.options import CheckpointOptions, TrainOptions
from tests.helpers.toy import toy_rows, write_toy


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return write_toy(tmp_path_factory.mktemp("toy") / "dataset", {"train": toy_rows(20)})


def identity(path, *, train=None, net=None):
    config = TrainConfig(path, train or TrainOptions(), net or NetOptions(), checkpoints=CheckpointOptions("any"))
    return json.loads(json.dumps(identity_of(open_dataset(path), config)))


FREE = {"balance": "off", "balance_limit": 2.0, "device": "cpu", "micro_batch_size": 5, "reader": "arrow"}


@given(st.sets(st.sampled_from(sorted(FREE))))
def test_options_of_where_and_how_may_differ(toy, names):
    changed = dataclasses.replace(TrainOptions(), **{name: FREE[name] for name in names})
    require_same(identity(toy), identity(toy, train=changed), epochs=0, folder="run")


@pytest.mark.parametrize("field", [field.name for field in dataclasses.fields(TrainOptions)])
def test_every_other_option_makes_another_training(toy, field):
    before, after = identity(toy), identity(toy)
    after["train"][field] = "something else" if field != "max_epochs" else 7
    if field in FREE:
        require_same(before, after, epochs=0, folder="run")
        return
    with pytest.raises(DatasetError) as caught:
        require_same(before, after, epochs=0, folder="run")
    assert str(caught.value).startswith("'run' holds a checkpoint of another training: '")


def test_an_option_that_an_earlier_version_did_not_have_is_named(toy):
    before = identity(toy)
    del before["train"]["label_smoothing"]
    with pytest.raises(DatasetError, match=r"'labelSmoothing' was unknown and is 0\.0\."):
        require_same(before, identity(toy), epochs=0, folder="run")


def test_another_net_is_another_training(toy):
    with pytest.raises(DatasetError, match=r"'pooling' was 'max_mean' and is 'padded_last'"):
        require_same(identity(toy), identity(toy, net=reference_net()), epochs=0, folder="run")
