"""Several hosts on one machine: network namespaces on a bridge, each with a name, an address and an `/etc/hosts`.

    with hosts(3) as (first, second, third):
        second.run("python", "-c", "print('hello')")

Their `/etc/hosts` is like Debian's, in which a host's own name resolves to 127.0.1.1. Everything is removed at the end;
what a killed process leaves, the next one removes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import ipaddress
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

_FILES = Path("/etc/netns")
_NAMESPACES = Path("/run/netns")
_LOCK = Path("/run/sentispark-hosts.lock")
_SECONDS_TO_GO = 20.0
_SERIES = range(1, 250)


@dataclasses.dataclass(frozen=True)
class Host:
    """One of the hosts.

    Attributes
    ----------
    name : str
        Its host name and the name of its namespace.
    address, address6 : str
        The addresses at which the other hosts reach it.
    """

    name: str
    address: str
    address6: str

    def command(self, *arguments: Any) -> list[str]:
        """The command on this machine that runs the arguments on the host."""
        named = 'echo "$0" > /proc/sys/kernel/hostname; exec "$@"'
        return [
            "ip",
            "netns",
            "exec",
            self.name,
            "unshare",
            "--uts",
            "sh",
            "-c",
            named,
            self.name,
            *map(str, arguments),
        ]

    def run(self, *arguments: Any, seconds: float = 60, env: Mapping[str, str] | None = None) -> str:
        """The output of a command on the host, which must succeed."""
        done = subprocess.run(
            self.command(*arguments), capture_output=True, text=True, timeout=seconds, env={**os.environ, **(env or {})}
        )
        assert done.returncode == 0, f"{self.name}: {arguments} ended with {done.returncode}:\n{done.stderr[-3000:]}"
        return done.stdout

    def start(self, *arguments: Any, log: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a process on the host, in its own process group, that writes to `log`; `hosts` ends it."""
        with log.open("ab") as file:
            return subprocess.Popen(
                self.command(*arguments),
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **(env or {})},
            )

    def kill_all(self) -> None:
        """Kill all processes of the host at once, as in a power cut; no connection is closed."""
        for process in map(int, _ip("netns", "pids", self.name).split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def unplug(self) -> None:
        """Take the host's link down."""
        _ip("-n", self.name, "link", "set", _LINK, "down")


# The name of a host's interface other than loopback.
_LINK = "eth0"


def why_not() -> str | None:
    """The reason why hosts cannot be made on this machine; None if they can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "network namespaces need root"
    if missing := [command for command in ("ip", "unshare") if not shutil.which(command)]:
        return f"network namespaces need {' and '.join(missing)} (iproute2, util-linux)"
    name = f"try{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode:
        return f"network namespaces cannot be made here: {made.stderr.strip()}"
    _ip("netns", "del", name)
    return None


@contextlib.contextmanager
def hosts(count: int, *, rate: str | None = None, own_name: str = "127.0.1.1") -> Iterator[list[Host]]:
    """Make `count` hosts that reach each other; a test without root or `ip` is skipped.

    Parameters
    ----------
    count : int
        At most 9.
    rate : str, optional
        Limit on what each host sends, such as "1gbit".
    own_name : str
        The address to which a host's own name resolves on it; Debian's by default.
    """
    if reason := why_not():
        pytest.skip(reason)
    _sweep()
    with contextlib.ExitStack() as stack:
        bridge, series = _bridge()
        stack.callback(_wait_until_removed, bridge)
        stack.callback(subprocess.run, ["ip", "link", "del", bridge], capture_output=True)
        network, network6 = ipaddress.ip_network(f"10.77.{series}.0/24"), ipaddress.ip_network(f"fd77:{series:x}::/64")
        _ip("addr", "add", f"{network[254]}/24", "dev", bridge)  # so that the tests reach the hosts
        _ip("link", "set", bridge, "up")
        made = [
            Host(f"host{series}-{number}", str(network[number]), str(network6[number]))
            for number in range(1, count + 1)
        ]
        for host in made:
            stack.callback(_remove, host)
            _plug(host, bridge, _port(host.name), rate)
            names = [f"{own_name} {host.name}", *(f"{one.address} {one.name}" for one in made if one is not host)]
            (_FILES / host.name).mkdir(parents=True, exist_ok=True)
            (_FILES / host.name / "hosts").write_text("\n".join(["127.0.0.1 localhost", *names, ""]))
        yield made


def _bridge() -> tuple[str, int]:
    """A new bridge and the number of its network, which no other bridge has."""
    for series in _SERIES:
        made = subprocess.run(["ip", "link", "add", f"hosts{series}", "type", "bridge"], capture_output=True)
        if made.returncode == 0:
            _ip("link", "set", f"hosts{series}", "alias", f"{os.getpid()} {_started(os.getpid())}")
            return f"hosts{series}", series
    raise RuntimeError(f"There are {len(_SERIES)} networks of hosts already.")


def _started(process: int) -> str | None:
    """The start time of a process, as its id may have been reused; None if there is no such process."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return None


def _sweep() -> None:
    """Remove the hosts and bridges of processes that have ended."""
    with _LOCK.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for link in Path("/sys/class/net").glob("hosts*"):
            try:
                made_by = re.fullmatch(r"([0-9]+) ([0-9]+)", (link / "ifalias").read_text().strip())
            except OSError:
                continue  # its process has removed it meanwhile
            if made_by is None or _started(int(made_by[1])) == made_by[2]:
                continue
            for name in _namespaces():
                if name.startswith(f"{link.name.replace('hosts', 'host')}-"):
                    _remove(Host(name, "", ""))
            subprocess.run(["ip", "link", "del", link.name], capture_output=True)
            _wait_until_removed(link.name)


def _namespaces() -> list[str]:
    return os.listdir(_NAMESPACES) if _NAMESPACES.is_dir() else []


def _plug(host: Host, bridge: str, port: str, rate: str | None) -> None:
    _ip("netns", "add", host.name)
    _ip("link", "add", port, "type", "veth", "peer", "name", _LINK, "netns", host.name)
    _ip("link", "set", port, "master", bridge, "up")
    _ip("-n", host.name, "addr", "add", f"{host.address}/24", "dev", _LINK)
    subprocess.run(
        ["ip", "-n", host.name, "addr", "add", f"{host.address6}/64", "dev", _LINK, "nodad"], capture_output=True
    )
    for link in ("lo", _LINK):
        _ip("-n", host.name, "link", "set", link, "up")
    if rate:
        shape = ["root", "tbf", "rate", rate, "burst", "1mb", "latency", "50ms"]
        subprocess.run(["tc", "-n", host.name, "qdisc", "add", "dev", _LINK, *shape], check=True)


def _port(host: str) -> str:
    """The name of the bridge's end of a host's link."""
    return host.replace("host", "p")


def _remove(host: Host) -> None:
    if host.name in _namespaces():
        deadline = time.monotonic() + _SECONDS_TO_GO
        while _ip("netns", "pids", host.name).split() and time.monotonic() < deadline:
            host.kill_all()
            time.sleep(0.05)
        _ip("netns", "del", host.name)
    # A connection that nobody could close keeps the namespace, and with it the link, for minutes.
    subprocess.run(["ip", "link", "del", _port(host.name)], capture_output=True)
    shutil.rmtree(_FILES / host.name, ignore_errors=True)


def _wait_until_removed(bridge: str) -> None:
    """Wait until the kernel has removed the links, which takes longer than `ip` runs."""
    series = bridge.removeprefix("hosts")
    deadline = time.monotonic() + _SECONDS_TO_GO
    while time.monotonic() < deadline:
        links = os.listdir("/sys/class/net")
        if bridge not in links and not any(link.startswith(f"p{series}-") for link in links):
            return
        time.sleep(0.05)


def _ip(*arguments: str) -> str:
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True).stdout
