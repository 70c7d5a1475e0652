"""A run's events for the user: a bar on a terminal, lines in a log."""

import logging
import sys

import pytest

from sentispark.cluster.console import reporting

EPOCH = {
    "kind": "epoch",
    "epoch": 1,
    "train_loss": 0.5,
    "validation": {"log_loss": 0.25, "accuracy": 0.875, "roc_auc": None},
    "seconds": 2.0,
    "rows_per_second": 1500.0,
}
LINE = "epoch 1: loss 0.5000, 1,500 rows/s, 2.0 s; validation loss 0.2500, accuracy 0.8750"
BALANCE = {"kind": "balance", "epoch": 1, "step": 40, "sizes": [80, 48], "gain": 0.123, "moved": True}
MOVED = "epoch 1: batch sizes are now 80, 48, to save 12% of a step's time"
EVENTS = [{"kind": "progress", "epoch": 1, "step": step, "steps": 4} for step in (1, 3)] + [EPOCH]


@pytest.mark.parametrize("terminal", [True, False])
def test_an_epoch_is_one_line_and_its_steps_are_a_bar_only_on_a_terminal(terminal, monkeypatch, capsys, caplog):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with caplog.at_level(logging.INFO, logger="sentispark"), reporting() as show:
        for event in EVENTS:
            show(event)
    shown = capsys.readouterr().err
    assert ("| 0/4 [" in shown) is terminal
    assert (LINE in shown) is terminal
    assert caplog.messages == ([] if terminal else [LINE])


@pytest.mark.parametrize("terminal", [True, False])
def test_new_batch_sizes_are_shown_and_unchanged_ones_are_not(terminal, monkeypatch, capsys, caplog):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    with caplog.at_level(logging.INFO, logger="sentispark"), reporting() as show:
        for event in (EVENTS[0], BALANCE, {**BALANCE, "moved": False}, EVENTS[1]):
            show(event)
    shown = capsys.readouterr().err
    assert shown.count(MOVED) == terminal
    assert caplog.messages == ([] if terminal else [MOVED])


def test_if_only_errors_are_logged_nothing_is_shown(monkeypatch, capsys, caplog):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    with caplog.at_level(logging.ERROR, logger="sentispark"), reporting() as show:
        for event in EVENTS:
            show(event)
    assert (capsys.readouterr().err, caplog.messages) == ("", [])


def test_a_bar_of_a_run_that_failed_is_closed(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)

    def fail():
        with reporting() as show:
            show(EVENTS[0])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert capsys.readouterr().err.endswith("\r")
