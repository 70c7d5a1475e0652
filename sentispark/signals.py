"""Ctrl-C, SIGTERM and SIGHUP: Spark's jobs are canceled, drafts are removed, and the exit status gives the signal.

SIGTERM and SIGHUP are how machines and clusters end a command, so a draft that can be continued is kept.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from sentispark.outputs import drafts_abandoned, keep_continuable, remove_drafts

__all__ = ["EndedBySignal", "Signals"]

_PATIENCE_SECONDS = 20

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class EndedBySignal(KeyboardInterrupt):
    """A signal ended the command."""


class Signals:
    """A block in which the first signal raises `EndedBySignal`; later ones are ignored, so that it can clean up.

    Attributes
    ----------
    number : int or None
        The signal that was received.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}
        self._cleaning_up = False
        self._starts_spark = _context() is None

    def __enter__(self) -> Signals:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        keep_continuable(False)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for handler in logging.getLogger().handlers:
            handler.removeFilter(_is_not_from_py4j)

    def listen(self) -> None:
        """Handle the signals that are not ignored. Call it again after Spark has started, which replaces a handler."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._before.setdefault(number, signal.signal(number, self._end))

    def clean_up(self) -> None:
        """After a failure: stop Spark, then remove what its tasks wrote to abandoned drafts.

        Signals are ignored from now on.
        """
        self._cleaning_up = True
        if drafts_abandoned() and self._starts_spark:
            _ask_spark(lambda: _context().stop())
        remove_drafts()

    def _end(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None or self._cleaning_up:
            return
        self.number = number
        if number != signal.SIGINT:
            keep_continuable(True)
        # py4j reports interrupted calls through the root logger, which is of no use to the user.
        for handler in logging.getLogger().handlers:
            handler.addFilter(_is_not_from_py4j)
        _ask_spark(lambda: _context().cancelAllJobs())
        raise EndedBySignal


def _is_not_from_py4j(record: logging.LogRecord) -> bool:
    return "py4j" not in record.pathname


def _ask_spark(action: Callable[[], None]) -> None:
    """Call Spark in another thread, as this thread's connection may be waiting for an answer or be interrupted."""

    def run() -> None:
        with contextlib.suppress(Exception):
            action()

    if _context() is not None:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(_PATIENCE_SECONDS)


def _context() -> Any:
    """The active SparkContext; None if there is none or PySpark is not loaded."""
    pyspark = sys.modules.get("pyspark")
    return pyspark and pyspark.SparkContext._active_spark_context
