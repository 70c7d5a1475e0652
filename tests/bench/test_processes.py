"""A module in its own process keeps to its cores, answers, and its memory is measured."""

import pytest

from sentispark.bench.processes import run_module, start_module
from sentispark.errors import SetupError


def test_a_process_returns_its_last_line_and_its_memory(tmp_path, monkeypatch):
    (tmp_path / "worker.py").write_text(
        "import json, os, sys, time\n"
        "held = b'x' * (100 << 20)\n"
        "time.sleep(1)\n"
        "print('a log line'); print(json.dumps({'cores': len(os.sched_getaffinity(0)), 'arguments': sys.argv[1:]}))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = run_module("worker", ["a", "b"], cores=1)
    assert (found["cores"], found["arguments"]) == (1, ["a", "b"])
    assert found["peak_mib"]["driver"] > 100


def test_a_failed_process_and_missing_cores_are_errors(tmp_path, monkeypatch):
    (tmp_path / "failing.py").write_text("import sys; sys.exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SetupError, match="failed with exit status 3"):
        run_module("failing", [], cores=1)
    with pytest.raises(SetupError, match="'cores' must be at most"):
        run_module("failing", [], cores=10_000)


def test_a_process_answers_each_line(tmp_path, monkeypatch):
    (tmp_path / "answering.py").write_text(
        "import json, sys\n"
        "for number, line in enumerate(sys.stdin):\n"
        "    print('a log line'); print(json.dumps({'number': number, 'line': line}), flush=True)\n"
        "    number < 2 or sys.exit(4)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with start_module("answering", [], cores=1) as child:
        assert [child.ask("asked") for _ in range(3)] == [{"number": number, "line": "asked\n"} for number in range(3)]
        with pytest.raises(SetupError, match="failed with exit status 4"):
            child.ask()
    with start_module("answering", [], cores=1) as child:
        pass
    assert child.process.returncode == 0
