"""Whether the process of a note is still running."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sentispark.processes import is_running, process_note

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


def test_a_process_is_running_until_it_ends_even_if_nobody_has_waited_for_it():
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    note = process_note(process.pid)
    assert is_running(note) is True
    process.kill()
    ends = time.monotonic() + 10
    while is_running(note):
        assert time.monotonic() < ends
        time.sleep(0.01)
    assert Path(f"/proc/{process.pid}").exists(), "a zombie"
    process.communicate()
    assert is_running(note) is False


def test_another_process_with_the_same_pid_is_recognized_as_another():
    assert is_running(process_note()) is True
    assert is_running({**process_note(), "started": "1"}) is False


@pytest.mark.parametrize("changed", [{"machine": ["another", "one"]}, {"machine": None}, {"pid": "1"}, {"pid": None}])
def test_whether_a_process_of_another_machine_is_running_is_unknown(changed):
    assert is_running({**process_note(), **changed}) is None


def test_a_process_whose_start_time_cannot_be_read_is_taken_for_the_one_in_the_note(monkeypatch):
    note = process_note()
    monkeypatch.setattr(Path, "read_text", lambda path: hidden(path, note))
    assert is_running(note) is True
    assert is_running({**note, "pid": 2**22 + 1}) is False


def hidden(path, note):
    if path.name == "boot_id":
        return note["machine"][0]
    raise FileNotFoundError(path)


def test_a_note_names_this_process_by_default():
    assert process_note()["pid"] == os.getpid()
