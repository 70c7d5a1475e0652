"""A run's events for the user: a progress bar on a terminal, plain lines in a log."""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator

from tqdm import tqdm

from sentispark.train.events import Emit, Event, line_of

__all__ = ["reporting"]

_log = logging.getLogger(__name__)


@contextlib.contextmanager
def reporting() -> Iterator[Emit]:
    """A function that shows events: a bar for each epoch if standard error is a terminal, log lines otherwise.

    If only errors are logged, as with `--quiet`, there is no bar either.
    """
    if not sys.stderr.isatty() or _log.getEffectiveLevel() > logging.WARNING:
        yield _log_event
        return
    bars: list[tqdm] = []

    def show(event: Event) -> None:
        if event["kind"] == "progress":
            if not bars:
                bars.append(tqdm(total=event["steps"], desc=f"epoch {event['epoch']}", unit="step", leave=False))
            bars[0].update(event["step"] - bars[0].n)
        if event["kind"] == "epoch" and bars:
            bars.pop().close()
        if line := line_of(event):
            tqdm.write(line, file=sys.stderr)

    try:
        yield show
    finally:
        for bar in bars:
            bar.close()


def _log_event(event: Event) -> None:
    if line := line_of(event):
        _log.info(line)
