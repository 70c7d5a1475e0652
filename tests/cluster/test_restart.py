"""Which failures are retried, how often, and with how many ranks."""

from __future__ import annotations

import pytest

from sentispark.cluster import restart
from sentispark.cluster.options import RestartOptions
from sentispark.cluster.restart import Budget, train_with_restarts
from sentispark.errors import OptionError, PreemptedError, RankLostError, RankMemoryError, SetupError, TrainingError
from sentispark.nn.options import NetOptions
from sentispark.train.config import TrainConfig
from sentispark.train.result import TrainedNet

CONFIG = TrainConfig("dataset")
RUN = {"workers": 1, "attempts": []}


class TestBudget:
    """What is left after a failure."""

    def test_lost_ranks_and_notices_have_budgets_of_their_own(self):
        budget = Budget(1, 2)
        after = budget.after(RankLostError("lost"))
        assert after == Budget(0, 2)
        assert after.after(RankLostError("lost")) is None
        assert after.after(PreemptedError("notice")).after(PreemptedError("notice")) == Budget(0, 0)
        assert Budget(5, 0).after(PreemptedError("notice")) is None

    def test_what_will_fail_again_is_not_retried(self):
        assert Budget(9, 9).after(TrainingError("nan")) is None

    def test_memory_that_ran_out_twice_in_a_row_is_not_tried_a_third_time(self):
        once = Budget(9, 9).after(RankMemoryError("memory"))
        assert once.after(RankMemoryError("memory")) is None
        assert once.after(RankLostError("lost")).after(RankMemoryError("memory")) is not None


class Cluster:
    """A cluster whose attempts end as a test wants, and whose slots change as time passes."""

    def __init__(self, monkeypatch, outcomes, slots=lambda now: 4):
        self.now, self.waits, self.tried, self.events = 0.0, [], [], []
        self._outcomes, self._slots = iter(outcomes), slots
        monkeypatch.setattr(restart, "train_on_cluster", self._train)
        monkeypatch.setattr(restart, "task_slots", lambda spark: self._slots(self.now))

    def _train(self, spark, config, monitor, *, before_step):
        self.tried.append(len(monitor.hosts))
        outcome = next(self._outcomes)
        steps, error = outcome if isinstance(outcome, tuple) else ((0, 0), outcome)
        monitor.heard(0, {"kind": "resume", "step": steps[0], "epochs": 0, "checkpoint": ""})
        monitor.heard(0, {"kind": "progress", "epoch": 1, "step": steps[1], "steps": 99})
        if error:
            raise error
        return TrainedNet(NetOptions(), 10, 5, b"", [], dict(RUN))

    def wait(self, seconds):
        self.waits.append(seconds)
        self.now += seconds

    def run(self, workers=3, **options):
        clocks = {"clock": lambda: self.now, "wait": self.wait}
        return train_with_restarts(None, CONFIG, workers, self._emit, RestartOptions(**options), **clocks)

    def _emit(self, event):
        if event["kind"] == "restart":
            self.events.append(event)


LOST = RankLostError("[rank 1/3 on b] Its process ended.")


def test_a_training_that_lost_a_rank_is_started_again_and_says_so(monkeypatch):
    cluster = Cluster(
        monkeypatch, [((0, 40), LOST), ((30, 60), PreemptedError("[rank 0/3 on a] saved")), ((60, 99), None)]
    )
    attempts = cluster.run().run["attempts"]
    assert cluster.tried == [3, 3, 3]
    assert cluster.waits == [1.0, 2.0]
    assert [(each["first_step"], each["last_step"], each["wasted_steps"]) for each in attempts] == [
        (0, 40, 10),
        (30, 60, 0),
        (60, 99, 0),
    ]
    assert [each["error"] for each in attempts] == [str(LOST), "[rank 0/3 on a] saved", None]
    assert cluster.events[0] == {"kind": "restart", "attempt": 2, "workers": 3, "error": str(LOST)}


def test_it_ends_with_the_last_error_when_the_budget_is_used_up(monkeypatch):
    cluster = Cluster(monkeypatch, [LOST, LOST, RankLostError("last")])
    with pytest.raises(RankLostError, match=r"^last$"):
        cluster.run(max_restarts=2)
    assert cluster.tried == [3, 3, 3]


@pytest.mark.parametrize("error", [TrainingError("nan"), SetupError("slots"), OptionError("no"), KeyboardInterrupt()])
def test_other_errors_are_raised_at_once(monkeypatch, error):
    cluster = Cluster(monkeypatch, [error])
    with pytest.raises(type(error)):
        cluster.run()
    assert not cluster.waits


def test_fewer_ranks_only_when_slots_stay_away_and_all_again_when_they_are_back(monkeypatch):
    cluster = Cluster(monkeypatch, [LOST, LOST, None], slots=lambda now: 2 if now < 30 else 4)
    attempts = cluster.run(slot_patience=20.0).run["attempts"]
    assert cluster.tried == [3, 2, 3]
    assert 20 <= cluster.now < 33, "it waited for slots once"
    assert [each["workers"] for each in attempts] == [3, 2, 3]


def test_slots_that_come_back_in_time_are_waited_for(monkeypatch):
    cluster = Cluster(monkeypatch, [LOST, None], slots=lambda now: 2 if now < 5 else 3)
    cluster.run(slot_patience=20.0)
    assert cluster.tried == [3, 3]
    assert cluster.now == pytest.approx(5, abs=0.6)


def test_with_fewer_slots_than_the_least_workers_the_failure_stands(monkeypatch):
    cluster = Cluster(monkeypatch, [LOST], slots=lambda now: 1)
    with pytest.raises(RankLostError):
        cluster.run(min_workers=2, slot_patience=0.0)


def test_a_least_number_above_the_wanted_one_is_the_wanted_one(monkeypatch):
    cluster = Cluster(monkeypatch, [LOST, None])
    cluster.run(workers=2, min_workers=9)
    assert cluster.tried == [2, 2]


def test_a_host_on_which_ranks_failed_twice_is_named(monkeypatch):
    cluster = Cluster(monkeypatch, [LOST, LOST, None])
    monkeypatch.setattr(restart.RankMonitor, "hosts", property(lambda monitor: ["a", "b", "c"]))
    cluster.run()
    assert [event["error"] for event in cluster.events] == [
        str(LOST),
        f"{LOST} Ranks on b have failed more than once.",
    ]


def test_slots_that_went_between_two_attempts_are_lost_executors(monkeypatch):
    cluster = Cluster(monkeypatch, [LOST, SetupError("too few slots"), None])
    attempts = cluster.run().run["attempts"]
    assert [each["error"] for each in attempts] == [str(LOST), "too few slots", None]
