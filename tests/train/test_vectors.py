"""Word vectors from a file: words in it start from their vectors, and an unusable file is reported before the work."""

from __future__ import annotations

import dataclasses
import gzip

import numpy as np
import pytest
import torch

from sentispark.dataset.dataset import open_dataset
from sentispark.errors import OptionError
from sentispark.nn.options import NetOptions
from sentispark.nn.recurrent import RecurrentNet
from sentispark.text.wordlist import WordList
from sentispark.train.config import TrainConfig, TrainOptions, check_trainable
from sentispark.train.result import TrainedNet
from sentispark.train.run import run_rank
from sentispark.train.vectors import read_vectors
from sentispark.train.world import World
from tests.helpers.toy import VOCABULARY, toy_rows, write_toy

WORDS = WordList(("good", "bad", "größer", *(f"word{number}" for number in range(VOCABULARY - 5))))
NET = NetOptions(embedding_size=3, hidden_size=4, wide_size=50)
LINES = "größer 7 8 9\nnobody 0 0 0\ngood 1 2.5 -3e-1\nat home 5 5 5\ngood 4 4 4\n"


@pytest.fixture
def dataset(tmp_path):
    return open_dataset(write_toy(tmp_path / "dataset", {"train": toy_rows(40)}, words=WORDS))


@pytest.fixture
def file(tmp_path):
    """A function that writes a file of vectors and returns its path."""

    def write(text: str, name: str = "vectors.txt") -> str:
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return str(path)

    return write


@pytest.mark.parametrize(
    ("text", "name"), [(LINES, "glove.txt"), ("5 3\n" + LINES, "wiki.vec"), (LINES, "glove.txt.gz")]
)
def test_the_first_vector_of_each_known_word_is_read(dataset, file, text, name):
    token_ids, vectors = read_vectors(file(text, name), dataset, 3)
    assert token_ids.tolist() == [4, 2]
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, np.array([[7, 8, 9], [1, 2.5, -0.3]], np.float32))


def test_a_file_of_only_other_words_gives_none(dataset, file):
    token_ids, vectors = read_vectors(file("nobody 1 2 3\n"), dataset, 3)
    assert token_ids.shape == (0,)
    assert vectors.shape == (0, 3)


def test_words_in_the_file_start_from_its_vectors_and_other_words_do_not(dataset, file, monkeypatch):
    started = []
    monkeypatch.setattr(
        "sentispark.train.run._train", lambda config, world, dataset, stores, net, *_: started.append(net)
    )
    options = TrainOptions(embedding_path=file(LINES), reader="arrow", seed=3)
    run_rank(TrainConfig(dataset.folder.url, options, NET), World())
    torch.manual_seed(3)
    expected = RecurrentNet(VOCABULARY, NET).embedding.weight.detach().clone()
    expected[2], expected[4] = torch.tensor([1, 2.5, -0.3]), torch.tensor([7.0, 8, 9])
    assert torch.equal(started[0].embedding.weight, expected)


def test_a_training_from_vectors_completes(dataset, file):
    options = TrainOptions(embedding_path=file(LINES), reader="arrow", max_epochs=1, batch_size=8)
    assert isinstance(run_rank(TrainConfig(dataset.folder.url, options, NET), World()), TrainedNet)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("good 1 2\n", "must have vectors of embeddingSize (3) numbers. Line 1 of '{path}' has 2."),
        ("5 2\ngood 1 2\n", "must have vectors of embeddingSize (3) numbers. Line 2 of '{path}' has 2."),
        ("good\n\n", "must have vectors of embeddingSize (3) numbers. Line 1 of '{path}' has 0."),
        ("", "must name a file of word vectors of embeddingSize (3) numbers. '{path}' has none."),
        ("good 1 2 3 4\n", "must name a file of word vectors of embeddingSize (3) numbers. '{path}' has none."),
    ],
)
def test_vectors_of_another_size_are_reported_before_the_work(dataset, file, text, expected):
    path = file(text)
    with pytest.raises(OptionError) as caught:
        check_trainable(dataset, TrainConfig("d", TrainOptions(embedding_path=path), NET), 1)
    assert str(caught.value).startswith("'embeddingPath' " + expected.format(path=path))


def test_a_value_that_is_not_a_number_is_reported_with_its_word(dataset, file):
    with pytest.raises(OptionError, match=r"after 'good': could not convert string to float"):
        read_vectors(file("good 1 x 3\n"), dataset, 3)


def test_a_missing_file_is_reported(dataset):
    with pytest.raises(OptionError, match=r"must name an existing file\. '/no/such' does not exist\."):
        check_trainable(dataset, TrainConfig("d", TrainOptions(embedding_path="/no/such"), NET), 1)


def test_a_dataset_without_words_is_reported(tmp_path, file):
    dataset = open_dataset(write_toy(tmp_path / "ids", {"train": toy_rows(40)}))
    config = TrainConfig("d", dataclasses.replace(TrainOptions(), embedding_path=file(LINES)), NET)
    with pytest.raises(OptionError, match="needs the words of the dataset"):
        check_trainable(dataset, config, 1)
