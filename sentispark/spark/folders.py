"""Paths as Spark resolves them → folders that Python reads and writes, and back to paths for Spark."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from py4j.java_gateway import JavaClass, JavaObject
from py4j.protocol import Py4JJavaError
from pyspark.sql.utils import is_remote

from sentispark.errors import SetupError
from sentispark.files import Folder, is_url
from sentispark.spark.session import get_spark, is_remote_client, jvm_of

__all__ = ["glob_escaped", "spark_folder", "spark_folders", "spark_path"]

# The schemes that Hadoop may have for S3; hadoop-aws itself registers only the first.
_S3 = ("s3a", "s3", "s3n")


def spark_folder(path: str) -> Folder:
    """The folder to which Spark resolves a path; see `spark_folders`."""
    return spark_folders([path])[0]


def spark_folders(paths: Iterable[str]) -> list[Folder]:
    """The folders to which Spark resolves paths: one without a scheme is on the cluster's default file system.

    Local paths become absolute, because executors run in folders of their own. A URL for which this Spark has no file
    system is returned unchanged, because fsspec reads and writes the files. A client of Spark Connect cannot find out
    the cluster's default file system: there a path needs a scheme, `file:` if both share a disk.

    Raises
    ------
    InputError
        If a path is empty.
    SetupError
        If there is no such file system, or if a scheme is missing where one is needed.
    """
    given = [Folder(path) for path in paths]
    if is_remote():
        return [_client_folder(folder) for folder in given]
    # Looked up once: each attribute is a request to the JVM, and there may be hundreds of paths.
    path_class, configuration = jvm_of(get_spark()).org.apache.hadoop.fs.Path, _configuration()
    current = _current_folder(configuration) if any(not is_url(folder.url) for folder in given) else ""
    return [_driver_folder(folder, current, path_class, configuration) for folder in given]


def _client_folder(folder: Folder) -> Folder:
    if is_remote_client() and not is_url(folder.url):
        raise SetupError(
            "Over Spark Connect a path must have a scheme that client and server share, like s3://bucket/folder or "
            f"file:/shared/folder. Got '{folder.url}'."
        )
    return folder.absolute_folder()


def _current_folder(configuration: JavaObject) -> str:
    """The folder to which Spark's relative paths are relative, as a URL."""
    file_system = jvm_of(get_spark()).org.apache.hadoop.fs.FileSystem
    try:
        current = file_system.get(configuration).getWorkingDirectory().toString()
    except Py4JJavaError as error:
        raise SetupError(f"Spark's default file system cannot be reached: {_problem(error)}.") from error
    # With LC_ALL=C Java reads letters like è in the name of its working directory as question marks.
    garbled = current.startswith("file:") and not os.path.isdir(current.removeprefix("file:"))
    return f"file:{os.getcwd()}" if garbled else current


def _driver_folder(folder: Folder, current: str, path_class: JavaClass, configuration: JavaObject) -> Folder:
    path = folder.url
    if not is_url(path):
        root = current if not path.startswith("/") else re.sub(r"^([^:/]+:(//[^/]*)?)/.*", r"\1", current)
        # Joined here: Hadoop parses a name with a colon as a URL.
        path = f"{root.rstrip('/')}/{path.lstrip('/')}"
    if path.startswith("file:"):
        local = Folder(path).absolute_folder()
        # Hadoop removes '..' before it follows links, so they are followed here.
        return local.resolved() if "/.." in local.url else local
    try:
        hadoop = path_class(path)
        return Folder(hadoop.getFileSystem(configuration).makeQualified(hadoop).toString())
    except Py4JJavaError as error:
        if is_url(folder.url):
            return folder
        raise SetupError(f"'{folder.url}' is on a file system that Spark cannot reach: {_problem(error)}.") from error


def spark_path(folder: Folder) -> str:
    """The folder's path for Spark's own readers and writers, which go through Hadoop.

    A local path keeps its `file:`, because another file system may be the default. A path on S3 gets whichever of the
    schemes `s3`, `s3a` and `s3n` this Hadoop knows.

    Raises
    ------
    SetupError
        If Hadoop has no such file system, or if Java cannot represent the path.
    """
    if folder.is_local:
        _require_java_name(folder.path())
        return f"file:{folder.path()}"
    scheme, _, rest = folder.url.partition(":")
    if is_remote():
        return folder.url
    problems = []
    for name in dict.fromkeys([scheme, *(_S3 if scheme in _S3 else ())]):
        try:
            jvm_of(get_spark()).org.apache.hadoop.fs.FileSystem.getFileSystemClass(name, _configuration())
            return f"{name}:{rest}"
        except Py4JJavaError as error:
            problems.append(_problem(error))
    raise SetupError(
        f"'{folder.url}' is on a file system that Spark does not support: {problems[0]}. Start Spark with its "
        "package (hadoop-aws for S3, in the version of Spark's Hadoop), or name another folder."
    )


def _require_java_name(path: str) -> None:
    """Raise `SetupError` if Java would replace some of a path's characters with question marks."""
    if path.isascii() or is_remote():
        return
    encoding = jvm_of(get_spark()).java.lang.System.getProperty("sun.jnu.encoding")
    if not _can_encode(encoding, path):
        remedy = "Start Spark with LC_ALL=C.UTF-8, or name another folder"
        if not _can_encode("utf-8", path):
            remedy = "Rename it"
        shown = path.encode("utf-8", "replace").decode()
        raise SetupError(
            f"'{shown}' must be a path that Spark's Java can represent. Java's encoding, {encoding}, cannot. {remedy}."
        )


def _can_encode(encoding: str, text: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    except LookupError:
        pass  # Java's name of the encoding is unknown to Python
    return True


def _configuration() -> JavaObject:
    return get_spark().sparkContext._jsc.hadoopConfiguration()


def _problem(error: Py4JJavaError) -> str:
    return str(error.java_exception).splitlines()[0].rstrip(".")


def glob_escaped(path: str) -> str:
    """The path with its glob characters escaped, so that Spark's readers take it literally.

    Examples
    --------
    >>> print(glob_escaped("part[1].parquet"))
    part\\[1\\].parquet
    """
    return re.sub(r"([\[\]{}*?\\])", r"\\\1", path)
