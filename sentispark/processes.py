"""Which process something belongs to, as a note in a file, and whether that process is still running."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

__all__ = ["is_running", "process_note"]

# Stands for the start time of a process that exists but whose entry in /proc cannot be read.
_HIDDEN = "hidden"


def process_note(pid: int | None = None) -> dict[str, Any]:
    """A note that identifies a process, by default this one. It has a start time, as pids are reused."""
    pid = os.getpid() if pid is None else pid
    return {"machine": _machine(), "pid": pid, "started": _started(pid)}


def is_running(note: Mapping[str, Any]) -> bool | None:
    """Whether the process of a note is running; None if it is, or may be, on another machine."""
    if not isinstance(note.get("pid"), int) or not note.get("machine") == _machine() is not None:
        return None
    return _started(note["pid"]) in (note.get("started"), _HIDDEN)


def _machine() -> list[str] | None:
    """An id shared only by processes that can see each other's pids (same boot, same namespace); None if unknown."""
    try:
        return [Path("/proc/sys/kernel/random/boot_id").read_text().strip(), os.readlink("/proc/self/ns/pid")]
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """The start time of a process in clock ticks since boot, or `_HIDDEN`; None if it does not exist or is a zombie."""
    try:
        state, *fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return _HIDDEN if psutil.pid_exists(pid) else None
    return None if state in ("Z", "X") else fields[18]  # a zombie has ended
