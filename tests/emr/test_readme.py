"""The commands of emr/README.md are commands that `launch.py` takes, and what it says of files is so."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from emr.command import main
from emr.options import ClusterOptions, JobOptions, TargetOptions
from sentispark.options import flag_name, options_of

FOLDER = Path(__file__).parents[2] / "emr"
README = (FOLDER / "README.md").read_text()
BLOCKS = re.findall(r"^ *```sh\n(.*?)```", README, re.DOTALL | re.MULTILINE)
COMMANDS = [
    shlex.split(line)[2:]
    for block in BLOCKS
    for line in block.replace("\\\n", " ").splitlines()
    if "python emr/launch.py" in line
]


@pytest.mark.parametrize("command", COMMANDS, ids=[command[0] for command in COMMANDS])
def test_its_commands_are_taken(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dry-run", *command]) == 0
    assert all(json.loads(line) for line in capsys.readouterr().out.splitlines())


def test_they_show_every_action() -> None:
    words = {word for command in COMMANDS for word in command}
    assert {"create", "prepare", "train", "predict", "status", "logs", "terminate"} <= words


def test_its_flags_exist() -> None:
    own = {flag_name(field) for kind in (JobOptions, ClusterOptions, TargetOptions) for field in options_of(kind)}
    own |= {"--dry-run", "--yes", "--help", "--no-spot"}
    of_others = {
        "--preset",
        "--vocab-size",
        "--epochs",
        "--text-col",
        "--keep-cols",
        "--overwrite",
        "--fresh",
        "--configurations",
    }
    assert set(re.findall(r"--[a-z][a-z-]+", README)) <= own | of_others


def test_its_links_lead_to_files() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if not link.startswith("https://")]
    assert len(links) > 8
    assert [link for link in links if not (FOLDER / link).exists()] == []
