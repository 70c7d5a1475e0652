import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import rnn

from sentispark.errors import OptionError
from sentispark.nn.options import NetOptions, reference_net
from sentispark.nn.recurrent import _POOLINGS, BidirectionalLayers, RecurrentNet, _reorder, _reversal

VOCABULARY = 11
TRIMMING_POOLINGS = ["last", "max", "mean", "max_mean"]
quick = settings(max_examples=40, deadline=None, derandomize=True)


def make_net(*, seed=0, **options):
    torch.manual_seed(seed)
    return RecurrentNet(
        VOCABULARY, NetOptions(**{"embedding_size": 5, "hidden_size": 3, "wide_size": 40, **options})
    ).eval()


def make_batch(lengths, columns, *, seed=0):
    generator = torch.Generator().manual_seed(seed)
    length = torch.tensor(lengths, dtype=torch.int64)
    words = torch.randint(1, VOCABULARY, (len(lengths), columns), generator=generator)
    return torch.where(torch.arange(columns) < length[:, None], words, 0), length


def bare_layers(kind, net):
    """Bidirectional layers of torch that hold the weights of `net`."""
    layers = kind(5, 3, num_layers=len(net.ahead), bidirectional=True)
    for layer, (ahead, back) in enumerate(zip(net.ahead, net.back, strict=True)):
        for own, suffix in ((ahead, ""), (back, "_reverse")):
            for name, value in own.named_parameters():
                getattr(layers, name.replace("_l0", f"_l{layer}{suffix}")).data.copy_(value.data)
    return layers


lengths_of_a_batch = st.lists(st.integers(0, 6), max_size=5)
nets = st.fixed_dictionaries(
    {
        "cell": st.sampled_from(["lstm", "gru"]),
        "pooling": st.sampled_from(TRIMMING_POOLINGS),
        "num_layers": st.integers(1, 3),
        "bidirectional": st.booleans(),
        "head_layers": st.sampled_from([(), (4,), (4, 2)]),
    }
)


@quick
@given(nets, lengths_of_a_batch, st.integers(0, 4))
def test_logits_do_not_depend_on_trailing_padding(options, lengths, extra):
    net = make_net(**options)
    assert net.trims
    sequence, length = make_batch(lengths, max(lengths, default=0))
    padded = nn.functional.pad(sequence, (0, extra))
    torch.testing.assert_close(net(padded, length), net(sequence, length), rtol=0, atol=1e-6)


@quick
@given(nets, lengths_of_a_batch.filter(bool))
def test_a_logit_does_not_depend_on_the_other_rows(options, lengths):
    net = make_net(**options)
    sequence, length = make_batch(lengths, 6)
    alone = torch.cat([net(sequence[i : i + 1], length[i : i + 1]) for i in range(len(lengths))])
    torch.testing.assert_close(net(sequence, length), alone, rtol=0, atol=1e-6)


@quick
@given(nets, lengths_of_a_batch)
def test_every_parameter_gets_a_finite_gradient_even_from_empty_rows_and_empty_batches(options, lengths):
    net = make_net(**options)
    logits = net(*make_batch(lengths, max(lengths, default=0)))
    assert logits.shape == (len(lengths),)
    assert logits.dtype == torch.float32
    logits.sum().backward()
    for parameter in net.parameters():
        assert parameter.grad is not None
        assert torch.isfinite(parameter.grad).all()
        if not lengths:
            assert not parameter.grad.any()


@pytest.mark.parametrize("pooling", TRIMMING_POOLINGS)
@pytest.mark.parametrize("bidirectional", [True, False])
def test_a_review_without_words_is_pooled_to_zeros(pooling, bidirectional):
    net = make_net(pooling=pooling, bidirectional=bidirectional)
    logits = net(*make_batch([0, 3], 3))
    assert logits[0] == net.head[0].bias[0]
    assert logits[1] != logits[0]


