"""Faults, and who causes them: kills, frozen processes, cut connections, a full disk."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import random
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from sentispark.train.events import Event
from sentispark.train.step import StepHook, Tensors

__all__ = ["FAULTS", "NOTICE", "Fault", "Saboteur", "Trap", "executors_of", "full_disk"]

_SIGNALS = {"frozen": signal.SIGSTOP, "notice": signal.SIGPWR}  # SIGPWR makes a Spark executor decommission
_WORKER = "pyspark.daemon"


@dataclasses.dataclass(frozen=True)
class Fault:
    """What is done, and when.

    Attributes
    ----------
    moment : str
        "start" (ranks read their first rows), "step", "all-reduce" (while the other ranks wait for the victim),
        "validation", "checkpoint" (while it is written), "epoch" (its end) or "end" (the net goes back to the driver).
    action : str
        "executor" or "worker" (killed), "frozen" (a worker is stopped), "cut" (the connections between two ranks),
        "full" (the checkpoints' disk), "driver" (killed, and started again), or "notice" (an executor is told that its
        machine will be taken away).
    """

    moment: str
    action: str


# Executors in every phase and at random moments, then other things.
FAULTS = (
    *(Fault(moment, "executor") for moment in ("start", "step", "validation", "checkpoint", "epoch", "end")),
    Fault("all-reduce", "executor"),
    Fault("step", "worker"),
    Fault("validation", "worker"),
    Fault("step", "frozen"),
    Fault("all-reduce", "cut"),
    Fault("start", "full"),
    Fault("step", "driver"),
)
# With spark.decommission.enabled.
NOTICE = Fault("step", "notice")


@dataclasses.dataclass(frozen=True)
class Trap:
    """A `StepHook` that acts at a step, on whichever rank comes first.

    Attributes
    ----------
    step : int
    action : str
        See `Fault`.
    marker : str
        A file that is created when it is done, so that it is done once.
    then : callable
        The hook to call before.
    holds_others_up : bool
        Whether to act while the other ranks wait for this one; otherwise a moment after the step.
    """

    step: int
    action: str
    marker: str
    then: StepHook
    holds_others_up: bool

    def __call__(self, step: int, batch: Tensors) -> None:
        """Act, if this is the step."""
        self.then(step, batch)
        if step != self.step:
            return
        try:
            Path(self.marker).touch(exist_ok=False)
        except FileExistsError:
            return
        if self.holds_others_up:
            time.sleep(0.2)
            self._act()
        else:
            threading.Timer(0.05, self._act).start()

    def _act(self) -> None:
        if self.action == "cut":
            _cut_connections()
            return
        executor = psutil.Process().parents()[1].pid  # the daemon's parent
        os.kill(executor if self.action == "executor" else os.getpid(), signal.SIGKILL)


def _cut_connections() -> None:
    """Shut down this rank's connections to other ranks."""
    workers = {
        one.pid for one in psutil.process_iter() if _WORKER in " ".join(_command(one)) and one.pid != os.getpid()
    }
    theirs = {one.laddr for one in psutil.net_connections("tcp") if one.pid in workers}
    for one in psutil.net_connections("tcp"):
        if one.pid == os.getpid() and one.raddr and one.raddr in theirs:
            with socket.socket(fileno=os.dup(one.fd)) as connection, contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Saboteur:
    """Causes a fault once, at its moment, and writes down when, and when the training went on.

    Parameters
    ----------
    fault : Fault
    rng : Random
    checkpoints : Path
    steps : int
        Steps of an epoch.
    epochs : int
    victims : callable
        Returns the executors.

    Attributes
    ----------
    acted, recovered : float
        Seconds since the epoch; 0 if it did not happen.
    """

    def __init__(
        self,
        fault: Fault,
        rng: random.Random,
        checkpoints: Path,
        *,
        steps: int,
        epochs: int,
        victims: Callable[[], list[psutil.Process]],
    ) -> None:
        self._fault, self._rng, self._checkpoints, self._victims = fault, rng, checkpoints, victims
        self._epochs = epochs
        # Validation follows the last step of an epoch.
        self.step = steps * 2 - 1 if fault.moment == "validation" else rng.randrange(2, steps * epochs - 2)
        self._marker = checkpoints.parent / "acted"
        self._lock, self._restarted = threading.Lock(), False
        self.acted = self.recovered = 0.0

    def hook(self, ledger: StepHook) -> StepHook:
        """What the ranks call before each step."""
        if self._fault.moment not in ("all-reduce", "validation"):
            return ledger
        waits = self._fault.moment == "all-reduce"
        return Trap(self.step, self._fault.action, str(self._marker), ledger, waits)

    def emit(self, event: Event) -> None:
        """Called with each event of the training."""
        if not self.acted and self._marker.exists():
            self.acted = self._marker.stat().st_mtime
        if self.acted:
            if not self.recovered and event["kind"] == "progress" and self._restarted:
                self.recovered = time.time()
            self._restarted |= event["kind"] == "restart"
        elif self._is_moment(event):
            threading.Thread(target=self._act, daemon=True).start()

    def _is_moment(self, event: Event) -> bool:
        moment = self._fault.moment
        if self._fault.action == "full":
            return False
        if event["kind"] == "progress":
            step = (event["epoch"] - 1) * event["steps"] + event["step"]
            return moment == "step" and step >= self.step
        if event["kind"] == "checkpoint":
            return moment == "checkpoint"
        if event["kind"] == "epoch":
            return (moment == "epoch" and event["epoch"] == 1) or (moment == "end" and event["epoch"] == self._epochs)
        return moment == "start" and event["kind"] == "start"

    def _act(self) -> None:
        with self._lock:
            if self.acted:
                return
            if self._fault.moment == "checkpoint":
                _wait_for(lambda: any(path.name.startswith("_step") for path in self._checkpoints.iterdir()))
            elif self._fault.moment in ("start", "step"):
                time.sleep(self._rng.uniform(0.0, 0.5))
            executor = self._rng.choice(sorted(self._victims(), key=lambda one: one.pid))
            self.acted = time.time()
            for victim in [executor] if self._fault.action in ("executor", "notice") else _workers_of(executor):
                victim.send_signal(_SIGNALS.get(self._fault.action, signal.SIGKILL))


def executors_of(application: str) -> list[psutil.Process]:
    """The JVMs of an application's executors on this machine."""
    return [one for one in psutil.process_iter() if {"--executor-id", application} <= set(_command(one))]


def _command(process: psutil.Process) -> list[str]:
    with contextlib.suppress(psutil.Error):
        return list(process.cmdline())
    return []


def _workers_of(executor: psutil.Process) -> list[psutil.Process]:
    """The Python workers of an executor: the children of its daemon."""
    return [worker for daemon in executor.children() for worker in daemon.children()]


def _wait_for(holds: Callable[[], bool], seconds: float = 5.0) -> None:
    last = time.monotonic() + seconds
    while not holds() and time.monotonic() < last:
        time.sleep(0.0005)


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[None]:
    """A folder on a disk of its own with room for next to nothing; needs root."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
