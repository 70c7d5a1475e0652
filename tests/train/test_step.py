"""Law 4: ranks with unequal batches take the step that a plain loop over the union of their rows takes.

The loop knows one row at a time, writes out the loss, the clipping and both optimizers, and computes in float64.
"""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import pytest
import torch

from sentispark.dataset.batches import Batch
from sentispark.nn.options import NetOptions
from sentispark.nn.recurrent import RecurrentNet
from sentispark.train.loss import WeightedLoss
from sentispark.train.optim import _fastest, optimizers_of, takes_fused
from sentispark.train.options import TrainOptions
from sentispark.train.schedule import learning_rate_factor
from sentispark.train.step import Stepper, to_tensors
from sentispark.train.world import World
from tests.helpers.ranks import all_well, run_ranks

L, VOCABULARY = 6, 20
NET = NetOptions(embedding_size=5, hidden_size=4, dropout=0.0, embedding_dropout=0.0, wide_size=50)
SGD = TrainOptions(
    optimizer="sgd",
    learning_rate=0.5,
    wide_learning_rate=1e-3,
    momentum=0.9,
    weight_decay=0.01,
    gradient_clip=0.02,
)
ADAMW = TrainOptions(optimizer="adamw", learning_rate=0.05, weight_decay=0.1, gradient_clip=None)


@dataclasses.dataclass(frozen=True)
class Case:
    """A training: the rows of each rank in each step, shape (T, W), and everything else that a step depends on."""

    rows: tuple[tuple[int, ...], ...]
    options: TrainOptions
    positive_weight: float = 3.0
    mean_weight: float = 1.5
    dtype: torch.dtype = torch.float64
    net: NetOptions = NET

    @property
    def ranks(self):
        return len(self.rows[0])


def net_of(case):
    torch.manual_seed(1)
    return RecurrentNet(VOCABULARY, case.net).to(case.dtype)


def rows_of_step(case, step):
    """All rows of a step, in the order of the ranks."""
    count, rng = sum(case.rows[step]), np.random.default_rng([7, step])
    length = rng.integers(0, L + 1, count)
    sequence = np.where(np.arange(L) < length[:, None], rng.integers(1, VOCABULARY, (count, L)), 0)
    precision = np.float64 if case.dtype == torch.float64 else np.float32
    label = (rng.random(count) < 0.3).astype(precision)
    return Batch(sequence, length, label, rng.integers(0, 5, count).astype(precision))


def rows_of_rank(case, step, rank):
    first = sum(case.rows[step][:rank])
    mine = Batch(*(column[first : first + case.rows[step][rank]] for column in rows_of_step(case, step)))
    return mine._replace(sequence=mine.sequence[:, : max(1, mine.length.max(initial=0))])  # each rank trims its own


def tensors(batch):
    return to_tensors(batch, torch.device("cpu"))


def state_of(net, name="data"):
    return torch.cat([getattr(parameter, name).flatten() for parameter in net.parameters()]).double().numpy()


def steps_on_rank(world, case):
    """The weights after the last step, its gradient and the rank's sums of losses."""
    net = net_of(case)
    with world.joined():
        losses = _losses_of_steps(net, world, case)
    return state_of(net), state_of(net, "grad"), losses


def _losses_of_steps(net, world, case):
    # In a function of its own: DDP must be deleted before the process group, or the two may wait for each other.
    stepper = Stepper(
        net,
        case.options,
        world,
        steps=len(case.rows),
        loss=WeightedLoss(case.positive_weight, case.mean_weight, case.options.label_smoothing),
    )
    return [
        float(stepper(tensors(rows_of_rank(case, step, world.rank)), sum(rows))) for step, rows in enumerate(case.rows)
    ]


