"""A command that is ended by a signal leaves nothing behind, and its exit status gives the signal."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest

from sentispark.signals import EndedBySignal, Signals

pytestmark = [pytest.mark.endtoend, pytest.mark.alone]

# Enough to be read for a few seconds.
LINES = 400_000


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    path = tmp_path_factory.mktemp("reviews") / "many.jsonl"
    lines = [json.dumps({"reviewText": f"word{n} " * 40, "overall": 1 + n % 5}) + "\n" for n in range(100)]
    path.write_text("".join(lines) * (LINES // 100))
    return str(path)


@pytest.mark.parametrize(("number", "times", "status"), [(signal.SIGTERM, 1, 143), (signal.SIGINT, 2, 130)])
def test_a_signal_in_the_middle_of_a_job_removes_the_draft(reviews, tmp_path, number, times, status):
    command = [sys.executable, "-m", "sentispark", "prepare", reviews, "--output", "new/out", "--master", "local[2]"]
    child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = []
    for line in child.stderr:
        lines.append(line)
        if "read, clean and merge" in line:
            break
    (draft,) = (tmp_path / "new").iterdir()
    while not list(draft.rglob("*")) and child.poll() is None:
        threading.Event().wait(0.01)  # until tasks have started
    for _ in range(times):
        child.send_signal(number)
    output, errors = child.communicate(timeout=60)
    assert child.returncode == status, errors
    assert (output, errors.splitlines()[-1]) == ("", "sentispark prepare: interrupted; the output was not written.")
    assert "Traceback" not in errors
    assert os.listdir(tmp_path) == []


def test_sigterm_keeps_finished_passes_and_the_same_command_continues(reviews, tmp_path):
    command = [sys.executable, "-m", "sentispark", "prepare", reviews, "--output", "out", "--master", "local[2]"]
    child = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert any("count words" in line for line in child.stderr)
    child.send_signal(signal.SIGTERM)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 143, errors
    (draft,) = os.listdir(tmp_path)
    assert f"{draft}' is kept: the same command continues from it." in errors
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "read, clean and merge" not in json.loads(done.stdout)["stage_seconds"]
    assert os.listdir(tmp_path) == ["out"]


def names_of(processes):
    """The names of the processes that are still running."""
    names = set()
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            names.add(process.name())
    return names


@pytest.mark.parametrize(
    ("number", "awaited"), [(signal.SIGTERM, "java"), (signal.SIGINT, "java"), (signal.SIGTERM, "sleep")]
)
def test_a_signal_while_spark_starts_ends_its_processes(tmp_path, number, awaited):
    (tmp_path / "a.jsonl").write_text('{"reviewText": "good", "overall": 5}\n')
    (tmp_path / "conf").mkdir()
    if awaited == "sleep":  # as while spark-submit fetches packages
        (tmp_path / "conf" / "spark-env.sh").write_text("sleep 300\n")
    command = [sys.executable, "-m", "sentispark", "prepare", "a.jsonl", "--output", "out", "--master", "local[1]"]
    environ = {**os.environ, "SPARK_CONF_DIR": str(tmp_path / "conf")}
    child = subprocess.Popen(
        command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process, started = psutil.Process(child.pid), []
    while awaited not in names_of(started) and child.poll() is None:
        threading.Event().wait(0.01)
        started = process.children(recursive=True)
    threading.Event().wait(0.4)
    child.send_signal(number)
    child.wait(30)
    _, alive = psutil.wait_procs(started, timeout=30)
    for left in alive:
        left.kill()
    assert alive == []
    output, errors = child.communicate()
    assert (child.returncode, output) == (128 + number, ""), errors
    assert errors.splitlines()[-1] == "sentispark prepare: interrupted; the output was not written."
    assert sorted(os.listdir(tmp_path)) == ["a.jsonl", "conf"]


def test_only_the_first_signal_ends_the_block_and_then_the_handlers_are_restored():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Signals() as signals:
        with pytest.raises(EndedBySignal):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert signals.number == signal.SIGTERM
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_does_not_interrupt_the_clean_up_after_a_failure(monkeypatch):
    removed = []

    def remove_slowly():
        signal.raise_signal(signal.SIGINT)
        removed.append("drafts")

    monkeypatch.setattr("sentispark.signals.remove_drafts", remove_slowly)
    with Signals() as signals:
        signals.clean_up()
    assert (removed, signals.number) == (["drafts"], None)


def test_ignored_signals_stay_ignored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Signals() as signals:
            signal.raise_signal(signal.SIGHUP)
        assert signals.number is None
    finally:
        signal.signal(signal.SIGHUP, before)
