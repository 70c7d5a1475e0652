"""The address by which the other ranks reach this one, and torch's connections at that address and no other.

By itself gloo uses the address that the host's own name resolves to, which on Debian is a loopback address: ranks on
two hosts then look for each other on their own host.
"""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import os
import re
import socket
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from datetime import timedelta
from typing import Any

import psutil
from torch import distributed
from torch.distributed import Store, TCPStore  # type: ignore[attr-defined]  # torch exports it and does not say so

__all__ = [
    "gloo_at",
    "interface_of",
    "interfaces_here",
    "is_loopback",
    "nccl_at",
    "open_store",
    "own_address",
    "resolved",
    "source_toward",
]

LOOPBACK = "127.0.0.1"
# Gloo's own default.
_GLOO_THREADS = 2


def own_address(
    known_as: str,
    peers: Sequence[str],
    interfaces: Mapping[str, Sequence[str]],
    *,
    resolve: Callable[[str], Sequence[str]],
    toward: Callable[[str], str | None],
) -> str | None:
    """The address at which the other ranks reach this host; None if it is unknown.

    Parameters
    ----------
    known_as : str
        The address or name by which the launcher knows this host.
    peers : sequence of str
        The addresses or names of all ranks' hosts.
    interfaces : mapping of str to sequence of str
        The addresses of each of this host's network interfaces.
    resolve : callable
        Takes a name or an address; returns the addresses that it resolves to here.
    toward : callable
        Takes another host; returns the address of this one from which that host is reached, or None.
    """
    others = [peer for peer in dict.fromkeys(peers) if peer != known_as]

    def fits(address: str | None) -> bool:
        return bool(address and interface_of(address, interfaces) and (not others or not is_loopback(address)))

    for address in resolve(known_as):
        if fits(address):
            return address
    # The name resolves to the loopback, or the address is one by which other hosts know a container.
    for peer in others:
        source = toward(peer)
        if fits(source):
            return source
    return None if others else LOOPBACK


def interface_of(address: str, interfaces: Mapping[str, Sequence[str]]) -> str | None:
    """The name of the interface that has an address."""
    wanted = _parsed(address)
    for name, addresses in interfaces.items():
        if wanted is not None and wanted in map(_parsed, addresses):
            return name
    # All of 127.0.0.0/8 is this host, whatever the interface lists.
    if wanted is not None and wanted.version == 4 and wanted.is_loopback:
        return next((name for name, addresses in interfaces.items() if LOOPBACK in addresses), None)
    return None


def is_loopback(address: str) -> bool:
    """Whether an address is a loopback address."""
    parsed = _parsed(address)
    return parsed is not None and parsed.is_loopback


def interfaces_here() -> dict[str, list[str]]:
    """The addresses of this host's network interfaces."""
    kinds = (socket.AF_INET, socket.AF_INET6)
    return {
        name: [one.address for one in found if one.family in kinds] for name, found in psutil.net_if_addrs().items()
    }


def resolved(host: str) -> list[str]:
    """The addresses that a name, or an address, resolves to here; none if it is unknown."""
    try:
        return list(
            dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
        )
    except OSError:
        return []


def source_toward(host: str) -> str | None:
    """The address of this host from which packets to another one would leave; no packet is sent."""
    for address in resolved(host):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return str(probe.getsockname()[0])
    return None


def open_store(address: str, timeout: timedelta) -> TCPStore:
    """A store for the ranks to meet, on a free port of this one address; by itself it would listen on all of them."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.create_server((address, 0), family=family) as listener:
        port = listener.getsockname()[1]
        # The libuv store, which torch 2.4 to 2.7 prefer, cannot use a socket that is already listening.
        for choice in ({}, {"use_libuv": False}):
            taken = os.dup(listener.fileno())
            try:
                return TCPStore(
                    address,
                    port,
                    is_master=True,
                    wait_for_workers=False,
                    timeout=timeout,
                    master_listen_fd=taken,
                    **choice,
                )
            except (RuntimeError, NotImplementedError) as error:
                with contextlib.suppress(OSError):
                    os.close(taken)
                refused = error
    raise refused


def gloo_at(address: str | None, environ: Mapping[str, str]) -> str:
    """The name of a backend that is gloo bound to one address of this host, or of gloo itself.

    Parameters
    ----------
    address : str or None
        None leaves the choice to gloo.
    environ : mapping of str to str
        If `GLOO_SOCKET_IFNAME` is set, gloo itself is used, with that interface.
    """
    kind = getattr(distributed, "ProcessGroupGloo", None)
    if address is None or "GLOO_SOCKET_IFNAME" in environ or not hasattr(kind, "_Options"):
        return "gloo"

    return _registered(address)


@functools.cache  # torch before 2.8 accepts a name only once, and Spark reuses its tasks' processes
def _registered(address: str) -> str:
    """The name of a backend that is gloo bound to one address."""
    kind: Any = distributed.ProcessGroupGloo  # whose options torch does not declare
    name = re.sub(r"\W", "_", f"sentispark_gloo_{address}")

    def make(store: Store, rank: int, size: int, timeout: timedelta) -> object:
        options = kind._Options()
        options._devices, options._threads = [kind.create_device(hostname=address)], _GLOO_THREADS
        options._timeout = timeout
        return kind(store, rank, size, options)

    distributed.Backend.register_backend(name, make, devices=["cpu"])
    return name


@contextlib.contextmanager
def nccl_at(
    address: str | None, interfaces: Mapping[str, Sequence[str]], environ: MutableMapping[str, str]
) -> Iterator[None]:
    """In this context NCCL finds the interface that has an address, unless the user has named one.

    NCCL looks once per process, when its first communicator is made. Spark reuses the process for other tasks, so the
    variable is removed afterwards.
    """
    name = None if address is None or is_loopback(address) else interface_of(address, interfaces)
    if name is None or "NCCL_SOCKET_IFNAME" in environ:
        yield
        return
    environ["NCCL_SOCKET_IFNAME"] = f"={name}"  # "=": exactly that name, not a prefix
    try:
        yield
    finally:
        del environ["NCCL_SOCKET_IFNAME"]


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address.split("%")[0])
    except ValueError:
        return None