@functools.cache
def plain_loop(case):
    """What `steps_on_rank` returns for one rank with all rows, in float64, row by row."""
    case, options = dataclasses.replace(case, dtype=torch.float64), case.options
    net = net_of(case)
    memory = [[torch.zeros_like(parameter), torch.zeros_like(parameter)] for parameter in net.parameters()]
    losses = []
    for step, rows in enumerate(case.rows):
        batch, loss_sum = rows_of_step(case, step), torch.zeros((), dtype=torch.float64)
        for sequence, length, label, weight in zip(*batch, strict=True):
            logit = net(torch.tensor(sequence[None]), torch.tensor([length]))[0]
            softplus = torch.logaddexp(torch.zeros_like(logit), -logit if label else logit)
            loss_sum = loss_sum + float(weight) / case.mean_weight * (case.positive_weight if label else 1.0) * softplus
        net.zero_grad()
        gradients = torch.autograd.grad(loss_sum / sum(rows), list(net.parameters()))
        if options.gradient_clip is not None:
            norm = math.sqrt(sum(float((gradient**2).sum()) for gradient in gradients))
            assert norm > options.gradient_clip, "a case that never clips would prove nothing"
            gradients = [gradient * options.gradient_clip / (norm + 1e-6) for gradient in gradients]
        factor = learning_rate_factor(
            step, len(case.rows), schedule=options.schedule, warmup_share=options.warmup_share
        )
        with torch.no_grad():
            for (name, parameter), gradient, held in zip(net.named_parameters(), gradients, memory, strict=True):
                parameter.grad = gradient
                wide = name == "wide.weights.weight"
                change = _adagrad if wide else _sgd if options.optimizer == "sgd" else _adamw
                rate = (options.wide_learning_rate if wide else options.learning_rate) * factor
                change(parameter, gradient, held, rate, step + 1, options)
        losses.append(loss_sum.item())
    return state_of(net), state_of(net, "grad"), losses


def _sgd(parameter, gradient, held, rate, step, options):
    held[0] = options.momentum * held[0] + gradient + options.weight_decay * parameter
    parameter -= rate * held[0]


def _adamw(parameter, gradient, held, rate, step, options):
    """Loshchilov and Hutter 2019, arXiv:1711.05101, algorithm 2."""
    held[0] = 0.9 * held[0] + 0.1 * gradient
    held[1] = 0.999 * held[1] + 0.001 * gradient**2
    first, second = held[0] / (1 - 0.9**step), held[1] / (1 - 0.999**step)
    parameter -= rate * (first / (second.sqrt() + 1e-8) + options.weight_decay * parameter)


def _adagrad(parameter, gradient, held, rate, step, options):
    """Duchi et al. 2011, figure 1, for a diagonal matrix."""
    held[0] = held[0] + gradient**2
    parameter -= rate * gradient / (held[0].sqrt() + 1e-10)


ONE_STEP = [((64, 64),), ((100, 28),), ((128, 0),), ((50, 30, 48),), ((40, 0, 1, 87),)]
THREE_STEPS = [((64, 64), (0, 128), (100, 28)), ((50, 30, 48), (30, 0, 0), (0, 99, 29))]


@pytest.mark.parametrize("options", [SGD, ADAMW], ids=["sgd-clipped", "adamw"])
@pytest.mark.parametrize("rows", [((128,),), ((128,), (128,), (60,))])
def test_one_rank_takes_the_step_of_the_plain_loop(rows, options):
    case = Case(rows, options)
    for found, expected in zip(steps_on_rank(World(), case), plain_loop(case), strict=True):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


@pytest.mark.distributed
@pytest.mark.parametrize("options", [SGD, ADAMW], ids=["sgd-clipped", "adamw"])
@pytest.mark.parametrize("rows", [*ONE_STEP, *THREE_STEPS], ids=str)
def test_ranks_with_unequal_batches_take_the_step_of_the_plain_loop(rows, options):
    case = Case(rows, options)
    weights, gradient, losses = plain_loop(case)
    outcomes = all_well(run_ranks(steps_on_rank, case.ranks, case))
    for rank_weights, rank_gradient, _ in outcomes:
        np.testing.assert_allclose(rank_gradient, gradient, rtol=0, atol=1e-10)
        np.testing.assert_allclose(rank_weights, weights, rtol=0, atol=1e-10)
    np.testing.assert_allclose(np.sum([rank_losses for _, _, rank_losses in outcomes], axis=0), losses, atol=1e-9)


@pytest.mark.distributed
@pytest.mark.parametrize("options", [SGD, TrainOptions()], ids=["sgd", "default"])
@pytest.mark.parametrize("rows", [((64, 64),), ((100, 28),), ((128, 0),), ((50, 30, 48),), THREE_STEPS[0]], ids=str)
def test_in_single_precision_ranks_agree_with_one_process_to_a_millionth(rows, options):
    case = Case(rows, options, dtype=torch.float32)
    union = dataclasses.replace(case, rows=tuple((sum(step),) for step in rows))
    weights, _, _ = steps_on_rank(World(), union)
    for rank_weights, _, _ in all_well(run_ranks(steps_on_rank, case.ranks, case)):
        np.testing.assert_allclose(rank_weights, weights, rtol=0, atol=1e-6)


