"""Sums over the rows that occur are the sums of whole gradients, and much less is sent."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import distributed

from sentispark.nn.options import NetOptions
from sentispark.nn.recurrent import RecurrentNet
from sentispark.text.token_ids import FIRST_WORD
from sentispark.train.options import TrainOptions
from sentispark.train.reduce import chosen_wire
from sentispark.train.step import Stepper
from sentispark.train.world import World
from tests.helpers.ranks import all_well, run_ranks

VOCABULARY, WIDE, COLUMNS = 3000, 20_000, 12
NET = NetOptions(embedding_size=16, hidden_size=4, dropout=0.0, embedding_dropout=0.0, wide_size=WIDE)
OPTIONS = TrainOptions(batch_size=32, learning_rate=0.05)
STEPS = 6


@dataclasses.dataclass(frozen=True)
class Job:
    """A short training; `rows` are those of each rank in a step."""

    wire: str
    rows: tuple[int, ...]
    net: NetOptions = NET
    words: int = VOCABULARY  # of which each step draws


def batch_of(step, rows, words):
    rng = np.random.default_rng(step)
    length = rng.integers(0, COLUMNS + 1, rows)
    # Frequent and rare words, as in texts; the unknown word does not occur.
    drawn = FIRST_WORD + (rng.random((rows, COLUMNS)) ** 3 * (words - FIRST_WORD)).astype(np.int32)
    sequence = np.where(np.arange(COLUMNS) < length[:, None], drawn, 0)
    return torch.from_numpy(sequence), torch.from_numpy(length), torch.from_numpy(rng.integers(0, 2, rows)).float()


def trained(world, job):
    """The weights after some steps, and the values that this rank has sent in the last one."""
    torch.manual_seed(1)
    net, sent = RecurrentNet(VOCABULARY, job.net), []
    with world.joined():
        _take_steps(net, world, job, sent)
    return torch.cat([parameter.detach().flatten() for parameter in net.parameters()]).numpy(), sum(sent)


def _take_steps(net, world, job, sent):
    stepper = Stepper(net, dataclasses.replace(OPTIONS, gradient_wire=job.wire), world, steps=STEPS)
    all_reduce = distributed.all_reduce

    def counted(tensor, *arguments, **options):
        sent.append(tensor.nbytes)
        return all_reduce(tensor, *arguments, **options)

    distributed.all_reduce = counted
    first = sum(job.rows[: world.rank])
    for step in range(STEPS):
        sent.clear()
        columns = [column[first : first + job.rows[world.rank]] for column in batch_of(step, sum(job.rows), job.words)]
        stepper((*columns, torch.ones(len(columns[0]))), sum(job.rows))
    distributed.all_reduce = all_reduce


@pytest.mark.distributed
@pytest.mark.parametrize("words", [40, 300, VOCABULARY])
@pytest.mark.parametrize("rows", [(16, 16), (31, 1), (32, 0), (20, 0, 12)], ids=str)
def test_the_weights_are_those_of_whole_gradients_and_all_ranks_have_the_same(rows, words):
    whole, picked = (
        all_well(run_ranks(trained, len(rows), Job(wire, rows, words=words))) for wire in ("float32", "auto")
    )
    assert len({weights.tobytes() for weights, _ in picked}) == 1
    if len(rows) == 2:  # the order of two does not change their sum
        assert picked[0][0].tobytes() == whole[0][0].tobytes()
    np.testing.assert_allclose(picked[0][0], whole[0][0], rtol=0, atol=1e-6)


@pytest.mark.distributed
def test_few_words_make_small_messages():
    sent = {
        wire: all_well(run_ranks(trained, 2, Job(wire, (16, 16))))[0][1]
        for wire in ("float32", "rows", "rows_bfloat16")
    }
    assert sent["float32"] > 4 * (16 * VOCABULARY + WIDE)
    # Of 3,000 words and 20,000 pairs, a step has at most 192 and 384.
    assert sent["rows"] < 0.1 * sent["float32"]
    assert sent["rows_bfloat16"] < 0.75 * sent["rows"]


@pytest.mark.distributed
def test_words_that_are_dropped_at_random_become_a_word_that_no_rank_has_read():
    job = Job("rows", (16, 16), dataclasses.replace(NET, word_dropout=0.5))
    outcomes = all_well(run_ranks(trained, 2, job))
    assert outcomes[0][0].tobytes() == outcomes[1][0].tobytes()


@pytest.mark.distributed
def test_without_a_linear_part_the_embedding_alone_is_sent_by_rows():
    net = dataclasses.replace(NET, wide_size=0)
    whole, picked = (all_well(run_ranks(trained, 2, Job(wire, (16, 16), net))) for wire in ("float32", "rows"))
    assert picked[0][0].tobytes() == whole[0][0].tobytes()


@pytest.mark.parametrize(
    ("wire", "backend", "expected"),
    [("auto", "gloo", "rows"), ("auto", "nccl", "float32"), ("bfloat16", "gloo", "bfloat16"), ("rows", "nccl", "rows")],
)
def test_auto_follows_from_the_backend(wire, backend, expected):
    assert chosen_wire(wire, backend) == expected


def test_one_rank_sends_nothing(monkeypatch):
    monkeypatch.setattr(distributed, "all_reduce", None)
    trained(World(), Job("auto", (32,)))
