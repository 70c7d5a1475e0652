"""Whether an output can be written by those who will write it, tried before the work: at its end it would be lost."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

from sentispark.errors import SentisparkError, SetupError, sentence_of
from sentispark.files import Folder
from sentispark.spark.causes import causes_told
from sentispark.spark.folders import spark_path
from sentispark.spark.session import jvm_of, shares_this_machine, task_cores

__all__ = ["require_spark_writes", "require_tasks_write"]

TRIED = "_tried"

# Enough to come to all hosts of a cluster of usual size, few enough to take no time.
_MOST_TASKS = 64


def require_tasks_write(spark: SparkSession, draft: Folder, *, output: str) -> None:
    """Return if what Python tasks write into a draft is found there by the driver.

    Parameters
    ----------
    spark : SparkSession
    draft : Folder
    output : str
        What an error calls it.

    Raises
    ------
    SetupError
        If something else is found there, or nothing.
    """
    if shares_this_machine(spark):
        return  # the draft was tried by this process, and theirs are its children
    tried, tasks = draft.child(TRIED), min(task_cores(spark), _MOST_TASKS)

    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for number in batch.column(0).to_pylist():
                tried.write(f"part-{number}", b"")
            yield batch.slice(0, 0)

    with _tried(tried, output, tasks):
        spark.range(0, tasks, 1, tasks).mapInArrow(write, "id long").collect()


def require_spark_writes(spark: SparkSession, draft: Folder, *, output: str) -> None:
    """Return if what Spark itself writes into a draft, through Hadoop, is found there by Python; see above."""
    tried, path = draft.child(TRIED), f"{spark_path(draft)}/{TRIED}"
    if draft.is_local and shares_this_machine(spark) and not is_remote():
        with _tried(tried, output, 1):  # a job would take longer
            hadoop = jvm_of(spark).org.apache.hadoop.fs.Path(f"{path}/part-0")
            hadoop.getFileSystem(spark.sparkContext._jsc.hadoopConfiguration()).create(hadoop).close()
    else:
        tasks = 1 if is_remote() else min(task_cores(spark), _MOST_TASKS)
        with _tried(tried, output, tasks):
            spark.range(0, tasks, 1, tasks).write.mode("append").parquet(path)


@contextlib.contextmanager
def _tried(folder: Folder, output: str, files: int) -> Iterator[None]:
    """A block in which so many files come into a folder; at its end they are looked for, and removed."""
    try:
        with causes_told():
            yield
        found = sum(name.startswith("part-") for name in folder.names())
    except (OSError, SentisparkError) as error:
        raise SetupError(
            f"'{output}' must be a place that Spark can write to. It is not: {sentence_of(error)} Name another output."
        ) from error
    if found != files:
        raise SetupError(
            f"'{output}' must be a folder that the driver and all executors share. Of {files} files that Spark has "
            f"written there the driver finds {found}. Name one on HDFS, an object store or a shared disk."
        )
    folder.remove()
