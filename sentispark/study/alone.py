"""Work in a process of its own, with so many cores: what it says of itself, and its peak memory."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import psutil

from sentispark.errors import SetupError

__all__ = ["Alone", "peak_memory", "run_alone", "started_alone"]

MEBIBYTE = 1 << 20


@dataclasses.dataclass(frozen=True)
class Alone:
    """A process that answers lines of its input.

    Attributes
    ----------
    process : Popen
    peak_mib : dict
        The peak resident size in MiB by kind of process, up to now; see `peak_memory`.
    """

    process: subprocess.Popen
    peak_mib: dict[str, float]

    def ask(self, line: str = "") -> dict[str, Any]:
        """Send a line, and wait for the next line of JSON. Raises `SetupError` if the process ends instead."""
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SetupError(_ended(self.process))


@contextlib.contextmanager
def started_alone(module: str, arguments: Sequence[str], *, cores: int) -> Iterator[Alone]:
    """`python -m MODULE ARGUMENTS` on the first so many cores of this machine; its input ends with the block.

    Raises
    ------
    SetupError
        If the machine has fewer cores.
    """
    there = sorted(os.sched_getaffinity(0))
    if cores > len(there):
        raise SetupError(f"'cores' must be at most {len(there)}, which this machine has. Got {cores}.")
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, there[:cores]),
    )
    peaks: dict[str, float] = {}
    done = threading.Event()
    watcher = threading.Thread(target=peak_memory, args=(process.pid, peaks, done))
    watcher.start()
    try:
        yield Alone(process, peaks)
    finally:
        process.communicate()
        done.set()
        watcher.join()


def run_alone(module: str, arguments: Sequence[str], *, cores: int) -> dict[str, Any]:
    """What `python -m MODULE ARGUMENTS` prints as its last line, JSON, on the first so many cores of this machine.

    Returns
    -------
    dict
        The line's, and `peak_mib`, the peak resident size in MiB by kind of process; see `peak_memory`.

    Raises
    ------
    SetupError
        If the machine has fewer cores, or the process fails.
    """
    with started_alone(module, arguments, cores=cores) as alone:
        output, _ = alone.process.communicate()
    if alone.process.returncode:
        raise SetupError(_ended(alone.process))
    return {**json.loads(output.splitlines()[-1]), "peak_mib": alone.peak_mib}


def _ended(process: subprocess.Popen) -> str:
    return f"'python -m {process.args[2]}' must end well. It ended with status {process.wait()}."


def peak_memory(pid: int, peaks: dict[str, float], done: threading.Event, *, seconds: float = 0.2) -> None:
    """Keep in `peaks` the peak resident sizes, in MiB, of a process, `driver`, of its JVM, and of the largest `worker`.

    Until `done` is set, every so many seconds. Pages that processes share count in each of them.
    """
    while not done.wait(seconds):
        try:
            processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        for process in processes:
            try:
                kind = "driver" if process.pid == pid else "jvm" if process.name() == "java" else "worker"
                peaks[kind] = max(peaks.get(kind, 0.0), round(process.memory_info().rss / MEBIBYTE, 1))
            except psutil.NoSuchProcess:
                continue
