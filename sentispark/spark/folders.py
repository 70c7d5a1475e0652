"""Paths as Spark means them, as folders that Python reads and writes."""

from __future__ import annotations

import re

from py4j.protocol import Py4JJavaError
from pyspark.sql.utils import is_remote

from sentispark.errors import SetupError
from sentispark.files import Folder
from sentispark.spark.session import get_spark, is_far

__all__ = ["literally", "spark_folder"]


def spark_folder(path: str) -> Folder:
    """The folder that Spark means by a path: one without a scheme is on the cluster's default file system.

    Local paths become absolute, as executors run in folders of their own. A URL that this Spark has no file system for
    is taken as it is: what reads and writes files here is fsspec. A client of Spark Connect does not learn what the
    cluster's default is: there a path needs a scheme, `file:` where both share a disk.

    Raises
    ------
    SetupError
        If there is no such file system, or no scheme where one is needed.
    """
    if is_far() and ":/" not in path:
        raise SetupError(
            "Over Spark Connect a path must say where it is for both sides, like s3://bucket/folder or "
            f"file:/shared/folder. Got '{path}'."
        )
    if is_remote():
        return Folder(path.removeprefix("file:")).absolute_folder()
    context = get_spark().sparkContext
    hadoop = context._jvm.org.apache.hadoop.fs.Path(path)
    try:
        url = hadoop.getFileSystem(context._jsc.hadoopConfiguration()).makeQualified(hadoop).toString()
    except Py4JJavaError as error:
        if "://" in path:
            return Folder(path)
        problem = str(error.java_exception).splitlines()[0]
        raise SetupError(f"'{path}' is on a file system that Spark cannot reach: {problem}.") from error
    return Folder(url.removeprefix("file:"))


def literally(path: str) -> str:
    """A path that Spark's readers take as it is, although they take some characters for a glob's."""
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", path)
