"""A plugin of pytest: a test fails that leaves a process, thread, file, socket or environment variable behind.

What fixtures of a module or a session start is theirs to end.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

# Python starts these once, on first use, and ends them itself.
_OF_PYTHON = ("multiprocessing.forkserver", "multiprocessing.resource_tracker")
# pytest sets one for each test; torch, tensorboardX and Polars set others when they are imported.
_VARIABLES_OF_OTHERS = ("PYTEST_CURRENT_TEST", "TORCHINDUCTOR_CACHE_DIR", "CRC32C_SW_MODE", "_RJEM_MALLOC_CONF")
# Libraries keep files of their own open elsewhere.
_FOLDERS_OF_TESTS = (tempfile.gettempdir(), os.getcwd())
# What ends by itself has this long to do so.
_PATIENCE_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class Held:
    """What the process holds, by kind: descriptions that do not change as long as the resource exists."""

    processes: frozenset[str]
    threads: frozenset[str]
    files: frozenset[str]
    sockets: frozenset[str]
    variables: frozenset[str]

    @classmethod
    def now(cls) -> Held:
        """What this process holds now."""
        own = psutil.Process()
        connections = own.net_connections if hasattr(own, "net_connections") else own.connections  # before psutil 6
        return cls(
            processes=frozenset(filter(None, map(_process, own.children()))),
            threads=frozenset(
                f"{thread.name} ({thread.ident})" for thread in threading.enumerate() if not thread.daemon
            ),
            files=frozenset(f"{file.path} ({file.fd})" for file in own.open_files() if _is_of_test(file.path, file.fd)),
            sockets=frozenset(
                f"{one.laddr.ip}:{one.laddr.port}" for one in connections("tcp") if one.status == psutil.CONN_LISTEN
            ),
            variables=frozenset(
                f"{name}={value}" for name, value in os.environ.items() if name not in _VARIABLES_OF_OTHERS
            ),
        )

    @classmethod
    def nothing(cls) -> Held:
        """The record of a process that holds nothing."""
        return cls(*(frozenset[str]() for _ in dataclasses.fields(cls)))

    def __or__(self, other: Held) -> Held:
        return Held(*(getattr(self, field.name) | getattr(other, field.name) for field in dataclasses.fields(self)))

    def __sub__(self, other: Held) -> Held:
        return Held(*(getattr(self, field.name) - getattr(other, field.name) for field in dataclasses.fields(self)))

    def new_since(self, before: Held) -> dict[str, list[str]]:
        """What is held now and was not before, and variables that were removed, by kind."""
        new = {
            field.name: sorted(getattr(self, field.name) - getattr(before, field.name))
            for field in dataclasses.fields(self)
        }
        gone = {entry.partition("=")[0] for entry in before.variables - self.variables}
        changed = {entry.partition("=")[0] for entry in new["variables"]}
        new["variables"] = sorted(changed | gone)
        return {kind: found for kind, found in new.items() if found}


def leaks_since(before: Held, allowed: Held | None = None) -> dict[str, list[str]]:
    """What was left behind since then, by kind, after waiting for what ends by itself."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while found := (Held.now() - (allowed or Held.nothing())).new_since(before - (allowed or Held.nothing())):
        if time.monotonic() > deadline:
            return found
        gc.collect()
        time.sleep(0.05)
    return {}


def _is_of_test(path: str, number: int) -> bool:
    """Whether an open file may be a test's; standard input, output and errors are pytest's to turn aside."""
    return number > 2 and path.startswith(_FOLDERS_OF_TESTS) and "/site-packages/" not in path


def _process(child: psutil.Process) -> str | None:
    try:
        command = " ".join(child.cmdline())
        if child.status() == psutil.STATUS_ZOMBIE or any(name in command for name in _OF_PYTHON):
            return None
        return f"{child.pid} {command[:120]}"
    except psutil.NoSuchProcess:
        return None


def _has_spark() -> bool:
    pyspark = sys.modules.get("pyspark")
    return pyspark is not None and pyspark.SparkContext._active_spark_context is not None


class _OfFixtures:
    """What fixtures of a wider scope than a test have started, some of them in the middle of a test."""

    held = Held.nothing()


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[object]) -> Iterator[None]:
    """Remember what a fixture of a module or a session starts."""
    if fixturedef.scope == "function":
        return (yield)
    before = Held.now()
    try:
        return (yield)
    finally:
        _OfFixtures.held |= Held.now() - before


@pytest.fixture(autouse=True)
def _leaves_nothing_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a process, thread, file, socket or environment variable behind."""
    before, had_spark = Held.now(), _has_spark()
    yield
    if "leaves" in request.node.keywords or _has_spark() != had_spark:  # a session lives as long as its process
        return
    if found := leaks_since(before, _OfFixtures.held):
        pytest.fail(f"This test leaves behind: {found}")
