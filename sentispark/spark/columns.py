"""Kernels over Arrow arrays as new columns of a DataFrame; the columns that a kernel does not read stay in the JVM."""

from __future__ import annotations

import dataclasses
import functools
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyspark import TaskContext
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import to_arrow_type
from pyspark.sql.types import DataType, StructField

from sentispark.spark.arrow import tidy_worker
from sentispark.spark.params import quoted, type_of
from sentispark.spark.udf import array_udf, as_array, sent_column

__all__ = ["keep_recipes", "with_columns"]

Kernel = Callable[[pa.Array], Sequence[pa.Array]]

# The attribute of a DataFrame that records how `with_columns` made its columns. A DataFrame that is derived from it by
# other means has no such attribute.
_RECIPES = "_sentispark_recipes"


def with_columns(
    dataset: DataFrame, column: str, fields: Sequence[StructField], kernel: Kernel, *, deterministic: bool = True
) -> DataFrame:
    """The DataFrame's columns followed by the kernel's, whose names must be new.

    Spark computes and moves only what a query asks for: of a table's columns it reads those that the query names, and
    it sends to Python only the one that the kernel takes.

    If that column was made by this function too, the new columns are computed from its source, in the same visit to
    Python: a pipeline of our stages sends each text there once, and its sequence does not come back unless a query asks
    for it. A DataFrame that is cached by then is read from its cache.

    Parameters
    ----------
    dataset : DataFrame
    column : str
        The column that the kernel reads.
    fields : sequence of StructField
        Names and types of the new columns.
    kernel : callable
        From the column's array to the arrays of the new columns, all of the same length. Texts arrive as strings. Runs
        on executors, so it must not refer to Spark.
    deterministic : bool
        False for a kernel so expensive that Spark must never run it twice for a row; see `array_udf`.
    """
    recipes = _recipes_of(dataset)
    made = recipes.get(column) or _Recipe.of(dataset, column)
    new = {
        field.name: dataclasses.replace(made, steps=(*made.steps, step))
        for field, step in zip(fields, _steps(kernel, len(fields)), strict=True)
    }
    columns = [
        recipe.column(field, deterministic=deterministic).alias(field.name)
        for field, recipe in zip(fields, new.values(), strict=True)
    ]
    result = dataset.select("*", *columns)
    setattr(result, _RECIPES, {**recipes, **new})
    return result


def keep_recipes(dataset: DataFrame, result: DataFrame) -> DataFrame:
    """The result, with the recipes of the dataset: columns of the same name must be the same columns."""
    setattr(result, _RECIPES, _recipes_of(dataset))
    return result


def _recipes_of(dataset: DataFrame) -> Mapping[str, _Recipe]:
    level = dataset.storageLevel
    # Not by getattr: a DataFrame resolves a missing attribute as a column, over Connect from 4.3 on whatever its name.
    return {} if level.useMemory or level.useDisk else vars(dataset).get(_RECIPES, {})


@dataclasses.dataclass(frozen=True)
class _Step:
    """A kernel and the index of one of its arrays; steps with the same key have the same kernel."""

    key: str
    kernel: Kernel
    index: int


def _steps(kernel: Kernel, count: int) -> list[_Step]:
    key = uuid.uuid4().hex
    return [_Step(key, kernel, index) for index in range(count)]


@dataclasses.dataclass(frozen=True)
class _Recipe:
    """How a column is made: the source column, its types in Spark and in Python, and the steps applied to it."""

    source: str
    kind: DataType
    arrow_kind: pa.DataType
    steps: tuple[_Step, ...] = ()

    @classmethod
    def of(cls, dataset: DataFrame, column: str) -> _Recipe:
        kind = type_of(dataset, column)
        _, sent = sent_column(F.col(quoted(column)), kind)
        return cls(column, kind, to_arrow_type(sent))

    def column(self, field: StructField, *, deterministic: bool) -> Column:
        """The column, for a `select` from a DataFrame with the source."""
        make = functools.partial(_computed, kind=self.arrow_kind, steps=self.steps)
        udf = array_udf(make, field.dataType, deterministic=deterministic)
        return udf(sent_column(F.col(quoted(self.source)), self.kind)[0])


class _Batch:
    """The intermediate arrays of the current batch in a Python worker, shared by the columns that need them.

    The batch is referenced until the next one arrives, so that no other batch can get its identity or its memory.
    """

    def __init__(self) -> None:
        self._source: Any = None
        self._arrays: dict[tuple[str | int, ...], Any] = {}

    def computed(self, values: Any, kind: pa.DataType, steps: Sequence[_Step]) -> pa.Array:
        """The array of the last step."""
        if not _same(self._source, values):
            self._source, self._arrays = values, {}
        key: tuple[str | int, ...] = ()
        array = self._once(key, functools.partial(as_array, values, kind))
        for step in steps:
            arrays = self._once((*key, step.key), functools.partial(step.kernel, array))
            array, key = arrays[step.index], (*key, step.key, step.index)
        return array

    def _once(self, key: tuple[str | int, ...], compute: Callable[[], Any]) -> Any:
        if key not in self._arrays:
            self._arrays[key] = compute()
        return self._arrays[key]


def _same(one: Any, other: Any) -> bool:
    """Whether both are the values of the same batch: the same series or, on Spark 4, arrays over the same memory."""
    return one is other or (
        isinstance(one, pa.Array) and isinstance(other, pa.Array) and _address(one) == _address(other)
    )


def _address(array: pa.Array) -> tuple[Any, ...]:
    addresses = [buffer and buffer.address for buffer in array.buffers()]
    return array.type, array.offset, len(array), addresses


_batch = _Batch()


# Pickled by name, so that all UDFs in a worker share the current batch.
def _computed(values: Any, *, kind: pa.DataType, steps: Sequence[_Step]) -> pa.Array:
    task = TaskContext.get()
    _tidy_for(task.taskAttemptId() if task else None)
    return _batch.computed(values, kind, steps)


@functools.lru_cache(maxsize=1)
def _tidy_for(task: int | None) -> None:
    tidy_worker()
