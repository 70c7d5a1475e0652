"""Law 6: a training that is restored from its state ends with the same bits as one that was not interrupted."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from unittest import mock

import numpy as np
import pytest
import torch

from sentispark.dataset.dataset import open_dataset
from sentispark.dataset.plan import even_sizes
from sentispark.dataset.readers import ArrowReader
from sentispark.dataset.store import RowStore
from sentispark.nn.net import build_net
from sentispark.nn.options import NetOptions
from sentispark.train import reduce
from sentispark.train.balance import Balancer
from sentispark.train.batch_sizes import BatchSizeController
from sentispark.train.clock import StepClock
from sentispark.train.config import TrainConfig
from sentispark.train.options import TrainOptions
from sentispark.train.run import new_trainer
from sentispark.train.state import State
from sentispark.train.world import World
from tests.helpers.ranks import all_well, run_ranks
from tests.helpers.toy import toy_rows, write_toy

# Dropout, so that random numbers matter; two layers with weights of several sizes, so that buckets matter.
NET = NetOptions(embedding_size=40, hidden_size=16, head_layers=(8,), dropout=0.3, wide_size=500)
OPTIONS = TrainOptions(max_epochs=3, batch_size=40, learning_rate=0.02, reader="arrow", balance="off", patience=2)
STEPS = 15  # of an epoch


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    path = tmp_path_factory.mktemp("toy") / "dataset"
    return write_toy(path, {"train": toy_rows(STEPS * 40, seed=1), "validation": toy_rows(100, seed=2)})


def as_written(state):
    """The state after a round trip through a file's format."""
    tensors = {name: tensor.clone() for name, tensor in state.tensors.items()}
    own = {name: tensor.clone() for name, tensor in state.own.items()}
    return State(json.loads(json.dumps(state.values)), tensors, own)


def weights_of(net):
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def arrays_of(tensors):
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def measured(history):
    return [(entry["epoch"], entry["train_loss"], entry["validation"], entry["batch_sizes"]) for entry in history]


@contextlib.contextmanager
def trainer_of(world, config, **hooks):
    dataset = open_dataset(config.dataset)
    torch.manual_seed(5)
    net = build_net(dataset.manifest.vocabulary_size, config.net)
    with contextlib.ExitStack() as stack:
        splits = ("train", "validation")
        stores = {split: stack.enter_context(RowStore(dataset, split, ArrowReader())) for split in splits}
        yield new_trainer(config, world, dataset, stores, net, **hooks)


def whole_run(world, config, steps):
    """The training's final result, and its states after some of the steps."""
    states, taken = {}, iter(range(1, 10**6))

    def keep(trainer):
        if (step := next(taken)) in steps:
            states[step] = as_written(trainer.state())

    with trainer_of(world, config, after_step=keep) as trainer:
        trainer.train()
        return outcome(trainer), states


def restored_run(world, config, state):
    with trainer_of(world, config) as trainer:
        with torch.no_grad():
            for parameter in trainer.net.parameters():
                parameter.fill_(7.0)  # nothing of a new net is left
        trainer.restore(state)
        trainer.train()
        return outcome(trainer)


def outcome(trainer):
    return {
        "weights": weights_of(trainer.net),
        "best": trainer.best.weights,
        "kept": trainer.best.epoch,
        "history": measured(trainer.history),
        "schedule": trainer.batch_sizes.schedule,
    }


def same(found, expected):
    assert found["history"] == expected["history"]
    assert (found["kept"], found["schedule"]) == (expected["kept"], expected["schedule"])
    for part in ("weights", "best"):
        assert found[part].keys() == expected[part].keys()
        assert all(torch.equal(found[part][name], tensor) for name, tensor in expected[part].items()), part


def interrupted_as_rank(world, runs):
    """On one rank, for each config and steps, in one process group: each restored run ends like the whole one."""
    with mock.patch.object(reduce, "_POWERSGD_STEPS_BEFORE", 4), world.joined():
        return [_interrupted(world, config, steps) for config, steps in runs]


def _interrupted(world, config, steps):
    # In a function of its own: DDP must be deleted before the process group.
    expected, states = whole_run(world, config, steps)
    for step in steps:
        same(restored_run(world, config, states[step]), expected)
    return expected["history"], arrays_of(expected["weights"])


