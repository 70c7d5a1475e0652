"""The notice by which `torchrun -m sentispark.train` learns that its machine is taken away."""

from __future__ import annotations

import signal

import pytest

from sentispark.train import __main__ as command


@pytest.fixture
def ended():
    """The signals that would have ended this process."""
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    yield received
    signal.signal(signal.SIGTERM, before)


def test_a_rank_that_takes_steps_saves_first_and_a_second_signal_ends_it(ended):
    notice = command._Notice()
    assert not notice()
    signal.raise_signal(signal.SIGTERM)
    assert notice()
    assert ended == []
    signal.raise_signal(signal.SIGTERM)
    assert ended == [signal.SIGTERM]


@pytest.mark.parametrize("has_taken_steps", [False, True])
def test_a_rank_that_takes_no_steps_is_ended_at_once(ended, has_taken_steps, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(command.time, "monotonic", lambda: now[0])
    notice = command._Notice()
    if has_taken_steps:
        notice()
        now[0] += command._SECONDS_WITHOUT_STEPS
    signal.raise_signal(signal.SIGTERM)
    assert ended == [signal.SIGTERM]
