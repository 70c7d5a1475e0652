"""The guard of all tests itself: it finds what a test leaves behind, and nothing else."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

import pytest

from tests.helpers import leaks
from tests.helpers.leaks import Held, leaks_since


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(leaks, "_PATIENCE_SECONDS", 0.2)


def test_a_resource_that_is_closed_is_not_a_leak(tmp_path, monkeypatch):
    before = Held.now()
    with (tmp_path / "file").open("w"), socket.create_server(("127.0.0.1", 0)):
        subprocess.run([sys.executable, "-c", ""], check=True)
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    with monkeypatch.context() as patch:
        patch.setenv("SENTISPARK_TEST", "1")
    assert leaks_since(before) == {}


def test_each_kind_is_found(tmp_path, monkeypatch):
    before, going_on = Held.now(), threading.Event()
    thread = threading.Thread(target=going_on.wait, name="left behind")
    thread.start()
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with (tmp_path / "file").open("w"), socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("SENTISPARK_TEST", "1")
        monkeypatch.delenv("PATH")
        found = leaks_since(before)
        address = "{}:{}".format(*server.getsockname())
    going_on.set()
    thread.join()
    process.communicate()
    assert list(found) == ["processes", "threads", "files", "sockets", "variables"]
    assert str(process.pid) in found["processes"][0]
    assert found["threads"][0].startswith("left behind")
    assert str(tmp_path / "file") in found["files"][0]
    assert found["sockets"] == [address]
    monkeypatch.undo()
    assert found["variables"] == ["PATH", "SENTISPARK_TEST"]
