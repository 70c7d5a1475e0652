"""`python emr/launch.py create prepare train …`: sentispark on Amazon EMR; README.md beside it shows how."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:  # run as a script, when Python looks for modules in its folder; the packages are one above
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from emr.command import main

if __name__ == "__main__":
    sys.exit(main())