WIRES = {"rows": 1e-10, "float16": 2e-3, "bfloat16": 2e-2, "rows_bfloat16": 2e-2}


@pytest.mark.distributed
@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("rows", [((100, 28),), THREE_STEPS[0], ((40, 0, 1, 87),)], ids=str)
def test_every_gradient_wire_delivers_the_gradients(wire, rows):
    case = Case(rows, dataclasses.replace(SGD, gradient_wire=wire, gradient_clip=None))
    exact = plain_loop(dataclasses.replace(case, options=dataclasses.replace(case.options, gradient_wire="float32")))
    outcomes = all_well(run_ranks(steps_on_rank, case.ranks, case))
    for weights, gradient, _ in outcomes:
        np.testing.assert_allclose(gradient, exact[1], rtol=0, atol=WIRES[wire])
        np.testing.assert_allclose(weights, exact[0], rtol=0, atol=WIRES[wire])
    assert len({weights.tobytes() for weights, _, _ in outcomes}) == 1


@pytest.mark.distributed
def test_low_rank_factors_leave_all_ranks_with_the_same_weights_near_the_exact_ones():
    options = dataclasses.replace(SGD, learning_rate=0.05, gradient_wire="powersgd", gradient_clip=None)
    large_enough = NetOptions(embedding_size=32, hidden_size=16, dropout=0.0, embedding_dropout=0.0, wide_size=50)
    case = Case(((64, 64),) * 60, options, dtype=torch.float32, net=large_enough)  # the first fifty steps are exact
    exact = dataclasses.replace(case, options=dataclasses.replace(options, gradient_wire="float32"))
    outcomes, others = (all_well(run_ranks(steps_on_rank, 2, one)) for one in (case, exact))
    assert len({weights.tobytes() for weights, _, _ in outcomes}) == 1
    moved = np.abs(others[0][0] - state_of(net_of(case))).max()
    assert 0 < np.abs(outcomes[0][0] - others[0][0]).max() < 0.05 * moved


@pytest.mark.distributed
@pytest.mark.parametrize("wire", ["float32", "rows"])
@pytest.mark.parametrize("micro_batch_size", [1, 30, 64, 1000])
def test_micro_batches_give_the_same_step(micro_batch_size, wire):
    case = Case(((100, 28), (128, 0)), dataclasses.replace(SGD, micro_batch_size=micro_batch_size, gradient_wire=wire))
    weights, gradient, losses = plain_loop(dataclasses.replace(case, options=SGD))
    outcomes = all_well(run_ranks(steps_on_rank, 2, case))
    for rank_weights, rank_gradient, _ in outcomes:
        np.testing.assert_allclose(rank_gradient, gradient, rtol=0, atol=1e-10)
        np.testing.assert_allclose(rank_weights, weights, rtol=0, atol=1e-10)
    np.testing.assert_allclose(np.sum([rank_losses for _, _, rank_losses in outcomes], axis=0), losses, atol=1e-9)


@pytest.mark.distributed
def test_all_ranks_end_with_the_same_weights_bit_for_bit():
    outcomes = all_well(run_ranks(steps_on_rank, 3, Case(THREE_STEPS[1], ADAMW, dtype=torch.float32)))
    assert len({weights.tobytes() for weights, _, _ in outcomes}) == 1


@pytest.mark.distributed
def test_a_rank_without_rows_takes_part_with_a_loss_of_0():
    outcomes = all_well(run_ranks(steps_on_rank, 2, Case(((128, 0),), SGD)))
    assert [losses[0] > 0 for _, _, losses in outcomes] == [True, False]
    assert outcomes[1][2] == [0.0]


def test_the_loss_of_two_rows_by_hand():
    net = net_of(Case((), SGD))
    with torch.no_grad():
        net.head[-1].weight.zero_()
        net.head[-1].bias.zero_()  # every logit is 0, every row's loss log 2
    stepper = Stepper(net, SGD, World(), steps=1, loss=WeightedLoss(4.0, 2.0))
    batch = Batch(np.array([[5], [6]]), np.array([1, 1]), np.float32([0, 1]), np.float32([1, 3]))
    # The negative row: 1/2. The positive row: 3/2 · 4.
    assert float(stepper(tensors(batch), 2)) == pytest.approx(6.5 * math.log(2), rel=1e-6)


