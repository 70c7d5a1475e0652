"""How many threads a rank computes with: what it was given, or its share of its host's cores.

A rank that takes more cores than its share is not slightly slower but many times slower: its threads wait for each
other by spinning, on cores where other ranks compute.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

__all__ = ["cores_here", "cpu_quota", "requested_threads", "thread_count", "usable_cores"]


def thread_count(*, requested: int | None, cores: int | None, usable: int, ranks: int) -> int:
    """The threads of one rank, at least 1.

    Parameters
    ----------
    requested : int or None
        The threads that the user or the launcher chose for a process; used as they are.
    cores : int or None
        The cores that the ranks of this host share; None means all that are usable.
    usable : int
        The cores that this process may run on.
    ranks : int
        The ranks on this host.
    """
    if requested:
        return requested
    return max(1, min(usable, cores or usable) // ranks)


def requested_threads(value: str | None) -> int | None:
    """The threads that the variable `OMP_NUM_THREADS` asks for; the first of a list for nested regions."""
    first = (value or "").split(",")[0].strip()
    return int(first) if first.isdigit() and int(first) else None


def usable_cores(affinity: int, quota: float | None) -> int:
    """The cores that a process can keep busy: those it may run on, but no more than its control group's quota."""
    return affinity if quota is None else max(1, min(affinity, int(quota)))


def cores_here() -> int:
    """The cores that this process can keep busy."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return usable_cores(affinity, cpu_quota())


def cpu_quota(root: Path = Path("/")) -> float | None:
    """The CPU quota of this process's control groups (cgroup v1 or v2), in cores; None if there is no limit.

    Parameters
    ----------
    root : Path
        The folder that contains `proc` and `sys`.
    """
    try:
        groups = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    quotas = [
        quota
        for _, controllers, path in (line.split(":", 2) for line in groups if line.count(":") >= 2)
        for quota in _quotas(root / "sys/fs/cgroup", controllers, path)
    ]
    return min(quotas, default=None)


def _quotas(mount: Path, controllers: str, path: str) -> Iterator[float]:
    """The limits of a group and of its parents."""
    if controllers == "":
        bases, files = [mount, mount / "unified"], ["cpu.max"]
    elif "cpu" in controllers.split(","):
        bases, files = [mount / controllers, mount / "cpu"], ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
    else:
        return
    for base in bases:
        # In a container the path may be the host's; of it only the last part is visible here, as the mount itself.
        for folder in (Path(path.lstrip("/")), *Path(path.lstrip("/")).parents):
            try:
                numbers = " ".join((base / folder / file).read_text() for file in files).split()
                quota, period = int(numbers[0]), int(numbers[1])
            except (OSError, ValueError, IndexError):  # no such group, or "max": no limit
                continue
            if quota > 0 and period > 0:
                yield quota / period
