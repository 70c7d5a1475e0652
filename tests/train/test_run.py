"""Complete trainings on several ranks: repeatable, equally good with any number of ranks, and with clear errors."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from sentispark.bench.slowdown import Slowdown
from sentispark.dataset.dataset import open_dataset
from sentispark.dataset.readers import ArrowReader
from sentispark.dataset.store import RowStore
from sentispark.errors import DatasetError, OptionError, TrainingError
from sentispark.files import Folder
from sentispark.nn.options import NetOptions
from sentispark.train.config import TrainConfig
from sentispark.train.evaluation import evaluate
from sentispark.train.options import TrainOptions
from sentispark.train.result import TrainedNet
from sentispark.train.run import run_rank
from sentispark.train.world import World
from tests.helpers.ranks import all_well, run_ranks, train_as_rank, train_ranks
from tests.helpers.toy import Row, toy_rows, write_toy

NET = NetOptions(embedding_size=8, hidden_size=8, dropout=0.1, wide_size=50)
QUICK = TrainOptions(max_epochs=1, batch_size=40, learning_rate=0.02, reader="arrow", balance="off")
HOST = platform.node()


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A dataset of 600 training rows and 300 validation rows."""
    path = tmp_path_factory.mktemp("toy") / "dataset"
    return write_toy(path, {"train": toy_rows(600, seed=1), "validation": toy_rows(300, seed=2)})


@pytest.fixture
def rows_at(tmp_path):
    """A function that writes training rows as a new dataset and returns its path."""
    return lambda rows, **options: write_toy(tmp_path / "dataset", {"train": rows}, **options)


def config_of(path, **changes):
    return TrainConfig(path, dataclasses.replace(QUICK, **changes), NET)


# One thread, as on a host with a rank on each core.
ALONE = World(threads=1)


def train_alone(path, **changes):
    return run_rank(config_of(path, **changes), ALONE)


def sentence(kind, function, *arguments, **options):
    with pytest.raises(kind) as caught:
        function(*arguments, **options)
    return str(caught.value)


def measured(history):
    """The history without measured times."""
    of_a_clock = ("seconds", "rows_per_second", "data_wait_share", "rank_wait_share")
    return [{name: value for name, value in entry.items() if name not in of_a_clock} for entry in history]


# The validation contradicts the training, so its loss grows from epoch to epoch.
@pytest.fixture(scope="module")
def contrary(tmp_path_factory):
    turned = [row._replace(label=1 - row.label) for row in toy_rows(100, seed=2)]
    path = tmp_path_factory.mktemp("contrary") / "dataset"
    return write_toy(path, {"train": toy_rows(400, seed=1), "validation": turned})


@pytest.fixture(scope="module")
def trained(toy):
    return train_alone(toy)


class TestRepeating:
    """Law 6: the same seed, data and ranks give the same weights, bit for bit."""

    def test_one_rank_twice(self, toy):
        first, again = train_alone(toy), train_alone(toy)
        assert first.weights == again.weights
        assert measured(first.history) == measured(again.history)

    @pytest.mark.distributed
    def test_two_ranks_twice(self, toy):
        first, again = (train_ranks(config_of(toy), 2) for _ in range(2))
        assert first.weights == again.weights
        assert measured(first.history) == measured(again.history)

    def test_another_seed_gives_other_weights(self, toy):
        assert train_alone(toy, seed=1).fingerprint != train_alone(toy, seed=2).fingerprint

    def test_both_readers_give_the_same_weights(self, toy):
        pytest.importorskip("petastorm")
        nets = {reader: train_alone(toy, reader=reader) for reader in ("arrow", "petastorm")}
        assert nets["arrow"].weights == nets["petastorm"].weights
        assert {reader: net.run["reader"] for reader, net in nets.items()} == {
            "arrow": "arrow",
            "petastorm": "petastorm",
        }

    def test_a_training_leaves_torchs_threads_as_they_were(self, toy):
        import torch

        before = torch.get_num_threads()
        train_alone(toy)
        assert torch.get_num_threads() == before