@quick
@given(st.sampled_from([nn.LSTM, nn.GRU]), st.lists(st.integers(1, 6), min_size=1, max_size=5), st.integers(1, 3))
def test_two_directions_equal_torch_on_packed_input(kind, lengths, num_layers):
    torch.manual_seed(1)
    net = BidirectionalLayers(kind, 5, 3, num_layers, dropout=0.0)
    length = torch.tensor(lengths)
    words = torch.randn(7, len(lengths), 5)
    ahead, back = net(words, length)
    ours = torch.cat([ahead, _reorder(back, _reversal(length, 7))], dim=2)

    packed = rnn.pack_padded_sequence(words, length, enforce_sorted=False)
    output, last = bare_layers(kind, net)(packed)
    last_states = last[0] if kind is nn.LSTM else last
    theirs, _ = rnn.pad_packed_sequence(output, total_length=7)
    valid = torch.arange(7)[:, None] < length
    torch.testing.assert_close(ours[valid], theirs[valid], rtol=0, atol=1e-6)

    rows = torch.arange(len(lengths))
    states = torch.stack([ahead[length - 1, rows], back[length - 1, rows]])
    torch.testing.assert_close(states, last_states[-2:], rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
@pytest.mark.parametrize("num_layers", [1, 2])
def test_gradients_of_two_directions_equal_torch_on_packed_input(num_layers, kind):
    torch.manual_seed(2)
    net = BidirectionalLayers(kind, 5, 3, num_layers, dropout=0.0)
    peer = bare_layers(kind, net)
    length = torch.tensor([4, 1, 6])
    words = torch.randn(6, 3, 5)
    valid = (torch.arange(6)[:, None] < length)[:, :, None]
    sum((run * valid).sum() for run in net(words, length)).backward()
    peer(rnn.pack_padded_sequence(words, length, enforce_sorted=False))[0].data.sum().backward()
    for layer in range(num_layers):
        for own, suffix in ((net.ahead[layer], ""), (net.back[layer], "_reverse")):
            for name, value in own.named_parameters():
                expected = getattr(peer, name.replace("_l0", f"_l{layer}{suffix}")).grad
                torch.testing.assert_close(value.grad, expected, rtol=1e-5, atol=1e-6)


def test_poolings_see_only_the_valid_steps():
    run = torch.tensor([[0.1, -0.8], [-0.3, -0.6], [0.9, 0.9]]).unsqueeze(1)  # three steps of one review
    length = torch.tensor([2])
    expected = {"last": [-0.3, -0.6], "max": [0.1, -0.6], "mean": [-0.1, -0.7], "max_mean": [0.1, -0.6, -0.1, -0.7]}
    for pooling, values in expected.items():
        pooled = torch.cat([pool(run, length) for pool in _POOLINGS[pooling]], dim=1)
        torch.testing.assert_close(pooled, torch.tensor([values]))


def test_the_pooled_vector_holds_both_directions_of_each_pooling():
    sequence, length = make_batch([4], 4)
    net = make_net(pooling="max_mean")
    ahead, back = (run[:, 0] for run in net.rnn(net.embedding(sequence.t()), length))
    pooled = torch.cat([ahead.amax(0), back.amax(0), ahead.mean(0), back.mean(0)])
    torch.testing.assert_close(net(sequence, length), net.head(pooled))


def test_padded_last_reads_the_last_column_padding_included():
    net = make_net(pooling="padded_last", bidirectional=False, num_layers=2)
    assert not net.trims
    sequence, length = make_batch([0, 2, 4], 6)
    expected = net.head(net.rnn(net.embedding(sequence.t()))[0][-1]).squeeze(1)
    torch.testing.assert_close(net(sequence, length), expected, rtol=0, atol=1e-6)
    assert not torch.allclose(net(sequence[:, :4], length), expected)


def test_padding_never_moves_its_embedding():
    net = make_net(pooling="padded_last")
    net(*make_batch([2, 3], 5)).sum().backward()
    assert not net.embedding.weight[0].any()
    assert not net.embedding.weight.grad[0].any()
    assert net.embedding.weight.grad[1:].any()


NO_DROPOUT = {"dropout": 0.0, "embedding_dropout": 0.0, "word_dropout": 0.0}


@pytest.mark.parametrize("kind", NO_DROPOUT)
def test_each_dropout_acts_only_in_training(kind):
    net = make_net(**{**NO_DROPOUT, kind: 0.5}, num_layers=2)
    batch = make_batch([3, 5], 5)
    assert torch.equal(net(*batch), net(*batch))
    net.train()
    assert not torch.equal(net(*batch), net(*batch))


def test_without_dropout_training_is_not_random():
    net = make_net(**NO_DROPOUT, num_layers=2).train()
    batch = make_batch([3, 5], 5)
    assert torch.equal(net(*batch), net(*batch))


def test_a_dropped_word_is_read_as_unknown_and_padding_never_is():
    net = make_net(**{**NO_DROPOUT, "word_dropout": 0.4})
    sequence, _ = make_batch([0, 40, 60] * 100, 60)
    seen = net.train()._with_unknowns(sequence)
    assert (seen[sequence == 0] == 0).all()
    changed = seen != sequence
    assert (seen[changed] == 1).all()
    assert float(changed.sum() / (sequence > 1).sum()) == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32])
