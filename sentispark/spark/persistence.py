"""Saving and loading of stages that hold more than Params: Spark ML's metadata, and files beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pyspark.ml.util import DefaultParamsReader, DefaultParamsWriter, MLReadable, MLReader, MLWritable, MLWriter
from pyspark.sql.utils import is_remote

from sentispark.errors import DatasetError
from sentispark.files import Folder
from sentispark.spark.folders import spark_folder

__all__ = ["FilesReadable", "FilesWritable", "read_metadata"]


class FilesWritable(MLWritable):
    """A stage whose `_save_files(folder)` writes what its Params do not hold; never a pickle."""

    def write(self) -> MLWriter:
        """A writer: `.overwrite().save(path)`."""
        return _FilesWriter(self)

    def _save_files(self, folder: Folder) -> None:
        """Nothing, for a stage that Params are all of."""


class FilesReadable(MLReadable):
    """A stage whose `_load_files(folder)` reads what `_save_files` wrote; its constructor needs no argument.

    Attributes
    ----------
    before : mapping of str to value
        What younger Params stand for where a saved stage lacks them.
    """

    before: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def read(cls) -> MLReader:
        """A reader: `.load(path)`."""
        return _FilesReader(cls)

    def _load_files(self, folder: Folder) -> None:
        """The counterpart of `_save_files`."""


class _FilesWriter(MLWriter):
    def __init__(self, stage: Any) -> None:
        super().__init__()
        self.stage = stage

    def saveImpl(self, path: str) -> None:
        DefaultParamsWriter.saveMetadata(self.stage, path, self.sparkSession if is_remote() else self.sc)
        self.stage._save_files(spark_folder(path))

    def _handleOverwrite(self, path: str) -> None:
        if is_remote():  # PySpark's way goes through the JVM
            spark_folder(path).remove()
        else:
            super()._handleOverwrite(path)


class _FilesReader(MLReader):
    def __init__(self, stage_class: type) -> None:
        super().__init__()
        self.stage_class = stage_class

    def load(self, path: str) -> Any:
        folder, expected = spark_folder(path), f"{self.stage_class.__module__}.{self.stage_class.__name__}"
        metadata = read_metadata(folder)
        if metadata["class"] != expected:
            raise DatasetError(f"'{path}' must hold a saved {expected}. It holds a {metadata['class']}.")
        stage = self.stage_class()
        stage._resetUid(metadata["uid"])
        try:
            DefaultParamsReader.getAndSetParams(stage, metadata)
        except (AttributeError, ValueError, TypeError) as error:
            raise DatasetError(f"'{path}' must hold Params that a {expected} has. It does not: {error}.") from error
        params = {**metadata["defaultParamMap"], **metadata["paramMap"]}
        stage._set(**{name: value for name, value in stage.before.items() if name not in params})
        stage._load_files(folder)
        return stage


def read_metadata(folder: Folder) -> dict[str, Any]:
    """What Spark ML has written about a saved stage, read without Spark. Raises `DatasetError` if there is none."""
    metadata = folder.child("metadata")
    lines = [metadata.read(part) for part in metadata.names() if part.startswith("part-")]
    try:
        content = json.loads(b"".join(lines))
        missing = {"class", "uid", "paramMap", "defaultParamMap"} - set(content)
    except (ValueError, TypeError) as error:
        raise DatasetError(f"'{folder.url}' must be a saved stage of Spark ML. It is none, or damaged.") from error
    if missing:
        raise DatasetError(f"'{folder.url}' must be a saved stage. Its metadata lack {', '.join(sorted(missing))}.")
    return content
