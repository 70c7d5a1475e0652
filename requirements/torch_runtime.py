"""Print what the installed torch still needs beside the pinned list: nothing for a CPU build, the CUDA libraries else.

The pinned list named on the command line is installed with --no-deps and has one torch for all machines; where that is
a CUDA build, it does not import without packages that a CPU build has no use for.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def pinned_names(text: str) -> set[str]:
    """The canonical names of the packages in a requirements file."""
    lines = (line.split("#")[0].strip() for line in text.splitlines())
    return {canonicalize_name(Requirement(line).name) for line in lines if line}


def missing(requirements: list[str], pinned: set[str]) -> list[Requirement]:
    """Those of a distribution's requirements that apply here and are neither pinned nor installed."""
    wanted = [requirement for requirement in map(Requirement, requirements) if _applies(requirement)]
    return [one for one in wanted if canonicalize_name(one.name) not in pinned and not _satisfied(one)]


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _satisfied(requirement: Requirement) -> bool:
    """Installed in a fitting version; one with extras never counts, for what the extras ask for may be missing."""
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return False
    return not requirement.extras and requirement.specifier.contains(version, prereleases=True)


if __name__ == "__main__":
    for requirement in missing(metadata.requires("torch") or [], pinned_names(Path(sys.argv[1]).read_text())):
        requirement.marker = None
        print(requirement)  # noqa: T201