@pytest.mark.distributed
def test_three_ranks_restored_in_the_middle_of_an_epoch_end_with_the_same_bits(toy):
    kinds = [
        {},
        {"optimizer": "sgd", "micro_batch_size": 5},
        {"gradient_wire": "powersgd", "schedule": "one_cycle"},
        {"gradient_wire": "rows"},
        {"gradient_wire": "bfloat16"},
    ]
    configs = [TrainConfig(toy, dataclasses.replace(OPTIONS, **kind), NET) for kind in kinds]
    outcomes = all_well(run_ranks(interrupted_as_rank, 3, [(config, (1, STEPS + 7)) for config in configs]))
    for (history, weights), *others in zip(*outcomes, strict=True):
        assert len({loss for _, loss, _, _ in history}) == 3, "it learns"
        assert all(np.array_equal(array, weights[name]) for _, other in others for name, array in other.items())


@pytest.mark.distributed
def test_sizes_announced_before_the_interruption_apply_after_it(toy):
    sizes = ((0, (20, 10, 10)), (3, (10, 20, 10)), (8, (0, 20, 20)), (STEPS + 1, (38, 1, 1)))
    config = TrainConfig(toy, dataclasses.replace(OPTIONS, max_epochs=2), NET, batch_sizes=sizes)
    all_well(run_ranks(interrupted_as_rank, 3, [(config, (2, 7, STEPS, 2 * STEPS))]))


def test_one_rank_restored_after_any_step_ends_with_the_same_bits(toy):
    steps = (1, 7, STEPS, STEPS + 1, 3 * STEPS)
    interrupted_as_rank(World(threads=1), [(TrainConfig(toy, OPTIONS, NET), steps)])


def restored_as_rank(world, config, values, tensors):
    state = State(values, {name: torch.from_numpy(array) for name, array in tensors.items()})
    with world.joined():
        found = restored_run(world, config, state)
    return found["history"], arrays_of(found["weights"])


@pytest.mark.distributed
@pytest.mark.parametrize("ranks", [1, 2])
def test_another_number_of_ranks_continues_with_the_remaining_rows(toy, ranks):
    """Without dropout only the rows matter, not the rank that computes them."""
    net = dataclasses.replace(NET, dropout=0.0, embedding_dropout=0.0)
    config = TrainConfig(toy, dataclasses.replace(OPTIONS, optimizer="sgd", learning_rate=0.1, balance="auto"), net)
    with World(threads=1).joined() as world:
        expected, states = whole_run(world, config, (STEPS + 7,))
    state = states[STEPS + 7]
    history, weights = all_well(run_ranks(restored_as_rank, ranks, config, state.values, arrays_of(state.tensors)))[0]
    for name, tensor in expected["weights"].items():
        np.testing.assert_allclose(weights[name], tensor, rtol=0, atol=1e-5)
    for (_, loss, _, _), (_, alone, _, _) in zip(history, expected["history"], strict=True):
        assert loss == pytest.approx(alone, abs=1e-5)
    assert [len(sizes) for _, _, _, sizes in history] == [1, ranks, ranks]


def controller_of(ranks, *, rank=0):
    options = TrainOptions(batch_size=60)
    return BatchSizeController(options, World(rank=rank, size=ranks), StepClock(torch.device("cpu")))


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_sizes_that_were_announced_for_other_ranks_hold_for_none(ranks):
    schedule = [[0, [20, 20, 20]], [3, [30, 20, 10]], [9, [10, 20, 30]], [12, [20, 20, 20]]]
    controller = controller_of(ranks)
    controller.restore(State({"step": 8, "schedule": schedule, "rule": None}))
    assert controller.schedule[:2] == [(0, [20, 20, 20]), (3, [30, 20, 10])]
    for step in range(8, 20):
        assert len(controller.sizes_at(step)) == ranks
        assert controller.sizes_at(step).sum() == 60


def restored_schedule(step, schedule, *, replay=None, rule=None, saved="auto", **options):
    options = TrainOptions(batch_size=60, **options)
    controller = BatchSizeController(options, World(size=3), StepClock(torch.device("cpu")), replay)
    controller.restore(State({"step": step, "schedule": schedule, "balance": saved, "rule": rule}))
    return controller.schedule


