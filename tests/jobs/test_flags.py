"""Flags, options and the options page agree, as all derive from one declaration."""

import argparse
from pathlib import Path

import pytest

from sentispark.jobs.flags import add_flags, options_from_flags
from sentispark.jobs.options_page import options_page
from sentispark.ml.options import FitOptions, PredictOptions
from sentispark.nn.options import NetOptions
from sentispark.reviews.options import ReviewOptions
from sentispark.text.options import TextOptions
from sentispark.train.options import TrainOptions

ALL = [ReviewOptions, TextOptions, NetOptions, TrainOptions, FitOptions, PredictOptions]


def parse(options_class, *words):
    parser = argparse.ArgumentParser()
    add_flags(parser, options_class)
    return options_from_flags(parser.parse_args(words), options_class)


@pytest.mark.parametrize("options_class", ALL)
def test_without_flags_options_have_their_defaults(options_class):
    assert parse(options_class) == options_class()


@pytest.mark.parametrize(
    ("options_class", "words", "name", "value"),
    [
        (TextOptions, ["--vocab-size", "7"], "vocab_size", 7),
        (TextOptions, ["--stop-words", "english"], "stop_words", "english"),
        (TextOptions, ["--stop-words", "the,a"], "stop_words", ("the", "a")),
        (TextOptions, ["--stop-words", "the"], "stop_words", ("the",)),
        (ReviewOptions, ["--positive-from", "3.5"], "positive_from", 3.5),
        (ReviewOptions, ["--positive-from", "good"], "positive_from", "good"),
        (ReviewOptions, ["--negative-to", "-1"], "negative_to", -1),
        (ReviewOptions, ["--rating-scale", "bad,ok,good"], "rating_scale", "bad,ok,good"),
        (ReviewOptions, ["--rating-scale=-1-1"], "rating_scale", "-1-1"),
        (TrainOptions, ["--patience", "2"], "patience", 2),
        (TrainOptions, ["--target-loss", "0.3"], "target_loss", 0.3),
        (TrainOptions, ["--micro-batch-size", "64"], "micro_batch_size", 64),
        (ReviewOptions, ["--text-col", "7"], "text_col", "7"),
        (NetOptions, ["--no-bidirectional"], "bidirectional", False),
        (NetOptions, ["--head-layers", "32,16"], "head_layers", (32, 16)),
        (NetOptions, ["--head-layers", "none"], "head_layers", ()),
        (ReviewOptions, ["--text-col", "a,b"], "text_col", "a,b"),
        (TrainOptions, ["--epochs", "5"], "max_epochs", 5),
        (TrainOptions, ["--positive-weight", "balanced"], "positive_weight", "balanced"),
        (TrainOptions, ["--gradient-clip", "none"], "gradient_clip", None),
        (FitOptions, ["--workers", "2"], "num_workers", 2),
    ],
)
def test_a_flag_sets_its_option(options_class, words, name, value):
    assert getattr(parse(options_class, *words), name) == value


@pytest.mark.parametrize(
    ("options_class", "words", "sentence"),
    [
        (TextOptions, ["--vocab-size", "0"], "'--vocab-size' must be a whole number of at least 1. Got 0."),
        (
            ReviewOptions,
            ["--rating-scale", "5-1"],
            "'--rating-scale' must be LOW-HIGH, such as 1-5, or ordered words separated by commas, such as "
            "negative,positive. Got '5-1'.",
        ),
        (TextOptions, ["--truncate", "middle"], "'--truncate' must be one of tail, head. Got 'middle'."),
        (NetOptions, ["--dropout", "1"], "'--dropout' must be a number of at least 0 and below 1. Got 1."),
        (TrainOptions, ["--learning-rate", "fast"], "'--learning-rate' must be a number above 0. Got 'fast'."),
    ],
)
def test_a_value_that_breaks_its_rule_is_refused_with_the_rule(options_class, words, sentence, capsys):
    with pytest.raises(SystemExit):
        parse(options_class, *words)
    assert sentence in capsys.readouterr().err


def test_the_options_page_is_up_to_date():
    page = Path(__file__).parents[2] / "docs" / "options.md"
    assert page.read_text() == options_page(), "run 'make options'"
