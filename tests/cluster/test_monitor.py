"""What the driver concludes from the messages of ranks, with a clock that the tests move."""

from __future__ import annotations

import pytest

from sentispark.cluster.monitor import RankMonitor
from sentispark.errors import DatasetError, PreemptedError, RankLostError, RankMemoryError, TrainingError


class Driver:
    """A monitor of three ranks, and its clock."""

    def __init__(self, ranks=3):
        self.now, self.events, self.asked = 100.0, [], []
        self.monitor = RankMonitor(ranks, self.events.append, clock=lambda: self.now)
        self.asks = [lambda request, rank=rank: self.asked.append((rank, request)) for rank in range(ranks)]
        for rank in range(ranks):
            self.connect(rank)
        assert self.events.pop() == {"kind": "start", "hosts": [f"host-{rank}" for rank in range(ranks)]}

    def connect(self, rank):
        self.monitor.connected(rank, f"host-{rank}", self.asks[rank])

    def close(self, rank):
        self.monitor.disconnected(rank, self.asks[rank])

    def alive(self, rank, *lines):
        self.monitor.heard(rank, {"kind": "alive", "lines": list(lines)})

    def fail(self, rank, error, message):
        self.monitor.heard(rank, {"kind": "failed", "error": error.__name__, "message": message})

    def wait(self, seconds, *alive):
        """Time passes, in which the monitor looks every second and some ranks are alive; whether it finds one lost."""
        lost = []
        for _ in range(seconds):
            self.now += 1
            lost.append(self.monitor.is_lost())
            for rank in alive:
                self.alive(rank)
        return any(lost)

    def found(self, reason="", *, lost=True):
        return self.monitor.failure(reason, spark_lost_some=lost)


@pytest.fixture
def driver():
    return Driver()


def test_the_process_that_ended_is_named_and_not_the_neighbors_that_noticed_it(driver):
    driver.alive(1, "[rank 1/3] line")
    driver.close(1)
    driver.now += 0.2
    driver.fail(0, RankLostError, "[rank 0/3 on host-0] Connection closed by peer")
    driver.now += 3
    driver.close(2)
    found = driver.found("Executor 1 was lost: killed.")
    assert type(found) is RankLostError
    assert str(found) == (
        "[rank 1/3 on host-1] Its process, or its connection to the driver, ended. Executor 1 was lost: killed. "
        "Its last lines: [rank 1/3] line"
    )


def test_a_message_that_arrives_a_moment_before_the_end_of_the_lost_rank_does_not_hide_it(driver):
    driver.fail(0, RankLostError, "[rank 0/3 on host-0] Connection closed by peer")
    driver.now += 0.5
    driver.close(2)
    assert str(driver.found()).startswith("[rank 2/3 on host-2] Its process, or")


def test_ranks_that_spark_ended_afterwards_are_not_blamed_for_a_cut_connection(driver):
    driver.fail(0, RankLostError, "[rank 0/3 on host-0] Connection reset by peer")
    driver.now += 2
    driver.close(2)
    assert str(driver.found()) == "[rank 0/3 on host-0] Connection reset by peer"


@pytest.mark.parametrize("error", [TrainingError, RankMemoryError, PreemptedError])
def test_the_error_of_a_rank_comes_before_what_others_noticed_of_it(driver, error):
    driver.fail(2, RankLostError, "[rank 2/3 on host-2] Connection closed by peer")
    driver.now += 0.1
    driver.fail(1, error, "[rank 1/3 on host-1] its own")
    found = driver.found()
    assert type(found) is error
    assert str(found) == "[rank 1/3 on host-1] its own"


def test_an_error_of_an_unknown_class_is_one_of_training(driver):
    driver.monitor.heard(0, {"kind": "failed", "error": "OSError", "message": "no"})
    assert type(driver.found()) is TrainingError


def test_an_error_that_is_not_one_of_training_is_still_one(driver):
    driver.fail(0, DatasetError, "no")
    assert isinstance(driver.found(), TrainingError)


def test_the_processes_that_a_canceled_job_ends_have_not_failed(driver):
    driver.close(0)
    assert driver.found(lost=False) is None


def test_a_silent_rank_is_lost_after_ten_seconds_and_others_are_not(driver):
    assert not driver.wait(9, 0, 2)
    assert driver.wait(1)
    assert str(driver.found(lost=False)) == "[rank 1/3 on host-1] There was no sign of life for 10 seconds."


def test_a_connection_that_is_made_again_in_time_is_no_loss(driver):
    driver.close(1)
    assert not driver.wait(4, 0, 2)
    driver.connect(1)
    assert not driver.wait(4, 0, 2)
    driver.close(1)
    assert not driver.wait(4, 0, 2)
    assert driver.wait(1)


def test_a_driver_that_was_stopped_itself_does_not_take_that_time_for_silence(driver):
    driver.close(2)
    driver.now += 3600
    assert not driver.monitor.is_lost()
    driver.connect(2)
    assert not driver.wait(9, 0, 2)
    assert driver.wait(1), "rank 1 has been silent for ten seconds of the driver's own time"


def test_the_end_of_an_old_connection_does_not_end_the_new_one(driver):
    old = driver.asks[1]
    driver.asks[1] = lambda request: None
    driver.connect(1)
    driver.monitor.disconnected(1, old)
    assert not driver.wait(6)


def test_ranks_that_are_done_or_were_never_heard_of_are_not_lost():
    driver = Driver(2)
    driver.monitor.heard(0, {"kind": "done"})
    driver.close(0)
    monitor = RankMonitor(2, lambda event: None, clock=lambda: driver.now)
    driver.fail(1, TrainingError, "no")
    for _ in range(100):
        assert not driver.wait(1)
        assert not monitor.is_lost()


def test_steps_are_counted_over_all_epochs_from_the_checkpoint_on(driver):
    assert (driver.monitor.first_step, driver.monitor.last_step) == (0, 0)
    driver.monitor.heard(0, {"kind": "resume", "step": 12, "epochs": 1, "checkpoint": "x"})
    driver.monitor.heard(0, {"kind": "progress", "epoch": 2, "step": 5, "steps": 10})
    assert (driver.monitor.first_step, driver.monitor.last_step) == (12, 15)
    assert [event["kind"] for event in driver.events] == ["resume", "progress"]


def test_only_the_first_ranks_events_are_passed_on(driver):
    driver.monitor.heard(1, {"kind": "epoch"})
    driver.alive(0)
    assert not driver.events


def test_requests_reach_the_ranks_that_are_connected(driver):
    driver.close(1)
    driver.monitor.ask("stacks")
    assert driver.asked == [(0, "stacks"), (2, "stacks")]


def test_the_stacks_of_a_lost_rank_are_in_its_error(driver):
    assert driver.wait(10)
    driver.monitor.heard(0, {"kind": "stacks", "text": "Thread 1: waits"})
    assert str(driver.found()).endswith("\nThe stacks of rank 0 on host-0:\nThread 1: waits")


def test_when_only_neighbors_noticed_something_all_stacks_are_asked_for_and_shown(driver):
    driver.fail(0, RankLostError, "[rank 0/3 on host-0] Timed out")
    assert driver.asked == [(0, "stacks"), (1, "stacks"), (2, "stacks")]
    driver.monitor.heard(1, {"kind": "stacks", "text": "Thread 1: hangs"})
    assert str(driver.found()) == "[rank 0/3 on host-0] Timed out\nThe stacks of rank 1 on host-1:\nThread 1: hangs"