def test_ids_may_have_the_width_in_which_they_are_stored(dtype):
    net, (sequence, length) = make_net(), make_batch([3, 5], 5)
    assert torch.equal(net(sequence.to(dtype), length.int()), net(sequence, length))


def test_the_same_seed_builds_the_same_net():
    one, other = make_net(seed=3).state_dict(), make_net(seed=3).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_the_reference_net_has_the_reference_systems_parameters():
    net = RecurrentNet(10_003, reference_net())
    assert {name: tuple(value.shape) for name, value in net.named_parameters()} == {
        "embedding.weight": (10_003, 100),
        "rnn.weight_ih_l0": (128, 100),
        "rnn.weight_hh_l0": (128, 32),
        "rnn.bias_ih_l0": (128,),
        "rnn.bias_hh_l0": (128,),
        "rnn.weight_ih_l1": (128, 32),
        "rnn.weight_hh_l1": (128, 32),
        "rnn.bias_ih_l1": (128,),
        "rnn.bias_hh_l1": (128,),
        "head.0.weight": (32, 32),
        "head.0.bias": (32,),
        "head.2.weight": (1, 32),
        "head.2.bias": (1,),
    }
    assert net.parameter_count == 1_000_300 + 17_152 + 8_448 + 1_056 + 33
    assert net.rnn.dropout == 0.5


def test_options_that_break_their_rule_are_refused():
    with pytest.raises(OptionError, match=r"'pooling' must be one of last, max, .* Got 'sum'\."):
        NetOptions(pooling="sum")
    with pytest.raises(OptionError, match=r"'head_layers' must be a list, each entry a whole number of at least 1\."):
        NetOptions(head_layers=(32, 0))
    with pytest.raises(OptionError, match=r"'bidirectional' must be true or false\. Got 1\."):
        NetOptions(bidirectional=1)


def test_options_from_json_equal_those_from_python():
    assert NetOptions(head_layers=[32]) == NetOptions(head_layers=(32,))


@quick
@given(nets, lengths_of_a_batch, st.integers(0, 2), st.sampled_from([0.0, 0.5]))
def test_only_the_rows_that_are_used_have_gradients(options, lengths, extra, word_dropout):
    net = make_net(**options, word_dropout=word_dropout).train()
    sequence, length = make_batch(lengths, max(lengths, default=0) + extra)
    net(sequence, length).sum().backward()
    used = net.rows_used(sequence)
    assert used.keys() == {"embedding.weight", "wide.weights.weight"}
    for name, rows in used.items():
        with_gradient = net.get_parameter(name).grad.abs().sum(dim=1).nonzero().flatten()
        assert set(with_gradient.tolist()) <= set(rows.flatten().tolist())
