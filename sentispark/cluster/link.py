"""A rank's connection to the driver: events, log lines and signs of life go out, requests come in.

A rank that never reaches the driver trains all the same. One whose connection breaks and is not made again in time is
treated as lost.
"""

from __future__ import annotations

import collections
import contextlib
import faulthandler
import json
import logging
import select
import socket
import sys
import tempfile
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from sentispark.cluster.progress import SAVE, SECONDS_TO_CONNECT, STACKS, Address
from sentispark.train.events import Event

__all__ = ["RankLink"]

SECONDS_BETWEEN_SIGNS = 1.0
_MOST_UNSENT = 100

_log = logging.getLogger(__name__)


class RankLink:
    """A rank's connection to the driver, made again if it breaks; what cannot be sent is dropped.

    While it is open, a thread sends signs of life with this process's log lines, and answers requests.

    Parameters
    ----------
    address : Address or None
        None for no connection.
    rank : int
    host : str
        The rank's host.
    executor : str, optional
        The id of its Spark executor.
    """

    def __init__(self, address: Address | None, rank: int, host: str, executor: str | None = None) -> None:
        self._address, self._hello = address, {"rank": rank, "host": host, "executor": executor}
        self._connection: socket.socket | None = None
        self._lock, self._closing = threading.Lock(), threading.Event()
        self._save_asked = False
        self._unsent: collections.deque[Event] = collections.deque(maxlen=_MOST_UNSENT)
        self._lines = _LogLines()
        self._thread = threading.Thread(target=self._run, name="sentispark-link", daemon=True)

    def __enter__(self) -> RankLink:
        if self._address is not None:
            self._connect()
            self._lines.begin()
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._address is None:
            return
        self._closing.set()
        if connection := self._connection:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RD)  # ends the thread's wait
        self._thread.join()
        self._lines.end()
        self._send_sign()
        if kind is None:
            self._send({"kind": "done"})
        elif error is not None and issubclass(kind, Exception):
            self._send({"kind": "failed", "error": kind.__name__, "message": str(error)})
        self._drop()

    def send(self, event: Event) -> None:
        """Send an event to the driver. If it cannot be reached, the ends of epochs are sent later, others dropped."""
        if not self._send(event) and event.get("kind") == "epoch":
            self._unsent.append(event)

    def save_asked(self) -> bool:
        """Whether the driver has asked for a checkpoint, as machines are about to be taken away."""
        return self._save_asked

    def _run(self) -> None:
        while not self._closing.is_set():
            if self._connection is None:
                self._connect()
            self._answer()
            self._send_sign()

    def _answer(self) -> None:
        """Wait for the next sign of life to be due, and answer requests meanwhile."""
        connection = self._connection
        if connection is None:
            self._closing.wait(SECONDS_BETWEEN_SIGNS)
            return
        try:
            poll = select.poll()  # `select` fails for the numbers of many open files
            poll.register(connection, select.POLLIN)
            received = connection.recv(4096) if poll.poll(SECONDS_BETWEEN_SIGNS * 1000) else None
        except (OSError, ValueError):  # it was closed meanwhile
            received = b""
        if received == b"" and not self._closing.is_set():
            self._drop(connection)
            self._closing.wait(SECONDS_BETWEEN_SIGNS)
            return
        requests = (received or b"").decode().split()
        self._save_asked |= SAVE in requests
        if STACKS in requests:
            self._send({"kind": "stacks", "text": _stacks()})

    def _send_sign(self) -> None:
        self._send({"kind": "alive", "lines": self._lines.taken()})

    def _send(self, message: Mapping[str, Any]) -> bool:
        """Whether the message was sent."""
        with self._lock:
            connection = self._connection
            if connection is None:
                return False
            try:
                connection.sendall(json.dumps(message).encode() + b"\n")
            except OSError:  # part of a line may have been sent
                self._drop(connection)
                return False
            return True

    def _connect(self) -> None:
        assert self._address is not None
        host, port, secret = self._address
        try:
            connection = socket.create_connection((host, port), timeout=SECONDS_TO_CONNECT)
            connection.sendall(f"{secret}\n{json.dumps(self._hello)}\n".encode())
        except OSError as error:
            _log.debug("The driver cannot receive progress: %s.", error)
            return
        self._connection = connection
        while self._unsent and self._send(self._unsent[0]):
            self._unsent.popleft()

    def _drop(self, connection: socket.socket | None = None) -> None:
        dropped, self._connection = connection or self._connection, None
        if dropped:
            dropped.close()


class _LogLines(logging.Handler):
    """The newest lines that sentispark logs in this process; warnings are shown as if this handler were not there."""

    def __init__(self, most: int = 20) -> None:
        super().__init__(logging.INFO)
        self._waiting: collections.deque[str] = collections.deque(maxlen=most)
        self._logger = logging.getLogger("sentispark")

    def begin(self) -> None:
        self._level = self._logger.level
        self._logger.addHandler(self)
        self._logger.setLevel(min(logging.INFO, self._logger.getEffectiveLevel()))

    def end(self) -> None:
        self._logger.removeHandler(self)
        self._logger.setLevel(self._level)

    def emit(self, record: logging.LogRecord) -> None:
        line = record.getMessage()
        self._waiting.append(line)
        if record.levelno >= logging.WARNING and not logging.getLogger().handlers:
            print(line, file=sys.stderr)  # noqa: T201 - as Python does for a logger without handlers

    def taken(self) -> list[str]:
        lines = []
        while self._waiting:
            lines.append(self._waiting.popleft())
        return lines


def _stacks() -> str:
    """The Python stacks of all threads of this process and, from Python 3.14 on, the C stack of the current one."""
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file, all_threads=True)
        if hasattr(faulthandler, "dump_c_stack"):
            faulthandler.dump_c_stack(file)
        file.seek(0)
        return file.read()
