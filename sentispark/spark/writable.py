"""Whether tasks and Spark can write an output, tested before the work, whose results would otherwise be lost."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

from sentispark.drafts import scratch
from sentispark.errors import SentisparkError, SetupError, sentence_of
from sentispark.files import Folder
from sentispark.spark.causes import spark_errors_explained
from sentispark.spark.folders import spark_path
from sentispark.spark.session import jvm_of, shares_this_machine, task_cores

__all__ = ["require_spark_writes", "require_tasks_write"]

# Enough to reach all hosts of a typical cluster, and few enough to be quick.
_MAX_TASKS = 64


def require_tasks_write(spark: SparkSession, draft: Folder, *, output: str) -> None:
    """Raise unless the driver finds the files that Python tasks write into a draft.

    Parameters
    ----------
    spark : SparkSession
    draft : Folder
    output : str
        The output's name in errors.

    Raises
    ------
    SetupError
        If the driver finds fewer files, or if they cannot be written.
    """
    if shares_this_machine(spark):
        return  # this process, which started the tasks' processes, has tested the draft
    test_folder, tasks = scratch(draft, _test_name()), min(task_cores(spark), _MAX_TASKS)

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                test_folder.write(f"part-{number}", b"")
            yield batch.slice(0, 0)

    with _test_writes(test_folder, output, tasks):
        spark.range(0, tasks, 1, tasks).mapInArrow(write, "id long").collect()


def require_spark_writes(spark: SparkSession, draft: Folder, *, output: str) -> None:
    """Raise `SetupError` unless Python finds the files that Spark itself writes into a draft, through Hadoop."""
    test_folder = scratch(draft, _test_name())
    path = spark_path(test_folder)
    if draft.is_local and shares_this_machine(spark) and not is_remote():
        with _test_writes(test_folder, output, 1):  # without a job, which would take longer
            hadoop = jvm_of(spark).org.apache.hadoop.fs.Path(f"{path}/part-0")
            hadoop.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()).create(hadoop).close()
    else:
        tasks = 1 if is_remote() else min(task_cores(spark), _MAX_TASKS)
        with _test_writes(test_folder, output, tasks):
            spark.range(0, tasks, 1, tasks).write.mode("append").parquet(path)


def _test_name() -> str:
    return f"tried-{uuid.uuid4().hex[:8]}"


@contextlib.contextmanager
def _test_writes(folder: Folder, output: str, files: int) -> Iterator[None]:
    """A block that writes a number of files into a folder; they are counted after it, and removed."""
    try:
        with spark_errors_explained():
            yield
        found = sum(name.startswith("part-") for name in folder.names())
    except (OSError, SentisparkError) as error:
        raise SetupError(
            f"'{output}' must be a folder that Spark can write to. It is not: {sentence_of(error)} Name another output."
        ) from error
    if found != files:
        raise SetupError(
            f"'{output}' must be a folder that the driver and all executors share. Of {files} files that Spark "
            f"wrote there the driver finds {found}. Name one on HDFS, an object store or a shared disk."
        )
    folder.remove()