def test_smoothed_labels_lie_between_0_and_1():
    net, options = net_of(Case((), SGD)), dataclasses.replace(SGD, label_smoothing=0.2)
    with torch.no_grad():
        net.head[-1].weight.zero_()
        net.head[-1].bias.fill_(2.0)
    batch = Batch(np.array([[5], [6]]), np.array([1, 1]), np.float64([0, 1]), np.float64([1, 1]))
    positive, negative = math.log1p(math.exp(-2)), math.log1p(math.exp(2))
    expected = (0.1 * positive + 0.9 * negative) + (0.9 * positive + 0.1 * negative)
    assert float(Stepper(net, options, World(), steps=1)(tensors(batch), 2)) == pytest.approx(expected)


def test_the_learning_rate_follows_the_batch_size_if_requested():
    case, changes = Case(((16,),), dataclasses.replace(SGD, gradient_clip=None, weight_decay=0.0)), []
    for scaling, batch_size in (("none", 64), ("linear", 64), ("sqrt", 64), ("linear", 16)):
        net = net_of(case)
        before = state_of(net)
        options = dataclasses.replace(
            case.options,
            learning_rate_scaling=scaling,
            base_batch_size=16,
            batch_size=batch_size,
            warmup_share=0.0,
            learning_rate=0.01,
        )
        Stepper(net, options, World(), steps=1)(tensors(rows_of_rank(case, 0, 0)), 16)
        changes.append(state_of(net) - before)
    np.testing.assert_allclose(changes[1], 4 * changes[0], rtol=1e-9, atol=1e-15)
    np.testing.assert_allclose(changes[2], 2 * changes[0], rtol=1e-9, atol=1e-15)
    np.testing.assert_array_equal(changes[3], changes[0])


def test_only_the_ratios_of_weights_matter():
    case = Case(((16,), (16,)), ADAMW)
    batches = [rows_of_rank(case, step, 0) for step in range(2)]
    found = []
    for scale in (1.0, 1024.0):
        net = net_of(case)
        stepper = Stepper(net, ADAMW, World(), steps=2, loss=WeightedLoss(mean_weight=1.5 * scale))
        for batch in batches:
            stepper(tensors(batch._replace(weight=batch.weight * scale)), 16)
        found.append(state_of(net))
    np.testing.assert_allclose(found[0], found[1], rtol=0, atol=1e-12)


def test_a_row_of_weight_0_teaches_nothing():
    case = Case(((8,),), dataclasses.replace(SGD, weight_decay=0.0))
    net, batch = net_of(case), rows_of_rank(case, 0, 0)
    before = state_of(net)
    loss = Stepper(net, case.options, World(), steps=1)(tensors(batch._replace(weight=np.zeros(8))), 8)
    assert float(loss) == 0.0
    np.testing.assert_array_equal(state_of(net), before)


class _Refusing(torch.optim.SGD):
    """An optimizer like Adagrad on GPUs in torch 2.4 to 2.11: it can be built, and raises at its first step."""

    def __init__(self, parameters, *, fused=None, **options):
        super().__init__(parameters, **{"lr": 0.1, **options})
        self.refuses = bool(fused)

    def step(self):
        if self.refuses:
            raise RuntimeError("`fused=True` requires all the params to be floating point Tensors of ['mps', 'cpu']")
        super().step()


class TestFused:
    """Only taking a step shows whether torch has a fused kernel of an optimizer."""

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [(torch.optim.AdamW, True), (torch.optim.Adagrad, True), (_Refusing, False)],
    )
    def test_support_is_found_by_taking_a_step(self, kind, expected):
        assert takes_fused(kind, torch.device("cpu")) is expected

    def test_an_optimizer_without_a_fused_kernel_is_built_without_it(self):
        parameter = torch.nn.Parameter(torch.ones(1))
        parameter.grad = torch.ones(1)
        _fastest(_Refusing, [parameter], lr=0.5).step()
        assert parameter.item() == 0.5

    def test_the_optimizers_of_a_training_are_fused_here(self):
        first, second = optimizers_of(net_of(Case(((1,),), ADAMW)), ADAMW, 0.05)
        assert (first.defaults["fused"], second.defaults["fused"]) == (True, True)
