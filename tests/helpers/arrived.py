"""A monitor of ranks that keeps what arrives at the driver, and a rank that sends."""

from __future__ import annotations

import contextlib
import queue
import time

from sentispark.cluster.link import RankLink

SECONDS = 10.0


class Arrived(queue.Queue):
    """A monitor: the events that reached the driver, in order; other messages are kept by their kind."""

    def __init__(self):
        super().__init__()
        self.asks, self.others, self.lines = {}, [], []

    def connected(self, rank, host, ask, executor):
        self.asks[rank] = ask
        self.others.append(("connected", rank, host))

    def heard(self, rank, message):
        if message.get("kind") in ("alive", "done", "failed", "stacks"):
            self.others.append((message["kind"], rank, message.get("message", message.get("text"))))
            self.lines += message.get("lines", [])
        else:
            self.put(message)

    def disconnected(self, rank, ask):
        self.others.append(("disconnected", rank, None))

    def wait_for(self, kind, count=1):
        ends = time.monotonic() + SECONDS
        while len([one for one in self.others if one[0] == kind]) < count:
            assert time.monotonic() < ends, (kind, self.others)
            time.sleep(0.01)


@contextlib.contextmanager
def sending(address):
    """The function with which a rank sends events."""
    with RankLink(address, 0, "here") as link:
        yield link.send
