"""Saving and loading of stages that hold more than Params: Spark ML's metadata, and files next to it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pyspark.ml.param import Params
from pyspark.ml.pipeline import PipelineModel, PipelineSharedReadWrite
from pyspark.ml.util import DefaultParamsReader, DefaultParamsWriter, MLReadable, MLReader, MLWritable, MLWriter

from sentispark.errors import DatasetError, InputError
from sentispark.files import Folder
from sentispark.ownership import require_ours
from sentispark.spark.folders import spark_folder
from sentispark.spark.session import get_spark

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["FilesReadable", "FilesWritable", "read_metadata", "save_pipeline", "save_stage"]

Stage = TypeVar("Stage", bound="FilesReadable")


class FilesWritable(Params, MLWritable):
    """A stage whose `_save_files(folder)` writes the state that is not in its Params; never a pickle."""

    def write(self) -> MLWriter:
        """A writer: `.overwrite().save(path)`."""
        return _FilesWriter(self)

    def _save_files(self, folder: Folder) -> None:
        """Write the files; a stage whose only state is its Params has none."""


class FilesReadable(Params, MLReadable["FilesReadable"]):
    """A stage whose `_load_files(folder)` reads what `_save_files` wrote; its constructor needs no argument.

    Attributes
    ----------
    before : mapping of str to value
        Values of newer Params for saved stages that lack them.
    """

    before: Mapping[str, Any] = MappingProxyType({})

    @classmethod
    def read(cls) -> MLReader[FilesReadable]:
        """A reader: `.load(path)`."""
        return _FilesReader(cls)

    @classmethod
    def load(cls, path: str) -> Self:
        """The stage that was saved under the path.

        Raises
        ------
        DatasetError
            If a stage of another class is there, or a damaged one.
        """
        return _FilesReader(cls).load(path)

    def _load_files(self, folder: Folder) -> None:
        """The counterpart of `_save_files`."""


class _FilesWriter(MLWriter):
    def __init__(self, stage: FilesWritable) -> None:
        super().__init__()
        self.stage = stage

    def saveImpl(self, path: str) -> None:
        folder = spark_folder(path)
        if folder.exists("metadata"):
            raise DatasetError(f"'{path}' already exists. Name another folder or use write().overwrite().save(path).")
        save_stage(self.stage, folder)

    def _handleOverwrite(self, path: str) -> None:
        folder = spark_folder(path)
        if folder.is_file():
            raise DatasetError(f"'{path}' must be a folder. It is a file. Name another path.")
        require_ours(folder)
        folder.remove()


def save_stage(stage: FilesWritable, folder: Folder) -> None:
    """Write a stage into a folder in Spark ML's format, with Python's file access, as for the stage's own files."""
    _save_metadata(stage, folder)
    stage._save_files(folder)


def save_pipeline(pipeline: PipelineModel, folder: Folder) -> None:
    """Write a pipeline of such stages into a folder; `PipelineModel.load` reads it.

    Spark's own `save` goes through Hadoop, which may not support the file system that Python writes to.

    Raises
    ------
    InputError
        If a stage is not one of sentispark's.
    """
    stages = [_our_stage(stage) for stage in pipeline.stages]
    uids = [stage.uid for stage in stages]
    _save_metadata(pipeline, folder, paramMap={"stageUids": uids, "language": "Python"})
    for index, stage in enumerate(stages):
        path = PipelineSharedReadWrite.getStagePath(stage.uid, index, len(uids), "stages")
        save_stage(stage, folder.child(path))


def _our_stage(stage: Params) -> FilesWritable:
    if not isinstance(stage, FilesWritable):
        raise InputError(f"A pipeline must hold only stages of sentispark. It holds a {type(stage).__name__}.")
    return stage


def _save_metadata(stage: Params, folder: Folder, **more: Any) -> None:
    text = DefaultParamsWriter._get_metadata_to_save(stage, get_spark(), **more)
    folder.child("metadata").write("part-00000", f"{text}\n")
    folder.child("metadata").write("_SUCCESS", b"")


class _FilesReader(MLReader[Stage], Generic[Stage]):
    def __init__(self, stage_class: type[Stage]) -> None:
        super().__init__()
        self.stage_class = stage_class

    def load(self, path: str) -> Stage:
        folder, expected = spark_folder(path), f"{self.stage_class.__module__}.{self.stage_class.__name__}"
        metadata = read_metadata(folder)
        if metadata["class"] != expected:
            raise DatasetError(f"'{path}' must hold a saved {expected}. It holds a {metadata['class']}.")
        stage = self.stage_class()
        stage._resetUid(metadata["uid"])
        try:
            DefaultParamsReader.getAndSetParams(stage, metadata)
        except (AttributeError, ValueError, TypeError) as error:
            raise DatasetError(f"'{path}' must hold the Params of a {expected}. It does not: {error}.") from error
        params = {**metadata["defaultParamMap"], **metadata["paramMap"]}
        stage._set(**{name: value for name, value in stage.before.items() if name not in params})
        stage._load_files(folder)
        return stage


def read_metadata(folder: Folder) -> dict[str, Any]:
    """Spark ML's metadata of a saved stage, read without Spark. Raises `DatasetError` if there is none."""
    metadata = folder.child("metadata")
    lines = [metadata.read(part) for part in metadata.names() if part.startswith("part-")]
    try:
        content: dict[str, Any] = json.loads(b"".join(lines))
        missing = {"class", "uid", "paramMap", "defaultParamMap"} - set(content)
    except (ValueError, TypeError) as error:
        raise DatasetError(f"'{folder.url}' must be a saved stage of Spark ML. It has no readable metadata.") from error
    if missing:
        raise DatasetError(f"'{folder.url}' must be a saved stage. Its metadata lacks {', '.join(sorted(missing))}.")
    return content
