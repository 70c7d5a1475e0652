"""Existing settings → a SparkSession that works at the first try and overrides none of them.

The settings are read from Spark itself: its JVM is started first, reads spark-defaults.conf, the environment and the
command line as always, and only what is still missing is filled in.
"""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pyspark
from py4j.java_gateway import JVMView
from pyspark import SparkConf, SparkContext
from pyspark.find_spark_home import _find_spark_home
from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

from sentispark.spark.java import ensure_java

__all__ = [
    "driver_memory_mib",
    "get_spark",
    "is_local",
    "jvm_of",
    "local_cores",
    "missing_defaults",
    "setting",
    "task_cores",
    "utf8_locale",
    "worker_python",
]

LOOPBACK = "127.0.0.1"
QUIET_LOGGING = Path(__file__).with_name("log4j2.properties")
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")

# What spark-submit fills in when a Python process starts it; not the user's settings.
SHELL_DEFAULTS = {"spark.app.name": "pyspark-shell", "spark.ui.showConsoleProgress": "true"}

_log = logging.getLogger(__name__)


def get_spark(
    app_name: str = "sentispark",
    *,
    master: str | None = None,
    conf: Mapping[str, str] | None = None,
    log_level: str = "error",
) -> SparkSession:
    """The active session unchanged, or a new one with sensible values for all settings that the user has not set.

    Parameters
    ----------
    app_name : str
        Used if neither `conf` nor spark-submit names the application.
    master : str, optional
        By default that of spark-submit, spark-defaults.conf or the environment, and otherwise `local[*]`.
    conf : mapping of str to str, optional
        Spark settings. They override all others, like those of `SparkSession.builder.config`.
    log_level : str
        Spark's own log level, `off` for none; ignored if its logging is configured.

    Returns
    -------
    SparkSession
        Its Python workers run this interpreter in local mode, unless `PYSPARK_PYTHON` says otherwise.

    Raises
    ------
    SetupError
        If there is no Java that the installed PySpark supports.
    """
    active = _active_session()
    if active is not None:
        if master or conf:
            _log.warning("A Spark session is active and is used unchanged: 'master' and 'conf' are not applied.")
        return active

    asked = {key: str(value) for key, value in (conf or {}).items()}
    if master:
        asked["spark.master"] = master
    already_set = {**_start_jvm(asked, log_level), **asked}
    defaults = missing_defaults(already_set, app_name=app_name, machine_cores=_jvm_cores(), environ=os.environ)

    python = worker_python({**defaults, **already_set}, os.environ, running=sys.executable)
    if python:
        os.environ["PYSPARK_PYTHON"] = python

    builder = SparkSession.builder
    for key, value in {**defaults, **asked}.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def missing_defaults(
    already_set: Mapping[str, str],
    *,
    app_name: str,
    machine_cores: int,
    environ: Mapping[str, str],
) -> dict[str, str]:
    """Our settings without those that are already set: always disjoint from `already_set`."""
    master = already_set.get("spark.master", "local[*]")
    defaults = {
        "spark.app.name": app_name,
        "spark.master": master,
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.session.timeZone": "UTC",
        "spark.ui.showConsoleProgress": "false",
    }
    if is_local(master):
        defaults["spark.ui.enabled"] = "false"
        defaults["spark.sql.shuffle.partitions"] = str(2 * local_cores(master, machine_cores))
        # Host and bind address belong together: a pair of one of ours and one of the user's would not connect.
        address = {"spark.driver.host": LOOPBACK, "spark.driver.bindAddress": LOOPBACK}
        if not (address.keys() & already_set.keys() or "SPARK_LOCAL_IP" in environ):
            defaults.update(address)
    return {key: value for key, value in defaults.items() if key not in already_set}


def worker_python(conf: Mapping[str, str], environ: Mapping[str, str], *, running: str) -> str | None:
    """The value to set `PYSPARK_PYTHON` to; None leaves it unchanged.

    By default Spark starts workers as `python3`, which lacks a virtual environment's packages. The path of the running
    interpreter is used only if the workers are on this machine.
    """
    if "PYSPARK_PYTHON" in environ:
        return None
    if "spark.pyspark.python" in conf:
        return conf["spark.pyspark.python"]
    return running if is_local(conf["spark.master"]) else None


