"""Run a Python module in its own process on some of the cores; get the JSON that it prints and its peak memory."""

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

__all__ = ["ChildProcess", "run_module", "start_module", "watch_memory"]

MEBIBYTE = 1 << 20


@dataclasses.dataclass(frozen=True)
class ChildProcess:
    """A process that answers each line of input with a line of JSON.

    Attributes
    ----------
    module : str
        The module that it runs.
    process : Popen
    peak_mib : dict of str to float
        The peak resident size so far, in MiB by kind of process; see `watch_memory`.
    """

    module: str
    process: subprocess.Popen[str]
    peak_mib: dict[str, float]

    def ask(self, line: str = "") -> dict[str, Any]:
        """Send a line and wait for the next line of JSON. Raises `SetupError` if the process ends instead."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{line}\n")
            self.process.stdin.flush()
        for answer in self.process.stdout:
            if answer.startswith("{"):
                return dict(json.loads(answer))
        raise self.failed()

    def failed(self) -> SetupError:
        """Wait for the process to end, and return the error with its exit status."""
        status = self.process.wait()
        return SetupError(
            f"'python -m {self.module}' failed with exit status {status}. Its output above gives the reason."
        )


@contextlib.contextmanager
def start_module(module: str, arguments: Sequence[str], *, cores: int) -> Iterator[ChildProcess]:
    """Run `python -m MODULE ARGUMENTS` on the first `cores` cores; the input is closed after the block.

    Raises
    ------
    SetupError
        If the machine has fewer cores.
    """
    available = sorted(os.sched_getaffinity(0))
    if cores > len(available):
        raise SetupError(f"'cores' must be at most {len(available)}, the number of available cores. Got {cores}.")
    process = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, available[:cores]),
    )
    peaks: dict[str, float] = {}
    done = threading.Event()
    watcher = threading.Thread(target=watch_memory, args=(process.pid, peaks, done))
    watcher.start()
    try:
        yield ChildProcess(module, process, peaks)
    finally:
        process.communicate()
        done.set()
        watcher.join()


def run_module(module: str, arguments: Sequence[str], *, cores: int) -> dict[str, Any]:
    """Run `python -m MODULE ARGUMENTS` on the first `cores` cores until it ends.

    Returns
    -------
    dict
        The JSON in the last line that it prints, and `peak_mib`, the peak resident size in MiB by kind of process; see
        `watch_memory`.

    Raises
    ------
    SetupError
        If the machine has fewer cores, or the process fails.
    """
    with start_module(module, arguments, cores=cores) as child:
        output, _ = child.process.communicate()
    if child.process.returncode:
        raise child.failed()
    return {**json.loads(output.splitlines()[-1]), "peak_mib": child.peak_mib}


def watch_memory(pid: int, peaks: dict[str, float], done: threading.Event, *, seconds: float = 0.2) -> None:
    """Record the peak resident sizes of a process and its children in `peaks` until `done` is set.

    Parameters
    ----------
    pid : int
        The process.
    peaks : dict of str to float
        MiB by kind: `driver` is the process itself, `jvm` its JVM, `worker` the largest of its other children. Shared
        pages count for each process.
    done : Event
    seconds : float
        Time between two samples.
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
