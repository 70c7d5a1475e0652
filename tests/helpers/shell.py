"""What shellcheck, from its package, has against a script."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def objections(script: str) -> str:
    """The text that shellcheck prints; the test is skipped where it is not installed."""
    beside = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    shellcheck = shutil.which("shellcheck", path=beside) or pytest.skip("shellcheck is not installed")
    return subprocess.run([shellcheck, "-"], input=script, capture_output=True, text=True).stdout
