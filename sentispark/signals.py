"""Ctrl-C, SIGTERM and SIGHUP: Spark's jobs are cancelled, drafts removed, and the exit status tells the signal."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from sentispark.outputs import drafts_given_up, remove_drafts

__all__ = ["EndedBySignal", "Signals"]

_PATIENCE_SECONDS = 20

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class EndedBySignal(KeyboardInterrupt):
    """A signal has asked for the end."""


class Signals:
    """A block in which the first signal raises `EndedBySignal`, and later ones do not keep it from cleaning up.

    Attributes
    ----------
    number : int or None
        The signal that has come.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}
        self._cleans = False
        self._starts_spark = _context() is None

    def __enter__(self) -> Signals:
        self.listen()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        for handler in logging.getLogger().handlers:
            handler.removeFilter(_is_news)

    def listen(self) -> None:
        """Take over the signals, from Spark too, which takes Ctrl-C when it starts; one that is ignored stays so."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in _SIGNALS:
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                self._before.setdefault(number, signal.signal(number, self._end))

    def clean_up(self) -> None:
        """After a failure: remove what tasks have written to a draft that was given up, when none can any more.

        From here on no signal cuts anything off.
        """
        self._cleans = True
        if drafts_given_up() and self._starts_spark:
            _beside(lambda: _context().stop())
        remove_drafts()

    def _end(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None or self._cleans:
            return
        self.number = number
        # What becomes of the calls that are cut off is no news; py4j tells it by the root logger.
        for handler in logging.getLogger().handlers:
            handler.addFilter(_is_news)
        _beside(lambda: _context().cancelAllJobs())
        raise EndedBySignal


def _is_news(record: logging.LogRecord) -> bool:
    return "py4j" not in record.pathname


def _beside(action: Callable[[], None]) -> None:
    """Ask Spark for something in a thread of its own: this one's connection may wait for an answer, or be cut off."""

    def run() -> None:
        with contextlib.suppress(Exception):
            action()

    if _context() is not None:
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        thread.join(_PATIENCE_SECONDS)


def _context() -> Any:
    """Spark's context, if there is one; Spark may not even be loaded."""
    pyspark = sys.modules.get("pyspark")
    return pyspark and pyspark.SparkContext._active_spark_context