def utf8_locale(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables a JVM needs for non-ASCII paths if the locale is C; none for any other locale.

    If the locale is C only by default, Python itself has already set `LC_CTYPE` (PEP 538).
    """
    return {"LC_ALL": "C.UTF-8"} if environ.get("LC_ALL") in ("C", "POSIX") else {}


def shares_this_machine(spark: SparkSession) -> bool:
    """Whether executors run on this machine; with Spark Connect, whether this process started a local server."""
    return is_local(setting(spark, "spark.master")) and not is_remote_client()


def setting(spark: SparkSession, name: str, default: str = "") -> str:
    """The value of a Spark setting, `default` where it has none."""
    return spark.conf.get(name, default) or default


def jvm_of(spark: SparkSession) -> JVMView:
    """The JVM of a session that is not one of Spark Connect, as py4j shows it."""
    return _started_jvm(spark.sparkContext)


def is_remote_client() -> bool:
    """Whether this process is a client of a Spark Connect server that it did not start."""
    return is_remote() and "SPARK_LOCAL_REMOTE" not in os.environ


def is_local(master: str) -> bool:
    """Whether driver and workers share this machine: `local`, `local[…]` and `local-cluster[…]`."""
    return re.match(r"local($|\[|-cluster\[)", master) is not None


def local_cores(master: str, machine_cores: int) -> int:
    """The number of tasks that a local master runs at once.

    Examples
    --------
    >>> [local_cores(master, 8) for master in ("local[4]", "local[*]", "local-cluster[2,3,1024]")]
    [4, 8, 6]
    """
    numbers = [int(number) for number in re.findall(r"\d+", master)]
    if master.startswith("local-cluster["):
        return numbers[0] * numbers[1]
    if master.startswith("local[*"):
        return machine_cores
    return numbers[0] if numbers else 1


def driver_memory_mib(total_mib: int) -> int:
    """A quarter of the machine's memory, between 1 and 8 GiB: in local mode the driver does the executors' work too."""
    return min(max(total_mib // 4, 1024), 8192)


def without_shell_defaults(conf: Mapping[str, str], *, written: str) -> dict[str, str]:
    """`conf` without what spark-submit fills in; `written` is all text in which the user could have set it."""
    return {key: value for key, value in conf.items() if SHELL_DEFAULTS.get(key) != value or key in written}


def _active_session() -> SparkSession | None:
    if is_remote() or "SPARK_REMOTE" in os.environ:
        return SparkSession.builder.getOrCreate()
    if SparkContext._active_spark_context is None:
        return None
    return SparkSession.getActiveSession() or SparkSession.builder.getOrCreate()


def _start_jvm(asked: Mapping[str, str], log_level: str) -> dict[str, str]:
    """Start Spark's JVM, or connect to spark-submit's; returns the settings that the user has made."""
    launched_by_submit = "PYSPARK_GATEWAY_PORT" in os.environ
    conf_dir = Path(os.environ.get("SPARK_CONF_DIR") or Path(_find_spark_home(), "conf"))  # type: ignore[no-untyped-call]
    if SparkContext._gateway is None and not launched_by_submit:
        ensure_java(os.environ, pyspark.__version__)
        launch = {**_launch_defaults(asked, conf_dir, log_level), **utf8_locale(os.environ)}
        with _environment(launch), _ended_if_interrupted():
            SparkContext._ensure_initialized(conf=SparkConf(loadDefaults=False).setAll(list(asked.items())))
    else:
        SparkContext._ensure_initialized()

    conf = dict(SparkConf().getAll())
    if launched_by_submit:
        return conf
    defaults_file = conf_dir / "spark-defaults.conf"
    written = defaults_file.read_text() if defaults_file.is_file() else ""
    return without_shell_defaults(conf, written=written + os.environ.get("PYSPARK_SUBMIT_ARGS", ""))


def _launch_defaults(asked: Mapping[str, str], conf_dir: Path, log_level: str) -> dict[str, str]:
    """What a JVM needs before it starts, as the environment variables to which Spark gives the lowest priority."""
    defaults = {}
    if is_local(asked.get("spark.master", "local")):
        defaults["SPARK_DRIVER_MEMORY"] = f"{driver_memory_mib(_machine_memory_mib())}m"
    if not (conf_dir / "log4j2.properties").exists():
        defaults["SPARK_SUBMIT_OPTS"] = (
            f"-Dlog4j2.configurationFile={QUIET_LOGGING.as_uri()} -Dsentispark.log.level={log_level}"
        )
    return {name: value for name, value in defaults.items() if name not in os.environ}


@contextmanager
def _ended_if_interrupted() -> Iterator[None]:
    """A block that starts a JVM. If its start is interrupted, PySpark loses track of it and would not stop it."""
    before = set(psutil.Process().children())
    try:
        yield
    except BaseException:
        for child in set(psutil.Process().children()) - before:
            with suppress(psutil.Error):
                if re.search("spark-submit|SparkSubmit", " ".join(child.cmdline())):
                    _end(child)
        raise


def _end(process: psutil.Process) -> None:
    for descendant in (process, *process.children(recursive=True)):
        with suppress(psutil.Error):
            descendant.kill()


@contextmanager
def _environment(additions: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ[name] for name in additions if name in os.environ}
    os.environ.update(additions)
    try:
        yield
    finally:
        for name in additions:
            del os.environ[name]
        os.environ.update(before)


def _machine_memory_mib() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = CGROUP_LIMIT.read_text().strip() if CGROUP_LIMIT.exists() else ""
    return min(total, int(limit) if limit.isdigit() else total) // 2**20


def _started_jvm(context: SparkContext | type[SparkContext]) -> JVMView:
    assert context._jvm is not None, "Spark's JVM has been started"
    return context._jvm


def _jvm_cores() -> int:
    return int(_started_jvm(SparkContext).java.lang.Runtime.getRuntime().availableProcessors())


def task_cores(spark: SparkSession) -> int:
    """The number of tasks that run at once, by which Spark itself partitions work."""
    return spark.sparkContext.defaultParallelism
