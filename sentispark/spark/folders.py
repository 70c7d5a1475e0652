"""Paths as Spark means them, as folders that Python reads and writes."""

from __future__ import annotations

import re
from collections.abc import Iterable

from py4j.java_gateway import JavaClass, JavaObject
from py4j.protocol import Py4JJavaError
from pyspark.sql.utils import is_remote

from sentispark.errors import SetupError
from sentispark.files import Folder
from sentispark.spark.session import get_spark, is_far

__all__ = ["literally", "spark_folder", "spark_folders"]


def spark_folder(path: str) -> Folder:
    """The folder that Spark means by a path; see `spark_folders`."""
    return spark_folders([path])[0]


def spark_folders(paths: Iterable[str]) -> list[Folder]:
    """The folders that Spark means by paths: one without a scheme is on the cluster's default file system.

    Local paths become absolute, as executors run in folders of their own. A URL that this Spark has no file system for
    is taken as it is: what reads and writes files here is fsspec. A client of Spark Connect does not learn what the
    cluster's default is: there a path needs a scheme, `file:` where both share a disk.

    Raises
    ------
    SetupError
        If there is no such file system, or no scheme where one is needed.
    """
    if is_remote():
        return [_client_folder(path) for path in paths]
    context = get_spark().sparkContext
    # Asked for once: each name in between is a question to the JVM, and there may be hundreds of paths.
    path_class, configuration = context._jvm.org.apache.hadoop.fs.Path, context._jsc.hadoopConfiguration()
    return [_driver_folder(path, path_class, configuration) for path in paths]


def _client_folder(path: str) -> Folder:
    if is_far() and ":/" not in path:
        raise SetupError(
            "Over Spark Connect a path must say where it is for both sides, like s3://bucket/folder or "
            f"file:/shared/folder. Got '{path}'."
        )
    return Folder(path.removeprefix("file:")).absolute_folder()


def _driver_folder(path: str, path_class: JavaClass, configuration: JavaObject) -> Folder:
    hadoop = path_class(path)
    try:
        url = hadoop.getFileSystem(configuration).makeQualified(hadoop).toString()
    except Py4JJavaError as error:
        if "://" in path:
            return Folder(path)
        problem = str(error.java_exception).splitlines()[0]
        raise SetupError(f"'{path}' is on a file system that Spark cannot reach: {problem}.") from error
    return Folder(url.removeprefix("file:"))


def literally(path: str) -> str:
    """A path that Spark's readers take as it is, although they take some characters for a glob's."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", path)
