"""Which settings Spark has, read from the classes of the installed PySpark: a misspelled one is silently ignored."""

from __future__ import annotations

import functools
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path

import pyspark

# Names that Spark puts together.
_COMPOSED = re.compile(
    r"spark\.(executor|task)\.resource\.gpu\.(amount|discoveryScript|vendor)|spark\.executorEnv\.\w+"
    r"|spark\.kubernetes\.authenticate\.(driver|executor)\.serviceAccountName"
)


@functools.cache
def spark_settings() -> frozenset[str]:
    """All names that look like a setting in the classes of core, YARN and Kubernetes."""
    found: set[bytes] = set()
    for jar in (Path(pyspark.__file__).parent / "jars").glob("spark-*.jar"):
        if jar.name.startswith(("spark-core_", "spark-yarn_", "spark-kubernetes_", "spark-common-utils_")):
            with zipfile.ZipFile(jar) as classes:
                for name in classes.namelist():
                    if name.endswith(".class"):
                        found.update(re.findall(rb"spark\.[\w.]+", classes.read(name)))
    return frozenset(name.decode() for name in found)


def unknown_settings(names: Iterable[str]) -> list[str]:
    """Those that Spark does not have."""
    return [name for name in names if name not in spark_settings() and not _COMPOSED.fullmatch(name)]