@pytest.mark.distributed
class TestSizes:
    """Neither the number of ranks nor their batch sizes change what is learned, except for rounding."""

    NET = dataclasses.replace(NET, dropout=0.0, embedding_dropout=0.0)

    def weights_of(self, path, ranks, sizes=None):
        config = dataclasses.replace(
            config_of(path, optimizer="sgd", learning_rate=0.1), net=self.NET, batch_sizes=sizes
        )
        return train_ranks(config, ranks).module().state_dict()

    @pytest.mark.parametrize(
        ("ranks", "sizes"),
        [(2, None), (3, None), (2, ((0, (33, 7)),)), (3, ((0, (1, 38, 1)), (4, (20, 0, 20)), (9, (10, 15, 15))))],
        ids=["two even", "three even", "two uneven", "three that change"],
    )
    def test_a_whole_epoch_ends_with_the_weights_that_one_rank_reaches(self, toy, ranks, sizes):
        alone, together = self.weights_of(toy, 1), self.weights_of(toy, ranks, sizes)
        for name, tensor in together.items():
            np.testing.assert_allclose(tensor, alone[name], rtol=0, atol=1e-5)

    def test_sizes_that_were_recorded_repeat_a_balanced_run_bit_for_bit(self, toy):
        config = config_of(toy, max_epochs=3, balance="auto", batch_size=12)
        outcomes = all_well(run_ranks(train_slowly, 2, config))
        recorded = outcomes[0].run["batch_sizes"]
        assert len(recorded) > 1
        again = train_ranks(
            dataclasses.replace(config, batch_sizes=tuple((step, tuple(sizes)) for step, sizes in recorded)), 2
        )
        assert again.weights == outcomes[0].weights == outcomes[1].weights
        assert again.run["batch_sizes"] == recorded

    @pytest.mark.parametrize("held", [(40,), (20, 21), (60, -20)])
    def test_recorded_sizes_that_do_not_fit_are_an_error(self, toy, held):
        config = dataclasses.replace(config_of(toy), batch_sizes=((0, held),))
        outcomes = run_ranks(train_as_rank, 2, config)
        assert str(outcomes[0]) == (
            f"[rank 0/2 on {HOST}] 'batch_sizes' must be those of 2 workers and sum to batchSize (40). "
            f"From step 0 on they are {list(held)}."
        )


def train_slowly(world, config):
    """A training in which the second rank is much slower than the first."""
    return run_rank(config, world, before_step=Slowdown(per_row=0.005 if world.rank else 0.0).wait)


@pytest.mark.alone
@pytest.mark.distributed
class TestBalance:
    """A slow rank gets fewer rows."""

    def slow_run(self, path, **changes):
        return all_well(run_ranks(train_slowly, 2, config_of(path, max_epochs=2, batch_size=12, **changes)))[0]

    def test_auto_moves_rows_to_the_faster_rank_within_an_epoch(self, toy):
        trained = self.slow_run(toy, balance="auto")
        fast, slow = trained.history[0]["batch_sizes"]
        assert fast + slow == 12
        assert slow <= 3
        first = next(decision for decision in trained.history[0]["balance"] if decision["moved"])
        assert first["gain"] > 0.2
        assert first["seconds"][1] > 2 * first["seconds"][0]

    def test_the_old_rule_moves_them_at_the_end_of_an_epoch(self, toy):
        trained = self.slow_run(toy, balance="epoch")
        record = trained.run["batch_sizes"]
        assert record[0] == [0, [6, 6]]
        assert record[1][0] == 50
        assert record[1][1][1] <= 3

    def test_off_moves_none(self, toy):
        trained = self.slow_run(toy, balance="off")
        assert trained.run["batch_sizes"] == [[0, [6, 6]]]

    def test_the_shares_of_waiting_show_which_run_is_balanced(self, toy):
        shares = {mode: self.slow_run(toy, balance=mode).history[1]["rank_wait_share"] for mode in ("auto", "off")}
        assert shares["auto"] < shares["off"]
        assert 0.2 < shares["off"] < 0.7


