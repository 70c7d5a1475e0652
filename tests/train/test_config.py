"""A run's config as JSON and back, and the errors about configs that cannot be run."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.errors import OptionError
from sentispark.nn.options import NetOptions, reference_net
from sentispark.train.config import TrainConfig
from sentispark.train.options import CheckpointOptions, TrainOptions

trainings = st.builds(
    TrainOptions,
    max_epochs=st.integers(1, 50),
    batch_size=st.integers(1, 10**6),
    learning_rate=st.floats(1e-9, 10),
    optimizer=st.sampled_from(["adamw", "sgd"]),
    micro_batch_size=st.one_of(st.none(), st.integers(1, 99)),
    gradient_wire=st.sampled_from(["float32", "float16", "bfloat16", "powersgd", "rows", "rows_bfloat16", "auto"]),
    balance=st.sampled_from(["auto", "epoch", "off"]),
    balance_limit=st.floats(1, 100),
    momentum=st.floats(0, 0.999),
    weight_decay=st.floats(0, 1),
    wide_learning_rate=st.floats(1e-9, 10),
    learning_rate_scaling=st.sampled_from(["none", "linear", "sqrt"]),
    base_batch_size=st.integers(1, 10**6),
    embedding_path=st.none() | st.text(),
    label_smoothing=st.floats(0, 0.99),
    target_loss=st.one_of(st.none(), st.floats(1e-6, 10)),
    patience=st.one_of(st.none(), st.integers(1, 99)),
    schedule=st.sampled_from(["cosine", "linear", "constant", "one_cycle"]),
    warmup_share=st.floats(0, 1),
    gradient_clip=st.one_of(st.none(), st.floats(1e-6, 1e6)),
    positive_weight=st.one_of(st.just("balanced"), st.floats(1e-6, 1e6)),
    keep=st.sampled_from(["best", "last"]),
    seed=st.integers(0, 2**31 - 1),
    device=st.sampled_from(["auto", "cpu", "cuda"]),
    precision=st.sampled_from(["float32", "tf32", "bfloat16"]),
    reader=st.sampled_from(["auto", "petastorm", "arrow"]),
)
nets = st.builds(
    NetOptions,
    embedding_size=st.integers(1, 500),
    dropout=st.floats(0, 0.99),
    bidirectional=st.booleans(),
    head_layers=st.lists(st.integers(1, 64), max_size=3),
)


def sentence(content):
    with pytest.raises(OptionError) as caught:
        TrainConfig.from_json(content if isinstance(content, str) else json.dumps(content))
    return str(caught.value)


sizes = st.lists(st.tuples(st.integers(0), st.lists(st.integers(0)).map(tuple))).map(sorted).map(tuple)


@given(st.builds(TrainConfig, st.text(), trainings, nets, st.none() | sizes))
def test_a_config_is_the_same_after_being_written_and_read(config):
    assert TrainConfig.from_json(config.to_json()) == config


def test_the_reference_net_travels_too():
    config = TrainConfig("data", net=reference_net())
    assert TrainConfig.from_json(config.to_json()).net == reference_net()


def test_options_that_are_left_out_have_their_defaults():
    assert TrainConfig.from_json('{"dataset": "data"}') == TrainConfig("data", TrainOptions(), NetOptions())
    partial = TrainConfig.from_json('{"dataset": "data", "train": {"batch_size": 8}, "net": {"hidden_size": 4}}')
    assert partial == TrainConfig("data", TrainOptions(batch_size=8), NetOptions(hidden_size=4))


def test_a_whole_number_is_accepted_as_a_fraction():
    assert TrainConfig.from_json('{"dataset": "data", "train": {"learning_rate": 1}}').train.learning_rate == 1


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (
            {"dataset": "d", "train": {"batchsize": 8}},
            "'batchsize' is not an option of 'train'. Did you mean 'batch_size'?",
        ),
        ({"dataset": "d", "net": {"batchsize": 1}}, "'batchsize' is not an option of 'net'."),
        ({"dataset": "d", "trian": {}}, "'trian' is not an option of the config. Did you mean 'train'?"),
        ({"dataset": "d", "zzz": {}}, "'zzz' is not an option of the config."),
    ],
)
def test_an_unknown_name_gets_a_hint_if_a_similar_one_exists(content, expected):
    assert sentence(content) == expected


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("max_epochs", 0, "a whole number of at least 1"),
        ("max_epochs", 2.0, "a whole number of at least 1"),
        ("batch_size", True, "a whole number of at least 1"),
        ("micro_batch_size", 0, "a whole number of at least 1 or none"),
        ("gradient_wire", "int8", "one of auto, float32, float16, bfloat16, powersgd, rows, rows_bfloat16"),
        ("balance", "on", "one of auto, epoch, off"),
        ("balance_limit", 0.5, "a number of at least 1"),
        ("learning_rate", 0, "a number above 0"),
        ("learning_rate", float("nan"), "a number above 0"),
        ("wide_learning_rate", 0, "a number above 0"),
        ("optimizer", "adam", "one of adamw, sgd"),
        ("momentum", 1, "a number of at least 0 and below 1"),
        ("weight_decay", -1, "a number of at least 0"),
        ("learning_rate_scaling", "log", "one of none, linear, sqrt"),
        ("base_batch_size", 0, "a whole number of at least 1"),
        ("embedding_path", 5, "a string or none"),
        ("initial_model", 5, "a string or none"),
        ("label_smoothing", 1, "a number of at least 0 and below 1"),
        ("target_loss", 0, "a number above 0 or none"),
        ("patience", 0, "a whole number of at least 1 or none"),
        ("schedule", "step", "one of cosine, linear, constant, one_cycle"),
        ("warmup_share", 1.5, "a number of at least 0 and at most 1"),
        ("gradient_clip", 0, "a number above 0 or none"),
        ("gradient_clip", "off", "a number above 0 or none"),
        ("positive_weight", 0, "a number above 0 or balanced"),
        ("keep", "all", "one of best, last"),
        ("seed", -1, "a whole number of at least 0 and at most 2147483647"),
        ("device", "tpu", "one of auto, cpu, cuda"),
        ("precision", "float16", "one of float32, tf32, bfloat16"),
        ("reader", "csv", "one of auto, petastorm, arrow"),
    ],
)
def test_each_training_option_is_checked_against_its_rule(name, value, rule):
    assert sentence({"dataset": "d", "train": {name: value}}) == f"'{name}' must be {rule}. Got {value!r}."


def test_net_options_are_checked_against_their_rules():
    assert sentence({"dataset": "d", "net": {"head_layers": [8, 0]}}) == (
        "'head_layers' must be a list, each entry a whole number of at least 1. Got (8, 0)."
    )


@pytest.mark.parametrize("value", [0, -5, 1.5, True, "60", "0s", "1.5s", "60 s", "s", "-1s", "60m", "١s"])
def test_an_interval_is_steps_or_seconds(value):
    assert sentence({"dataset": "d", "checkpoints": {"checkpoint_interval": value}}) == (
        f"'checkpoint_interval' must be a whole number of at least 1 or seconds such as 60s or none. Got {value!r}."
    )


def test_an_interval_is_known_by_its_unit():
    assert (CheckpointOptions(None, 500).interval_steps, CheckpointOptions(None, 500).interval_seconds) == (500, None)
    assert (CheckpointOptions(None, "60s").interval_steps, CheckpointOptions(None, "60s").interval_seconds) == (
        None,
        60,
    )


def test_every_training_option_is_in_this_test():
    tried = next(
        mark.args[1]
        for mark in test_each_training_option_is_checked_against_its_rule.pytestmark
        if mark.name == "parametrize"
    )
    assert {name for name, _, _ in tried} == {field.name for field in dataclasses.fields(TrainOptions)}


@pytest.mark.parametrize("sizes", [3, [3], [[0]], [[0, 3]], [["a", [1]]]])
def test_recorded_sizes_are_pairs_of_a_step_and_sizes(sizes):
    assert sentence({"dataset": "d", "batch_sizes": sizes}) == (
        f"'batch_sizes' must be pairs of a step and the batch sizes from that step on. Got {sizes!r}."
    )


@pytest.mark.parametrize("content", ["[]", "{}", '"text"', "3", "null", '{"train": {}}'])
def test_a_config_names_a_dataset(content):
    assert sentence(content) == "The config must be a JSON object with a 'dataset'. It has none."


def test_a_text_that_is_not_json_is_an_error_with_its_position():
    assert sentence("{dataset") == (
        "The config must be JSON. It is not: "
        "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)."
    )


@pytest.mark.parametrize("part", ["train", "net"])
@pytest.mark.parametrize("value", [None, [], [1], "text", 3])
def test_a_part_that_is_not_an_object_is_an_error(part, value):
    assert sentence({"dataset": "d", part: value}) == f"'{part}' must be a JSON object. Got {value!r}."


@pytest.mark.parametrize("value", [None, 5, ["d"], {}])
def test_a_dataset_that_is_not_a_string_is_an_error(value):
    assert sentence({"dataset": value}) == f"'dataset' must be a path or URL. Got {value!r}."
