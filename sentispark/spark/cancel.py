"""Jobs of a block, which can be canceled from another thread without ending the session's other jobs."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable, Iterator

from pyspark.sql import SparkSession
from pyspark.sql.utils import is_remote

__all__ = ["cancelable"]


@contextlib.contextmanager
def cancelable(spark: SparkSession) -> Iterator[Callable[[], None]]:
    """A function that cancels the jobs that this thread starts in the block; they are canceled if the block fails."""
    tag = f"sentispark-{uuid.uuid4().hex}"
    if is_remote():
        add, remove = spark.addTag, spark.removeTag
    else:
        add, remove = spark.sparkContext.addJobTag, spark.sparkContext.removeJobTag

    def cancel() -> None:
        if is_remote():
            spark.interruptTag(tag)
        else:
            spark.sparkContext.cancelJobsWithTag(tag)

    add(tag)
    try:
        yield cancel
    except BaseException:
        with contextlib.suppress(Exception):  # the session may be what failed
            cancel()
        raise
    finally:
        with contextlib.suppress(Exception):
            remove(tag)
