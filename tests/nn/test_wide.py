"""The linear part compared with a plain loop over words and pairs, and its promises about padding and hashing."""

from __future__ import annotations

import itertools
import math

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sentispark.nn.options import NetOptions
from sentispark.nn.recurrent import RecurrentNet
from sentispark.nn.wide import WideLinear

quick = settings(max_examples=60, deadline=None, derandomize=True)
reviews = st.lists(st.lists(st.integers(1, 2**31 - 2), max_size=7), min_size=1, max_size=4)


def batch_of(rows, columns=7):
    sequence = torch.tensor([row + [0] * (columns - len(row)) for row in rows])
    return sequence.t(), torch.tensor([len(row) for row in rows])


def wide_of(size):
    wide = WideLinear(size)
    torch.manual_seed(0)
    with torch.no_grad():
        wide.weights.weight[1:].normal_()
    return wide


def place(before, word, size):
    """Python's whole numbers do not overflow."""
    return (before * 1_013_904_223 + word * 1_640_531_527) % (2**31 - 1) % size + 1


@quick
@given(reviews, st.sampled_from([1, 7, 1000]))
def test_it_is_the_sum_over_words_and_pairs_of_neighbors(rows, size):
    wide = wide_of(size)
    weight = wide.weights.weight[:, 0].tolist()
    expected = []
    for row in rows:
        words = [weight[place(0, word, size)] for word in row]
        pairs = [weight[place(*pair, size)] for pair in itertools.pairwise(row)]
        expected.append(sum(words + pairs) / math.sqrt(max(1, len(row))))
    torch.testing.assert_close(wide(*batch_of(rows)), torch.tensor(expected), rtol=0, atol=1e-5)


@quick
@given(reviews)
def test_padding_adds_nothing_and_is_not_trained(rows):
    wide = wide_of(50)
    logits = wide(*batch_of(rows))
    torch.testing.assert_close(logits, wide(*batch_of(rows, columns=9)), rtol=0, atol=1e-6)
    logits.sum().backward()
    assert not wide.weights.weight.grad[0].any()


def test_before_training_it_returns_zeros():
    assert not WideLinear(50)(*batch_of([[3, 4], []])).any()


def test_few_pairs_share_a_weight():
    words = torch.arange(2, 502)
    pairs = torch.cartesian_prod(words, words)
    wide = WideLinear(2**20)
    places = wide._index(pairs[:, 0], pairs[:, 1])
    # Distributed at random, n pairs would use m (1 - exp(-n / m)) of m weights.
    at_random = 2**20 * -math.expm1(-len(pairs) / 2**20)
    assert len(places.unique()) > 0.98 * at_random


def test_the_net_adds_it_to_its_own_logit():
    options = NetOptions(embedding_size=4, hidden_size=3, wide_size=50)
    torch.manual_seed(0)
    net = RecurrentNet(30, options).eval()
    sequence, length = torch.tensor([[5, 6, 7, 0], [8, 0, 0, 0], [0, 0, 0, 0]]), torch.tensor([3, 1, 0])
    alone = net(sequence, length)
    net.wide = wide_of(50)
    torch.testing.assert_close(net(sequence, length), alone + net.wide(sequence.t(), length))


def test_with_size_0_there_is_none():
    net = RecurrentNet(30, NetOptions(wide_size=0))
    assert not any(name.startswith("wide") for name, _ in net.named_parameters())
