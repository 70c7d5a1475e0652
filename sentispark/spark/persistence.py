"""Saving and loading of stages that hold more than Params: Spark ML's metadata, and files beside it."""

from __future__ import annotations

import re
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.ml.util import DefaultParamsReader, DefaultParamsWriter, MLReadable, MLReader, MLWritable, MLWriter

from sentispark.errors import SetupError
from sentispark.files import Folder
from sentispark.spark.session import get_spark

__all__ = ["FilesReadable", "FilesWritable", "literally", "spark_folder"]


def spark_folder(path: str) -> Folder:
    """The folder that Spark means by a path: one without a scheme is on the cluster's default file system.

    Local paths become absolute, as executors run in folders of their own. A URL that this Spark has no file system for
    is taken as it is: what reads and writes files here is fsspec.
    """
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


class FilesWritable(MLWritable):
    """A stage whose `_save_files(folder)` writes what its Params do not hold; never a pickle."""

    def write(self) -> MLWriter:
        """A writer: `.overwrite().save(path)`."""
        return _FilesWriter(self)

    def _save_files(self, folder: Folder) -> None:
        raise NotImplementedError


class FilesReadable(MLReadable):
    """A stage whose `_load_files(folder)` reads what `_save_files` wrote; its constructor needs no argument."""

    @classmethod
    def read(cls) -> MLReader:
        """A reader: `.load(path)`."""
        return _FilesReader(cls)

    def _load_files(self, folder: Folder) -> None:
        raise NotImplementedError


class _FilesWriter(MLWriter):
    def __init__(self, stage: Any) -> None:
        super().__init__()
        self.stage = stage

    def saveImpl(self, path: str) -> None:
        DefaultParamsWriter.saveMetadata(self.stage, path, self.sc)
        self.stage._save_files(spark_folder(path))


class _FilesReader(MLReader):
    def __init__(self, stage_class: type) -> None:
        super().__init__()
        self.stage_class = stage_class

    def load(self, path: str) -> Any:
        expected = f"{self.stage_class.__module__}.{self.stage_class.__name__}"
        metadata = DefaultParamsReader.loadMetadata(path, self.sc, expected)
        stage = self.stage_class()
        stage._resetUid(metadata["uid"])
        DefaultParamsReader.getAndSetParams(stage, metadata)
        stage._load_files(spark_folder(path))
        return stage
