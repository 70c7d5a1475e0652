"""Law 6 over files: a training that was killed at any step and resumed ends with the bits of an unbroken one."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from sentispark.bench.ledger import RowLedger, committed, rows_of_dataset, wasted_steps
from sentispark.dataset.batches import epoch_steps
from sentispark.errors import DatasetError, PreemptedError, RankLostError, TrainingError
from sentispark.files import Folder
from sentispark.nn.options import NetOptions
from sentispark.train import checkpointing
from sentispark.train.checkpoint import newest_checkpoint
from sentispark.train.config import TrainConfig
from sentispark.train.options import CheckpointOptions, TrainOptions
from sentispark.train.run import run_rank
from sentispark.train.world import World
from tests.helpers.ranks import all_well, run_ranks, train_ranks
from tests.helpers.toy import toy_rows, write_toy

NET = NetOptions(embedding_size=40, hidden_size=16, dropout=0.3, wide_size=500)
OPTIONS = TrainOptions(max_epochs=3, batch_size=40, learning_rate=0.02, reader="arrow", balance="off")
STEPS = 10  # of an epoch


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    path = tmp_path_factory.mktemp("toy") / "dataset"
    return write_toy(path, {"train": toy_rows(STEPS * 40, seed=1), "validation": toy_rows(100, seed=2)})


@pytest.fixture(scope="module")
def expected(toy):
    """The nets of unbroken trainings, by the number of ranks."""
    config = TrainConfig(toy, OPTIONS, NET)
    return {1: alone(config), 3: train_ranks(config, 3)}


@pytest.fixture
def config(toy, tmp_path):
    return TrainConfig(toy, OPTIONS, NET, checkpoints=CheckpointOptions(str(tmp_path / "run"), 4))


def alone(config, **hooks):
    return run_rank(config, World(threads=1), **hooks)


def killed_as_rank(world, config, rank, step):
    """The work of a rank of which one is killed before a step."""

    def kill(now, rows):
        if (world.rank, now) == (rank, step):
            os.kill(os.getpid(), signal.SIGKILL)

    return run_rank(config, world, before_step=kill)


def measured(trained):
    return [(entry["epoch"], entry["train_loss"], entry["validation"]) for entry in trained.history]


def same(found, expected):
    assert found.weights == expected.weights
    assert measured(found) == measured(expected)
    assert found.run["kept_epoch"] == expected.run["kept_epoch"]


class StopError(Exception):
    """What ends a rank in the middle."""


def stopped_before(config, step):
    def stop(now, rows):
        if now == step:
            raise StopError

    with pytest.raises(StopError):
        alone(config, before_step=stop)


def checkpoints(config):
    return sorted(os.listdir(config.checkpoints.checkpoint_dir))


@pytest.mark.distributed
@pytest.mark.parametrize(("rank", "step"), [(0, 7), (2, 13), (1, STEPS), (0, 2)])
def test_ranks_of_which_one_was_killed_resume_and_end_with_the_same_bits(config, expected, rank, step):
    outcomes = run_ranks(killed_as_rank, 3, config, rank, step, until_failure=True)
    assert any(isinstance(outcome, Exception) for outcome in outcomes)
    same(train_ranks(config, 3), expected[3])


@pytest.mark.distributed
def test_a_rank_that_lost_another_one_says_so(config):
    outcomes = run_ranks(killed_as_rank, 2, config, 1, 5)
    assert type(outcomes[0]) is RankLostError
    assert re.match(r"\[rank 0/2 on .*\] ", str(outcomes[0]))


@pytest.mark.parametrize("step", [1, 5, STEPS, STEPS + 3, 3 * STEPS - 1])
def test_one_rank_resumes_after_any_step(config, expected, step):
    stopped_before(config, step)
    taken = []
    same(alone(config, before_step=lambda now, rows: taken.append(now)), expected[1])
    assert taken == list(range(step // 4 * 4 if step % STEPS else step, 3 * STEPS)), "only what was lost is repeated"


def test_a_finished_training_is_not_repeated(config, expected):
    same(alone(config), expected[1])
    same(alone(config, before_step=lambda step, rows: pytest.fail("a step was taken")), expected[1])


def test_only_the_newest_checkpoints_stay(config):
    alone(config)
    assert [name[:15] for name in checkpoints(config)] == ["step-0000000028", "step-0000000030"]


@pytest.mark.distributed
@pytest.mark.parametrize("ranks", [1, 2])
def test_another_number_of_ranks_continues_in_the_same_steps(toy, tmp_path, ranks):
    """Without dropout only the rows matter, not the rank that computes them."""
    net = dataclasses.replace(NET, dropout=0.0, embedding_dropout=0.0)
    options = dataclasses.replace(OPTIONS, optimizer="sgd", learning_rate=0.1)
    config = TrainConfig(toy, options, net, checkpoints=CheckpointOptions(str(tmp_path / "run"), 4))
    unbroken = alone(dataclasses.replace(config, checkpoints=CheckpointOptions()))
    run_ranks(killed_as_rank, 3, config, 2, STEPS + 5, until_failure=True)
    found = train_ranks(config, ranks)
    for (_, loss, validation), (_, other, expected) in zip(measured(found), measured(unbroken), strict=True):
        assert loss == pytest.approx(other, abs=1e-5)
        assert validation["log_loss"] == pytest.approx(expected["log_loss"], abs=1e-5)


@pytest.mark.distributed
def test_with_fewer_ranks_the_loss_is_within_the_spread_of_seeds(toy, config):
    """With dropout, another number of ranks is another draw, as another seed is."""
    plain = TrainConfig(toy, OPTIONS, NET)
    seeds = [dataclasses.replace(plain, train=dataclasses.replace(OPTIONS, seed=seed)) for seed in range(8)]
    losses = [measured(alone(one))[-1][2]["log_loss"] for one in seeds]
    run_ranks(killed_as_rank, 3, config, 2, STEPS + 5, until_failure=True)
    found = measured(train_ranks(config, 2))[-1][2]["log_loss"]
    assert min(losses) < found < max(losses)


def noted_as_rank(world, config, ledger, until):
    """The work of a rank that records its rows; the last rank is killed before step `until`."""
    note = RowLedger(ledger)

    def before_step(step, batch):
        if step == until and world.rank == world.size - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        note(step, batch)

    return run_rank(config, world, before_step=before_step)


@pytest.mark.distributed
def test_every_row_counts_once_an_epoch_while_ranks_come_and_go(tmp_path):
    """4, then 3, then 5 ranks; neither the rows of the split nor those of a step can be divided by any of these."""
    rows, batch = 397, 43
    data = {"train": toy_rows(rows, seed=1), "validation": toy_rows(50, seed=2)}
    dataset = write_toy(tmp_path / "dataset", data)
    options = dataclasses.replace(OPTIONS, batch_size=batch)
    config = TrainConfig(dataset, options, NET, checkpoints=CheckpointOptions(str(tmp_path / "run"), 4))
    steps = epoch_steps(rows, batch)
    ledger = RowLedger(str(tmp_path / "ledger"))
    Path(ledger.folder).mkdir()
    attempts = []
    for ranks, until in [(4, steps - 1), (3, 2 * steps + 2), (5, None)]:
        attempts.append(time.time())
        outcomes = run_ranks(noted_as_rank, ranks, config, ledger.folder, until, until_failure=True)
    all_well(outcomes)
    entries = ledger.entries()
    assert committed(entries, attempts, steps) == dict.fromkeys(range(options.max_epochs), rows_of_dataset(dataset))
    assert 0 < wasted_steps(entries, attempts) <= 2 * 4

    alone_ledger = RowLedger(str(tmp_path / "alone"))
    Path(alone_ledger.folder).mkdir()
    alone(dataclasses.replace(config, checkpoints=CheckpointOptions()), before_step=alone_ledger)
    # The last attempt at each step counts: together its ranks take the rows that a single rank takes.
    assert committed(entries, attempts, 1) == committed(alone_ledger.entries(), [0.0], 1)


@pytest.mark.distributed
def test_what_each_rank_has_for_itself_is_saved(toy, tmp_path, monkeypatch):
    options = dataclasses.replace(OPTIONS, gradient_wire="powersgd", batch_size=10)  # it starts after 50 steps
    config = TrainConfig(toy, options, NET, checkpoints=CheckpointOptions(str(tmp_path / "run"), 30))
    unbroken = train_ranks(dataclasses.replace(config, checkpoints=CheckpointOptions()), 2)
    run_ranks(killed_as_rank, 2, config, 1, 70, until_failure=True)
    files = {name for path in Path(config.checkpoints.checkpoint_dir).iterdir() for name in os.listdir(path)}
    assert files == {"checkpoint.json", "state.safetensors", "rank-0.safetensors", "rank-1.safetensors"}
    same(train_ranks(config, 2), unbroken)


class TestDamage:
    """What is damaged is never used, and named."""

    def damaged(self, config, change):
        stopped_before(config, 9)
        *_, newest = checkpoints(config)
        change(Path(config.checkpoints.checkpoint_dir, newest))

    @pytest.mark.parametrize("file", ["state.safetensors", "checkpoint.json"])
    @pytest.mark.parametrize("kind", ["missing", "truncated", "a flipped bit", "empty", "other bytes"])
    def test_the_one_before_a_damaged_checkpoint_is_used(self, config, expected, caplog, file, kind):
        def change(folder):
            path, content = folder / file, bytearray((folder / file).read_bytes())
            if kind == "missing":
                path.unlink()
                return
            if kind == "a flipped bit":
                content[len(content) // 2] ^= 1
            path.write_bytes(
                {"truncated": content[:-9], "a flipped bit": content, "empty": b"", "other bytes": b"\x80\x04]."}[kind]
            )

        self.damaged(config, change)
        taken = []
        same(alone(config, before_step=lambda now, rows: taken.append(now)), expected[1])
        assert taken[0] == 4
        (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
        assert re.fullmatch(
            r"'.*/step-0000000008-.{8}' is not a complete checkpoint: .*\. Falling back to the previous checkpoint.*",
            warning,
        )

    def test_a_folder_that_a_killed_run_left_is_removed_when_newer_ones_are_there(self, config):
        root = Path(config.checkpoints.checkpoint_dir)
        for name in ("_step-0000000002-0123abcd.draft", "step-0000000002-0123abcd", "mine"):
            (root / name).mkdir(parents=True)
            (root / name / "state.safetensors").write_bytes(b"half")
        alone(config)
        assert [name[:15] for name in checkpoints(config)] == ["mine", "step-0000000028", "step-0000000030"]

    def test_one_of_a_later_format_is_refused(self, config):
        def later(folder):
            path = folder / "checkpoint.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 9}))

        self.damaged(config, later)
        with pytest.raises(TrainingError, match=r"format version 1\. It is of 9\. Use the version of sentispark that"):
            alone(config)

    def test_damaged_ones_do_not_count_among_those_that_stay(self, config, expected):
        """However new they look, what is written after them stays."""
        root = Path(config.checkpoints.checkpoint_dir)
        for step in (5000, 5001):
            (root / f"step-{step:010d}-0123abcd").mkdir(parents=True)
        stopped_before(config, 9)
        assert [name[:15] for name in checkpoints(config)] == ["step-0000000004", "step-0000000008"]
        same(alone(config), expected[1])

    def test_a_file_system_that_does_not_answer_is_no_damage(self, config, monkeypatch):
        stopped_before(config, 9)

        def silent(folder, name):
            raise TimeoutError("read timed out")

        monkeypatch.setattr(Folder, "read", silent)
        root = Folder(config.checkpoints.checkpoint_dir)
        with pytest.raises(TimeoutError):
            newest_checkpoint(root)


class TestOther:
    """A checkpoint of another training is refused before a step is taken."""

    def refused(self, config, **changes):
        stopped_before(config, 9)
        with pytest.raises(TrainingError) as caught:
            alone(dataclasses.replace(config, **changes), before_step=lambda step, rows: pytest.fail("a step"))
        assert isinstance(caught.value.__cause__, DatasetError)
        return re.sub(r"^.*another training: ", "", str(caught.value))

    END = " Name another folder, or set 'fresh' to delete the checkpoints there and start over."

    def test_each_difference_is_named(self, config):
        found = self.refused(
            config,
            train=dataclasses.replace(OPTIONS, learning_rate=0.5, seed=3, reader="auto", micro_batch_size=7),
            net=dataclasses.replace(NET, dropout=0.25),
        )
        assert found == (
            "'learningRate' was 0.02 and is 0.5; 'seed' was 0 and is 3; 'dropout' was 0.3 and is 0.25." + self.END
        )

    def test_another_dataset_is_refused_even_if_its_files_are_of_the_same_size(self, config, tmp_path):
        other = write_toy(tmp_path / "other", {"train": toy_rows(STEPS * 40, seed=9), "validation": toy_rows(100)})
        assert self.refused(config, dataset=other) == "its dataset is another one." + self.END

    def test_a_copy_of_the_dataset_is_the_same(self, config, expected, tmp_path, toy):
        stopped_before(config, 9)
        Path(toy).rename(toy + "-moved")
        try:
            same(alone(dataclasses.replace(config, dataset=toy + "-moved")), expected[1])
        finally:
            Path(toy + "-moved").rename(toy)

    def test_more_epochs_are_refused_where_the_schedule_depends_on_them(self, config):
        found = self.refused(config, train=dataclasses.replace(OPTIONS, max_epochs=4))
        assert found == "'maxEpochs' was 3 and is 4, on which the 'cosine' schedule depends." + self.END

    def test_more_epochs_continue_where_no_schedule_depends_on_them(self, config):
        options = dataclasses.replace(OPTIONS, schedule="constant", warmup_share=0.0)
        config = dataclasses.replace(config, train=options)
        alone(config)
        more = dataclasses.replace(config, train=dataclasses.replace(options, max_epochs=5))
        unbroken = alone(dataclasses.replace(more, checkpoints=CheckpointOptions()))
        same(alone(more), unbroken)
        fewer = dataclasses.replace(config, train=dataclasses.replace(options, max_epochs=2))
        with pytest.raises(TrainingError, match="'maxEpochs' is 2, but 5 are done"):
            alone(fewer)


class TestTime:
    """Intervals in seconds, and machines that are taken away."""

    def test_a_machine_that_is_taken_away_saves_and_stops(self, config, expected, monkeypatch):
        monkeypatch.setattr(checkpointing, "_MOST_STEPS_BETWEEN_VOTES", 1)
        asked = iter([False] * 6 + [True] * 9)
        with pytest.raises(PreemptedError, match=r"The training was saved after step 7: a machine is being taken away"):
            alone(config, preempted=lambda: next(asked))
        assert newest_checkpoint(Folder(config.checkpoints.checkpoint_dir))[0].step == 7
        same(alone(config), expected[1])

    def test_seconds_count_from_the_last_checkpoint(self, config, monkeypatch, toy):
        monkeypatch.setattr(checkpointing, "_MOST_STEPS_BETWEEN_VOTES", 1)
        config = dataclasses.replace(
            config, checkpoints=dataclasses.replace(config.checkpoints, checkpoint_interval="2s", keep_checkpoints=99)
        )
        ticks = iter(range(10**6))
        original = checkpointing.Checkpointing
        monkeypatch.setattr(
            "sentispark.train.run.Checkpointing",
            lambda *args, **kwargs: original(*args, **kwargs, clock=lambda: next(ticks) / 4),
        )
        alone(config)
        steps = [int(name[5:15]) for name in checkpoints(config)]
        assert steps[-1] == 3 * STEPS
        assert 5 < len(steps) < 3 * STEPS

    def test_a_notice_does_not_stop_a_training_that_cannot_be_saved(self, config, expected, monkeypatch, caplog):
        monkeypatch.setattr(checkpointing, "_MOST_STEPS_BETWEEN_VOTES", 1)
        monkeypatch.setattr(checkpointing, "write_checkpoint", full)
        same(alone(config, preempted=lambda: True), expected[1])
        assert "could not be written" in caplog.text

    def test_a_checkpoint_is_left_out_while_another_is_still_written(self, config, expected, monkeypatch, caplog):
        monkeypatch.setattr(checkpointing, "_SECONDS_TO_WRITE", 0.0)
        write = checkpointing.write_checkpoint

        def slow(*arguments):
            time.sleep(0.5)
            return write(*arguments)

        monkeypatch.setattr(checkpointing, "write_checkpoint", slow)
        same(alone(config), expected[1])
        assert "The checkpoint of step 8 is left out: another one is still being written." in caplog.text
        assert "could not be written" not in caplog.text


def full(*_):
    raise OSError(28, "No space left on device")


@pytest.mark.distributed
def test_all_ranks_save_after_the_same_step_when_one_is_asked(config, expected):
    outcomes = run_ranks(preempted_as_rank, 3, config)
    assert {type(outcome) for outcome in outcomes} == {PreemptedError}
    assert {re.search(r"after step (\d+)", str(outcome))[1] for outcome in outcomes} == {"5"}
    same(all_well(run_ranks(plain_as_rank, 3, config))[0], expected[3])


def preempted_as_rank(world, config):
    checkpointing._MOST_STEPS_BETWEEN_VOTES = 1  # in this rank's process
    votes = itertools.count()
    return run_rank(config, world, preempted=lambda: world.rank == 1 and next(votes) == 4)


def plain_as_rank(world, config):
    return run_rank(config, world)


def test_a_checkpoint_that_cannot_be_written_is_logged_and_the_training_goes_on(config, expected, caplog, monkeypatch):
    monkeypatch.setattr(checkpointing, "write_checkpoint", full)
    same(alone(config), expected[1])
    assert "The checkpoint of step 4 could not be written: No space left on device." in caplog.text


def test_old_checkpoints_that_cannot_be_removed_do_not_make_a_new_one_fail(config, expected, caplog, monkeypatch):
    remove = Folder.remove

    def denied(folder):
        if "step-0000000004" in folder.url:
            raise PermissionError(13, "Permission denied")
        remove(folder)

    monkeypatch.setattr(Folder, "remove", denied)
    same(alone(config), expected[1])
    assert "An old checkpoint could not be removed: Permission denied." in caplog.text
    assert "could not be written" not in caplog.text
    assert [int(name[5:15]) for name in checkpoints(config)] == [4, 28, 30]


def test_checkpoints_on_an_object_store_are_resumed(toy, expected, s3):
    config = TrainConfig(toy, OPTIONS, NET, checkpoints=CheckpointOptions(f"{s3}/runs/one", 4))
    stopped_before(config, 9)
    assert newest_checkpoint(Folder(f"{s3}/runs/one"))[0].step == 8
    taken = []
    same(alone(config, before_step=lambda now, rows: taken.append(now)), expected[1])
    assert taken[0] == 8
    assert [name[:15] for name in Folder(f"{s3}/runs/one").names()] == ["step-0000000028", "step-0000000030"]
