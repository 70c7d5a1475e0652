"""One preparation in a process of its own, with so many cores and so much memory: its seconds and its peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

import psutil

from sentispark.errors import SetupError

__all__ = ["peak_memory", "run_alone"]

MEBIBYTE = 1 << 20


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
    there = sorted(os.sched_getaffinity(0))
    if cores > len(there):
        raise SetupError(f"'cores' must be at most {len(there)}, which this machine has. Got {cores}.")
    child = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, there[:cores]),
    )
    peaks: dict[str, float] = {}
    done = threading.Event()
    watcher = threading.Thread(target=peak_memory, args=(child.pid, peaks, done))
    watcher.start()
    try:
        output, _ = child.communicate()
    finally:
        done.set()
        watcher.join()
    if child.returncode:
        raise SetupError(f"'python -m {module}' must end well. It ended with status {child.returncode}.")
    return {**json.loads(output.splitlines()[-1]), "peak_mib": peaks}


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