UNEVEN = [[0, [20, 20, 20]], [3, [30, 20, 10]]]


def test_sizes_that_are_no_longer_balanced_become_even():
    assert restored_schedule(8, UNEVEN, balance="off") == [(0, [20, 20, 20]), (3, [30, 20, 10]), (8, [20, 20, 20])]


@pytest.mark.parametrize(("saved", "now"), [("epoch", "auto"), ("auto", "epoch"), ("off", "auto")])
def test_another_rule_begins_anew_with_the_sizes_of_the_former_one(saved, now):
    rule = {"sizes": [30, 20, 10]} if saved == "epoch" else Balancer.start(60, 3).state() if saved == "auto" else None
    assert restored_schedule(8, UNEVEN, rule=rule, saved=saved, balance=now) == [(0, [20, 20, 20]), (3, [30, 20, 10])]


def test_a_schedule_to_follow_is_followed_from_the_next_step_on():
    replay = [(0, [1, 1, 58]), (6, [10, 10, 40]), (9, [0, 30, 30])]
    found = restored_schedule(8, UNEVEN, replay=replay)
    assert found == [(0, [20, 20, 20]), (3, [30, 20, 10]), (8, [10, 10, 40]), (9, [0, 30, 30])]


def test_a_restored_controller_forgets_the_times_of_steps_that_are_not_its_own():
    controller = controller_of(2)
    state = controller.state()
    for _ in range(3):
        controller._clock.begin()
        controller._clock.computed()
        controller._clock.summed()
    controller.restore(state)
    assert len(controller._clock.read()) == 0


@pytest.mark.parametrize("ranks", [1, 2, 5])
def test_another_number_of_ranks_has_the_loss_of_all_and_the_mean_of_their_waits(toy, ranks):
    config = TrainConfig(toy, OPTIONS, NET)
    _, states = whole_run(World(threads=1), config, (5,))
    values = states[5].values["trainer"]
    (loss, _, _), values["sums"] = values["sums"][0], [[0.25, 0.4, 0.5], [0.75, 0.2, 0.1], [1.0, 0.0, 0.0]]
    found = []
    for rank in range(ranks):
        with trainer_of(World(), config) as trainer:
            trainer._world = trainer.batch_sizes._world = World(rank=rank, size=ranks)
            trainer.batch_sizes._even = even_sizes(40, ranks).tolist()
            trainer.restore(states[5])
            totals = trainer._totals
            found.append((float(totals.loss_sum), totals.seconds_without_data, trainer._seconds_for_ranks(totals)))
    assert loss > 0
    assert [each[0] for each in found] == [2.0] + [0.0] * (ranks - 1)
    assert [each[1:] for each in found] == [pytest.approx((0.2, 0.2))] * ranks


def test_the_balancer_continues_with_what_it_knew():
    rng, balancer = np.random.default_rng(0), Balancer.start(64, 3, limit=4.0)
    for _ in range(6):
        times = (0.01 + np.array([0.1, 0.2, 0.5]) * balancer.sizes) * rng.lognormal(0, 0.02, (5, 3))
        balancer, _ = balancer.after(balancer.sizes, times)
    known = json.loads(json.dumps(balancer.state()))
    restored = Balancer.start(64, 3, limit=4.0).restored(known)
    assert restored.sizes.tolist() == balancer.sizes.tolist() != [22, 21, 21]
    seconds = np.array([0.1, 0.2, 0.5]) * balancer.sizes * np.ones((5, 1))
    (_, one), (_, other) = balancer.after(balancer.sizes, seconds), restored.after(restored.sizes, seconds)
    assert one.sizes.tolist() == other.sizes.tolist()
    assert one.gain == other.gain


def test_a_state_is_unchanged_by_being_joined_and_split():
    part = State({"step": 3}, {"a/b": torch.ones(2)}, {"c": torch.zeros(1)})
    found = State.joined({"one": State.joined({"two": part}), "other": State()}).part("one").part("two")
    assert found == part
    assert State.joined({"one": part, "other": State()}).part("other") == State()
