"""Events of the first rank, sent to the driver over a socket while the job runs, one line of JSON each.

Only connections that begin with the run's secret are accepted. A rank that cannot reach the driver goes on training.
"""

from __future__ import annotations

import contextlib
import json
import logging
import secrets
import socket
import socketserver
import threading
from collections.abc import Iterator
from typing import NamedTuple

from sentispark.train.events import Emit, Event

__all__ = ["Address", "listening", "sending"]

SECONDS_TO_CONNECT = 3.0
SECONDS_FOR_LAST_EVENTS = 1.0

_log = logging.getLogger(__name__)


class Address(NamedTuple):
    """The address at which the driver listens, and the secret that a connection must begin with."""

    host: str
    port: int
    secret: str


@contextlib.contextmanager
def listening(emit: Emit, *, host: str, bind: str) -> Iterator[Address | None]:
    """Call `emit` with every event that arrives, in a thread of its own, until the block ends.

    Yields the address for the ranks, or None if the driver cannot listen; training then goes on without progress.

    Parameters
    ----------
    emit : callable
    host : str
        The driver's address as executors know it.
    bind : str
        The address of this machine to listen on.
    """
    secret = secrets.token_hex(16)
    ranks: list[threading.Thread] = []

    class Lines(socketserver.StreamRequestHandler):
        timeout = SECONDS_TO_CONNECT  # for the secret; a client without it is not waited for

        def handle(self) -> None:
            try:
                received = self.rfile.readline(256).strip()
            except OSError:
                return
            if not secrets.compare_digest(received, secret.encode()):
                return
            self.connection.settimeout(None)
            ranks.append(threading.current_thread())
            for line in self.rfile:
                event = _event(line)
                if event is not None:
                    emit(event)

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
            for rank in ranks:  # the last events of a finished rank may still be on the way
                rank.join(SECONDS_FOR_LAST_EVENTS)


@contextlib.contextmanager
def sending(address: Address | None) -> Iterator[Emit]:
    """A function that sends an event to the driver, or drops it if the driver cannot be reached."""
    connection = None if address is None else _connected(address)
    if connection is None:
        yield lambda event: None
        return

    reached = True

    def send(event: Event) -> None:
        nonlocal reached
        if not reached:
            return
        try:
            connection.sendall(json.dumps(event).encode() + b"\n")
        except OSError:  # part of a line may have been sent, and each further line could time out
            reached = False

    with connection:
        yield send


def _server(bind: str, handler: type[socketserver.BaseRequestHandler]) -> socketserver.ThreadingTCPServer:
    family = socket.getaddrinfo(bind, None, type=socket.SOCK_STREAM)[0][0]

    class Server(socketserver.ThreadingTCPServer):
        address_family = family
        daemon_threads = True

    return Server((bind, 0), handler)


def _event(line: bytes) -> Event | None:
    try:
        event: Event = json.loads(line)
        return event
    except ValueError:  # a rank that was killed leaves part of a line
        return None


def _connected(address: Address) -> socket.socket | None:
    try:
        connection = socket.create_connection((address.host, address.port), timeout=SECONDS_TO_CONNECT)
        connection.sendall(address.secret.encode() + b"\n")
        return connection
    except OSError as error:
        _log.info("The driver cannot receive progress: %s.", error)
        return None