@pytest.mark.distributed
@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_any_number_of_ranks_learns_the_toy_task(toy, ranks):
    trained = train_ranks(config_of(toy, max_epochs=4), ranks)
    last = trained.history[-1]
    assert last["validation"]["roc_auc"] > 0.98
    assert last["validation"]["accuracy"] > 0.9
    assert last["train_loss"] < 0.4 < 0.6 < trained.history[0]["train_loss"]
    assert trained.run["workers"] == ranks
    assert sum(last["batch_sizes"]) == 40
    assert len(last["batch_sizes"]) == ranks


@pytest.mark.distributed
def test_ranks_evaluate_the_validation_rows_as_one_process_does(toy):
    trained = train_ranks(config_of(toy), 3)
    with RowStore(open_dataset(toy), "validation", ArrowReader()) as store:
        alone = evaluate(trained.module(), store, World())
    together = trained.history[-1]["validation"]
    assert together["rows"] == alone["rows"] == 300
    assert together["confusion"] == alone["confusion"]
    assert together["log_loss"] == pytest.approx(alone["log_loss"], abs=1e-6)


class TestUnusualData:
    """Small and one-sided datasets train or raise a clear error; nothing waits forever."""

    @pytest.mark.distributed
    @pytest.mark.parametrize("ranks", [1, 2])
    def test_ten_rows(self, rows_at, ranks):
        assert np.isfinite(train_ranks(config_of(rows_at(toy_rows(10))), ranks).history[0]["train_loss"])

    @pytest.mark.distributed
    def test_fewer_rows_than_ranks(self, rows_at):
        trained = train_ranks(config_of(rows_at(toy_rows(2)), max_epochs=2), 4)
        assert [entry["epoch"] for entry in trained.history] == [1, 2]

    def test_one_row(self, rows_at):
        assert len(train_alone(rows_at(toy_rows(1))).history) == 1

    def test_a_single_class_is_learned_as_the_answer_for_all(self, rows_at):
        rows = [row._replace(label=1) for row in toy_rows(200)]
        trained = train_alone(rows_at(rows), max_epochs=3)
        assert trained.history[-1]["train_loss"] < 0.2

    def test_reviews_without_words_train_only_the_head(self, rows_at):
        trained = train_alone(rows_at([Row([], number % 4 // 3) for number in range(80)]), max_epochs=25)
        # A quarter is positive, so the best possible loss is the entropy of 1/4.
        assert trained.history[-1]["train_loss"] == pytest.approx(0.5623, abs=0.05)

    def test_a_batch_larger_than_the_data_is_one_step(self, rows_at):
        events = []
        run_rank(config_of(rows_at(toy_rows(30)), batch_size=1000), ALONE, events.append)
        assert [(event["step"], event["steps"]) for event in events if event["kind"] == "progress"] == [(1, 1)]

    def test_without_validation_the_last_epoch_is_kept(self, rows_at):
        trained = train_alone(rows_at(toy_rows(50)), max_epochs=3)
        assert [entry["validation"] for entry in trained.history] == [None, None, None]
        assert trained.run["kept_epoch"] == 3

    def test_without_training_rows(self, tmp_path):
        path = write_toy(tmp_path, {"validation": toy_rows(5)})
        assert sentence(TrainingError, train_alone, path) == (
            f"[rank 0/1 on {HOST}] 'split' must name a split with rows (train 0, validation 5, test 0). Got 'train'."
        )

    @pytest.mark.distributed
    def test_a_batch_smaller_than_the_ranks(self, rows_at):
        path = rows_at(toy_rows(10))
        outcomes = run_ranks(train_as_rank, 2, config_of(path, batch_size=1))
        assert [str(outcome) for outcome in outcomes] == [
            f"[rank {rank}/2 on {HOST}] 'batchSize' must be at least the number of workers (2). Got 1. "
            "Raise batchSize or lower numWorkers."
            for rank in range(2)
        ]


class TestKeeping:
    """The weights that are kept are those of the requested epoch."""

    def kept(self, path, **changes):
        trained = train_alone(path, max_epochs=3, schedule="constant", **changes)
        losses = [entry["validation"]["log_loss"] for entry in trained.history]
        with RowStore(open_dataset(path), "validation", ArrowReader()) as store:
            return trained, losses, evaluate(trained.module(), store, World())["log_loss"]

    def test_best_keeps_the_epoch_of_the_lowest_validation_loss(self, contrary):
        trained, losses, kept_loss = self.kept(contrary, keep="best")
        assert losses[0] < losses[2]
        assert kept_loss == pytest.approx(min(losses), abs=1e-6)
        assert trained.run["kept_epoch"] == 1 + losses.index(min(losses)) < 3

    def test_last_keeps_the_last_epoch(self, contrary):
        trained, losses, kept_loss = self.kept(contrary, keep="last")
        assert kept_loss == pytest.approx(losses[2], abs=1e-6)
        assert trained.run["kept_epoch"] == 3


class TestEndingEarly:
    """Training ends early according to the validation loss, and never without validation rows."""

    def test_patience_counts_epochs_without_a_lower_loss(self, contrary):
        trained = train_alone(contrary, max_epochs=9, schedule="constant", patience=2)
        losses = [entry["validation"]["log_loss"] for entry in trained.history]
        best = losses.index(min(losses))
        assert len(losses) == best + 3 < 9
        assert trained.run["kept_epoch"] == best + 1

    def test_a_target_that_is_reached_ends_the_training(self, toy):
        losses = [entry["validation"]["log_loss"] for entry in train_alone(toy, max_epochs=3).history]
        assert losses[2] < losses[1] < losses[0]
        trained = train_alone(toy, max_epochs=3, target_loss=(losses[0] + losses[1]) / 2)
        assert [entry["validation"]["log_loss"] for entry in trained.history] == losses[:2]

    @pytest.mark.parametrize(("change", "name"), [({"target_loss": 0.5}, "targetLoss"), ({"patience": 1}, "patience")])
    def test_without_validation_rows_early_stopping_is_an_error(self, rows_at, change, name):
        assert sentence(TrainingError, train_alone, rows_at(toy_rows(10)), **change) == (
            f"[rank 0/1 on {HOST}] '{name}' needs rows for validation. The dataset has none. "
            "Prepare some, or leave it out."
        )


class TestWeights:
    """Weights of rows and classes."""

    def test_rows_of_weight_0_are_not_learned(self, tmp_path):
        wrong = [row._replace(label=1 - row.label, weight=0.0) for row in toy_rows(400, seed=3)]
        right = [row._replace(weight=5.0) for row in toy_rows(400, seed=1)]
        rows = [row for pair in zip(wrong, right, strict=True) for row in pair]
        path = write_toy(tmp_path, {"train": rows, "validation": toy_rows(200, seed=2)}, weighted=True)
        assert train_alone(path, max_epochs=4).history[-1]["validation"]["accuracy"] > 0.9

    def test_only_the_ratios_of_weights_matter(self, tmp_path):
        nets = []
        for scale in (1.0, 64.0):
            rows = [row._replace(weight=scale * (1 + number % 3)) for number, row in enumerate(toy_rows(120))]
            path = write_toy(tmp_path / str(scale), {"train": rows}, weighted=True)
            nets.append(train_alone(path, batch_size=60))
        for name, tensor in nets[0].module().state_dict().items():
            np.testing.assert_allclose(tensor, nets[1].module().state_dict()[name], rtol=0, atol=1e-5)

    def test_weights_that_are_all_0_are_an_error(self, rows_at):
        path = rows_at([row._replace(weight=0.0) for row in toy_rows(10)], weighted=True)
        assert sentence(TrainingError, train_alone, path) == (
            f"[rank 0/1 on {HOST}] The weights of the training rows must not all be 0. They are."
        )

    def test_balanced_is_the_ratio_of_negative_to_positive_rows(self, rows_at):
        rows = [Row([2, 3], 1)] * 10 + [Row([3, 2], 0)] * 40
        path = rows_at(rows)
        balanced, spelled = train_alone(path, positive_weight="balanced"), train_alone(path, positive_weight=4.0)
        assert balanced.weights == spelled.weights != train_alone(path).weights

    def test_balanced_is_by_weight_if_rows_have_weights(self, rows_at):
        kinds = [Row([2, 3], 1, 6.0), Row([2, 4], 1, 0.5), Row([3, 2], 0, 1.0), Row([4, 2, 3], 0, 3.0)]
        rows = [kinds[number % 3 if number % 5 else 3] for number in range(60)]
        path = rows_at(rows, weighted=True)
        # Such a low rate hardly changes the net: the loss of the epoch is that of the initial net.
        config = config_of(path, positive_weight="balanced", learning_rate=1e-12, wide_learning_rate=1e-12)
        still = dataclasses.replace(NET, dropout=0.0, embedding_dropout=0.0)
        trained = run_rank(dataclasses.replace(config, net=still), ALONE)
        net = trained.module()
        labels, weights = (np.array([getattr(row, name) for row in rows]) for name in ("label", "weight"))
        classes = weights.sum() / (2 * np.bincount(labels, weights))  # scikit-learn's rule, by weight
        ids = torch.tensor([row.ids + [0] * (3 - len(row.ids)) for row in rows])
        with torch.no_grad():
            logits = net(ids, torch.tensor([len(row.ids) for row in rows])).numpy().astype(float)
        losses = np.logaddexp(0, np.where(labels == 1, -logits, logits))
        by_hand = np.sum(losses * weights * (classes / classes[0])[labels]) / weights.sum()
        assert np.sum((weights * classes[labels])[labels == 1]) == pytest.approx(weights.sum() / 2)
        assert trained.history[0]["train_loss"] == pytest.approx(by_hand, rel=1e-5)

    def test_balanced_needs_weight_in_both_classes(self, rows_at):
        path = rows_at([Row([2, 3], 1, 0.0), Row([3, 2], 0, 1.0)] * 10, weighted=True)
        assert "if only one class has training rows of weight above 0. Got 'balanced'." in sentence(
            TrainingError, train_alone, path, positive_weight="balanced"
        )

    @pytest.mark.parametrize("label", [0, 1])
    def test_balanced_needs_both_classes(self, rows_at, label):
        path = rows_at([Row([2, 3], label)] * 10)
        with pytest.raises(TrainingError) as caught:
            train_alone(path, positive_weight="balanced")
        assert isinstance(caught.value.__cause__, OptionError)
        assert str(caught.value.__cause__) == (
            "'positiveWeight' must be a number if only one class has training rows. Got 'balanced'."
        )


class TestFailures:
    """The error of a failed rank names the rank and its host; the others do not wait for it."""

    @pytest.mark.distributed
    @pytest.mark.parametrize("ranks", [1, 2])
    def test_a_loss_that_is_not_finite_ends_the_training(self, toy, ranks):
        config = config_of(toy, optimizer="sgd", learning_rate=1e30, gradient_clip=None, schedule="constant")
        outcomes = run_ranks(train_as_rank, ranks, config)
        assert [str(outcome) for outcome in outcomes] == [
            f"[rank {rank}/{ranks} on {HOST}] The loss of epoch 1 is nan. Lower the learning rate or clip gradients."
            for rank in range(ranks)
        ]

    @pytest.mark.distributed
    def test_ranks_that_cannot_open_the_dataset_name_themselves_and_never_wait(self, tmp_path):
        outcomes = run_ranks(train_as_rank, 2, config_of(f"{tmp_path}/none"))
        assert [type(outcome) for outcome in outcomes] == [TrainingError, TrainingError]
        assert [str(outcome) for outcome in outcomes] == [
            f"[rank {rank}/2 on {HOST}] '{tmp_path}/none' must be a dataset. Nothing is there. "
            "Run 'sentispark prepare' first."
            for rank in range(2)
        ]

    @pytest.mark.distributed
    def test_one_rank_that_cannot_open_the_dataset_raises_before_it_meets_the_others(self, toy, tmp_path):
        shutil.copytree(toy, tmp_path / "rank-0")
        outcomes = run_ranks(train_on_own_copy, 2, str(tmp_path), config_of(""), until_failure=True)
        assert outcomes[0] is None
        assert str(outcomes[1]).startswith(f"[rank 1/2 on {HOST}] '{tmp_path}/rank-1' must be a dataset.")

    @pytest.mark.distributed
    def test_a_chunk_that_turns_out_damaged_is_named_by_the_rank_that_reads_it(self, toy, tmp_path):
        path = shutil.copytree(toy, tmp_path / "dataset")
        damage(path / "train/chunk-000005.parquet")
        # Data are read before the ranks meet, so the launcher ends the one that still waits.
        outcomes = run_ranks(train_as_rank, 2, config_of(str(path)), until_failure=True)
        assert isinstance(outcomes[1], TrainingError)
        assert str(outcomes[1]).startswith(
            f"[rank 1/2 on {HOST}] '{path}/train/chunk-000005.parquet' must be a Parquet file. It cannot be read:"
        )


def damage(file):
    """Replace a chunk by as many bytes that are not Parquet: opening the dataset does not notice, reading it does."""
    file.write_bytes(b"x" * file.stat().st_size)


def train_on_own_copy(world, folder, config):
    return run_rank(dataclasses.replace(config, dataset=f"{folder}/rank-{world.rank}"), world)


class TestTrainedNet:
    """A loaded net equals the saved one, and a damaged one is not loaded."""

    @pytest.fixture
    def saved(self, trained, tmp_path):
        trained.save(Folder(str(tmp_path)))
        return tmp_path

    def test_it_is_the_same_after_being_saved_and_loaded(self, trained, saved):
        loaded = TrainedNet.load(Folder(str(saved)))
        assert loaded == dataclasses.replace(trained)
        assert loaded.fingerprint == trained.fingerprint

    def test_a_net_with_hidden_head_layers_too(self, toy, tmp_path):
        net = NetOptions(embedding_size=4, hidden_size=4, head_layers=(3, 2))
        trained = run_rank(TrainConfig(toy, QUICK, net), ALONE)
        trained.save(Folder(str(tmp_path)))
        assert TrainedNet.load(Folder(str(tmp_path))) == trained

    def test_its_files_are_safetensors_and_json(self, saved):
        assert sorted(file.name for file in saved.iterdir()) == ["history.json", "net.json", "weights.safetensors"]
        content = (saved / "weights.safetensors").read_bytes()
        header = int.from_bytes(content[:8], "little")
        assert "embedding.weight" in json.loads(content[8 : 8 + header])
        for name in ("net.json", "history.json"):
            json.loads((saved / name).read_text())

    @pytest.mark.parametrize("name", ["net.json", "history.json", "weights.safetensors"])
    def test_a_missing_file(self, saved, name):
        (saved / name).unlink()
        found = sentence(DatasetError, TrainedNet.load, Folder(str(saved)))
        assert found.startswith(f"'{saved}' must hold a trained net. It is damaged: FileNotFoundError")

    @pytest.mark.parametrize(
        "change",
        [
            lambda text: text[:-5],
            lambda text: "[]",
            lambda text: text.replace('"vocabulary_size"', '"size"'),
            lambda text: text.replace('"hidden_size"', '"size"'),
            lambda text: text.replace('"max_mean"', '"sum"'),
        ],
        ids=["cut", "a list", "no vocabulary size", "unknown option", "unknown pooling"],
    )
    def test_a_damaged_description(self, saved, change):
        (saved / "net.json").write_text(change((saved / "net.json").read_text()))
        found = sentence(DatasetError, TrainedNet.load, Folder(str(saved)))
        assert found.startswith(f"'{saved}' must hold a trained net. It is damaged:")

    @pytest.mark.parametrize(
        "change",
        [lambda content: content[:-4], lambda content: b"", lambda content: b"\xff" * len(content)],
        ids=["cut", "empty", "noise"],
    )
    def test_damaged_weights(self, saved, change):
        file = saved / "weights.safetensors"
        file.write_bytes(change(file.read_bytes()))
        found = sentence(DatasetError, TrainedNet.load(Folder(str(saved))).module)
        assert found.startswith("The weights must be those of the net that 'net.json' describes:")

    def test_weights_of_another_net(self, trained):
        other = dataclasses.replace(trained, options=dataclasses.replace(trained.options, hidden_size=9))
        assert sentence(DatasetError, other.module).startswith("The weights must be those of the net")


LEFT_THREADS = """
import sys
from pathlib import Path
from sentispark.train.__main__ import main

main(sys.argv[1:])
print("threads:", *((task / "comm").read_text().strip() for task in Path("/proc/self/task").iterdir()), file=sys.stderr)
"""


@pytest.mark.distributed
@pytest.mark.endtoend
class TestCommand:
    """`torchrun -m sentispark.train`: the same ranks from another launcher."""

    @pytest.fixture
    def job(self, toy, tmp_path):
        file = tmp_path / "job.json"
        file.write_text(config_of(toy).to_json())
        return file

    def run(self, *arguments, processes=None):
        torchrun = ["torch.distributed.run", "--standalone", f"--nproc-per-node={processes}", "-m"] if processes else []
        command = [sys.executable, "-m", *torchrun, "sentispark.train", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2])

    def test_two_processes_of_torchrun_train_the_same_net_as_two_ranks_without_it(self, toy, job, tmp_path):
        done = self.run("--config", job, "--output", tmp_path / "net", processes=2)
        assert done.returncode == 0, done.stderr
        found, expected = TrainedNet.load(Folder(str(tmp_path / "net"))), train_ranks(config_of(toy), 2)
        assert found.weights == expected.weights
        (line,) = done.stdout.splitlines()
        told = json.loads(line)
        assert {name: told[name] for name in ("workers", "reader", "output")} == {
            "workers": 2,
            "reader": "arrow",
            "output": str(tmp_path / "net"),
        }
        assert measured(told["epochs"]) == measured(expected.history)

    @pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="asks Linux for this process's threads")
    def test_a_rank_that_is_done_leaves_no_thread_of_its_process_group(self, job, tmp_path):
        (tmp_path / "script.py").write_text(LEFT_THREADS)
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
        command += [str(tmp_path / "script.py"), "--config", str(job), "--output", str(tmp_path / "net")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=Path(__file__).parents[2])
        assert done.returncode == 0, done.stderr
        assert "threads: " in done.stderr
        assert "gloo" not in "".join(line for line in done.stderr.splitlines() if line.startswith("threads: "))

    def test_ranks_of_torchrun_with_a_bad_config_end_with_its_sentence(self, tmp_path):
        (tmp_path / "job.json").write_text('{"dataset": "none", "train": {"epochs": 1}}')
        done = self.run("--config", tmp_path / "job.json", "--output", tmp_path / "net", processes=2)
        assert done.returncode != 0
        assert "error: 'epochs' is not an option of 'train'. Did you mean 'max_epochs'?\n" in done.stderr
        assert not (tmp_path / "net").exists()

    def test_one_process_without_torchrun_is_a_world_of_one(self, job, tmp_path):
        done = self.run("--config", job, "--output", tmp_path / "net")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["workers"] == 1

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("{", "error: The config must be JSON. It is not: Expecting property name"),
            ('{"dataset": "/none"}', "error: '/none' must be a dataset. Nothing is there."),
            (None, "error: No such file or directory: '{}/job.json'"),
        ],
        ids=["no JSON", "no dataset", "no file"],
    )
    def test_a_config_that_cannot_be_run_ends_with_one_sentence(self, tmp_path, content, expected):
        if content is not None:
            (tmp_path / "job.json").write_text(content)
        done = self.run("--config", tmp_path / "job.json", "--output", tmp_path / "net")
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith(expected.format(tmp_path))
        assert len(done.stderr.splitlines()) == 1
        assert os.listdir(tmp_path) == (["job.json"] if content is not None else [])

    def test_an_existing_output_is_unchanged(self, job, tmp_path):
        (tmp_path / "net").mkdir()
        done = self.run("--config", job, "--output", tmp_path / "net")
        assert done.returncode == 1
        assert done.stderr == (f"error: '{tmp_path}/net' already exists. Use --overwrite or name another output.\n")
        assert list((tmp_path / "net").iterdir()) == []
