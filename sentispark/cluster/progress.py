"""The driver's end of the connections of ranks: events, log lines and signs of life come in, requests go out.

Each rank has a connection, on which messages are lines of JSON. Only connections that begin with the run's secret are
accepted. The ranks' end is `link.py`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import queue
import secrets
import socket
import socketserver
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, Protocol

from sentispark.train.events import Emit, Event

__all__ = ["SAVE", "SECONDS_TO_CONNECT", "STACKS", "Address", "listening", "passing_on"]

SECONDS_TO_CONNECT = 3.0
SECONDS_FOR_LAST_EVENTS = 1.0

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
