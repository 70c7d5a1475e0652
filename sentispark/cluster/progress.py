"""Between ranks and driver while a job runs: events, log lines and signs of life one way, requests the other way.

Each rank has a connection, on which messages are lines of JSON. The driver accepts only connections that begin with
the run's secret. A rank that cannot reach the driver goes on training.
"""

from __future__ import annotations

import collections
import contextlib
import faulthandler
import json
import logging
import queue
import secrets
import select
import socket
import socketserver
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Protocol

from sentispark.train.events import Emit, Event

__all__ = ["SAVE", "STACKS", "Address", "RankLink", "listening", "passing_on"]

SECONDS_TO_CONNECT = 3.0
SECONDS_FOR_LAST_EVENTS = 1.0
SECONDS_BETWEEN_SIGNS = 1.0

_MOST_UNSENT = 100

# Requests of the driver.
SAVE, STACKS = "save", "stacks"

_log = logging.getLogger(__name__)


class Address(NamedTuple):
    """The address at which the driver listens, and the secret that a connection must begin with."""

    host: str
    port: int
    secret: str


class _Ask(Protocol):
    def __call__(self, request: str, /) -> None: ...


class _Monitor(Protocol):
    """What the driver does with messages; see `RankMonitor`."""

    def connected(self, rank: int, host: str, ask: _Ask, executor: str | None) -> None: ...
    def heard(self, rank: int, message: Mapping[str, Any]) -> None: ...
    def disconnected(self, rank: int, ask: _Ask) -> None: ...


@contextlib.contextmanager
def listening(monitor: _Monitor, *, host: str, bind: str) -> Iterator[Address | None]:
    """Pass all messages of ranks on to the monitor, in a thread for each rank, until the block ends.

    Yields the address for the ranks, or None if the driver cannot listen; training then goes on without progress.

    Parameters
    ----------
    monitor : RankMonitor
    host : str
        The driver's address as executors know it.
    bind : str
        The address of this machine to listen on.
    """
    secret = secrets.token_hex(16)
    ranks: list[tuple[threading.Thread, socket.socket]] = []
    ended = threading.Event()

    class Lines(socketserver.StreamRequestHandler):
        timeout = SECONDS_TO_CONNECT  # for the secret; a client without it is not waited for

        def handle(self) -> None:
            hello = self._hello()
            if hello is None:
                return
            self.connection.settimeout(None)
            ranks.append((threading.current_thread(), self.connection))
            rank, ask = hello["rank"], self._ask
            monitor.connected(rank, hello["host"], ask, hello.get("executor"))
            try:
                for line in self.rfile:
                    if not ended.is_set() and (message := _message(line)) is not None:
                        monitor.heard(rank, message)
            except OSError:  # the rank's host is gone
                pass
            finally:
                monitor.disconnected(rank, ask)

        def _hello(self) -> dict[str, Any] | None:
            try:
                received = self.rfile.readline(256).strip()
                if secrets.compare_digest(received, secret.encode()):
                    return _message(self.rfile.readline(1024))
            except OSError:
                pass
            return None

        def _ask(self, request: str) -> None:
            with contextlib.suppress(OSError):
                self.connection.sendall(f"{request}\n".encode())

    try:
        listener = _server(bind.strip("[]"), Lines)
    except OSError as error:
        _log.info("The driver cannot receive progress: it cannot listen at '%s': %s.", bind, error)
        yield None
        return
    with listener as server:
        thread = threading.Thread(target=server.serve_forever, name="sentispark-progress", daemon=True)
        thread.start()
        try:
            yield Address(host.strip("[]"), server.server_address[1], secret)
        finally:
            server.shutdown()
            thread.join()
            last = time.monotonic() + SECONDS_FOR_LAST_EVENTS
            for rank, _ in ranks:  # the last messages of a finished rank may still be on the way
                rank.join(max(0.0, last - time.monotonic()))
            ended.set()
            for rank, connection in ranks:  # one that hangs would keep it open
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                rank.join(SECONDS_FOR_LAST_EVENTS)


@contextlib.contextmanager
def passing_on(emit: Emit) -> Iterator[Emit]:
    """A function that passes events on to `emit` in order, in a thread of its own, and does not wait for it.

    A callback may take long: signs of life must be heard meanwhile. At the end it is waited for a moment.
    """
    events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()

    def run() -> None:
        while (event := events.get()) is not None:
            try:
                emit(event)
            except Exception:
                _log.exception("An event could not be passed on.")

    thread = threading.Thread(target=run, name="sentispark-events", daemon=True)
    thread.start()
    try:
        yield events.put
    finally:
        events.put(None)
        thread.join(SECONDS_FOR_LAST_EVENTS)


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
    """The newest lines that sentispark logs in this process; standard error has them if nothing else does."""

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
        if not logging.getLogger().handlers:
            print(line, file=sys.stderr)  # noqa: T201 - the executor's log

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


def _server(bind: str, handler: type[socketserver.BaseRequestHandler]) -> socketserver.ThreadingTCPServer:
    family = socket.getaddrinfo(bind, None, type=socket.SOCK_STREAM)[0][0]

    class Server(socketserver.ThreadingTCPServer):
        address_family = family
        daemon_threads = True

    return Server((bind, 0), handler)


def _message(line: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except ValueError:  # a rank that was killed leaves part of a line
        return None
    return message if isinstance(message, dict) else None
