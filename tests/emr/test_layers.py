"""The command plans with the standard library alone: of sentispark it imports only what needs no package."""

from __future__ import annotations

from pathlib import Path

from tests.test_imports import read_imports

IMPORTED = read_imports(Path(__file__).parents[2] / "emr")


def test_of_sentispark_only_errors_options_and_flags_are_imported() -> None:
    names = {name for names in IMPORTED.values() for name in names if name.startswith("sentispark.")}
    assert {name.rpartition(".")[0] for name in names} == {
        "sentispark.errors",
        "sentispark.jobs.flags",
        "sentispark.options",
    }


def test_aws_is_called_in_one_file() -> None:
    assert [name for name, names in IMPORTED.items() if any("boto" in one for one in names)] == ["calls"]
