"""Columns that kernels of Arrow arrays make of one column of a DataFrame, whose other columns stay where they are."""

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
from sentispark.spark.udf import array_udf, as_array, taken_as

__all__ = ["keep_recipes", "with_columns"]

Kernel = Callable[[pa.Array], Sequence[pa.Array]]

# Where a DataFrame keeps how `with_columns` made its columns; what is made of it by other means has no such attribute.
_RECIPES = "_sentispark_recipes"


def with_columns(
    dataset: DataFrame, column: str, fields: Sequence[StructField], kernel: Kernel, *, deterministic: bool = True
) -> DataFrame:
    """The DataFrame with the kernel's columns, whose names must be new, after its own.

    What is computed and what is moved follows what is asked for: of a table's columns Spark reads those that a query
    names, and sends to Python the one that the kernel takes.

    Where this function made that column, too, the new ones are made of what that was made of, in the same visit to
    Python: a pipeline of our stages sends each text there once, and of its sequence nothing comes back unless somebody
    asks for it. A DataFrame that is cached by then is read from its cache.

    Parameters
    ----------
    dataset : DataFrame
    column : str
        What the kernel takes.
    fields : sequence of StructField
        Names and types of the new columns.
    kernel : callable
        From the column's array to those of the new columns, all of one length. Texts come as strings. Runs on
        executors, so it must not refer to Spark.
    deterministic : bool
        False for a kernel so dear that Spark must never run it twice for a row; see `array_udf`.
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
    """The result, all of whose columns that have a name of the dataset's are the dataset's."""
    setattr(result, _RECIPES, _recipes_of(dataset))
    return result


def _recipes_of(dataset: DataFrame) -> Mapping[str, _Recipe]:
    level = dataset.storageLevel
    # Not by getattr: a DataFrame takes an attribute that it does not have for a column, Connect's since 4.3 any.
    return {} if level.useMemory or level.useDisk else vars(dataset).get(_RECIPES, {})


@dataclasses.dataclass(frozen=True)
class _Step:
    """A kernel and which of its arrays is meant; kernels of one key are the same."""

    key: str
    kernel: Kernel
    place: int


def _steps(kernel: Kernel, count: int) -> list[_Step]:
    key = uuid.uuid4().hex
    return [_Step(key, kernel, place) for place in range(count)]


@dataclasses.dataclass(frozen=True)
class _Recipe:
    """How a column is made: the column that goes to Python, its types in Spark and there, and the steps it takes."""

    source: str
    kind: DataType
    arrow_kind: pa.DataType
    steps: tuple[_Step, ...] = ()

    @classmethod
    def of(cls, dataset: DataFrame, column: str) -> _Recipe:
        kind = type_of(dataset, column)
        _, sent = taken_as(F.col(quoted(column)), kind)
        return cls(column, kind, to_arrow_type(sent))

    def column(self, field: StructField, *, deterministic: bool) -> Column:
        """The column, to be selected from a DataFrame with the source."""
        make = functools.partial(_made, kind=self.arrow_kind, steps=self.steps)
        udf = array_udf(make, field.dataType, deterministic=deterministic)
        return udf(taken_as(F.col(quoted(self.source)), self.kind)[0])


class _Batch:
    """What was made of the batch at hand, in a Python worker: several columns of it share what they are made of.

    The batch is held until the next one comes, so that none of another task can be taken for it.
    """

    def __init__(self) -> None:
        self._of: Any = None
        self._made: dict[tuple[str | int, ...], Any] = {}

    def made(self, values: Any, kind: pa.DataType, steps: Sequence[_Step]) -> pa.Array:
        """The array of the last step."""
        if not _same(self._of, values):
            self._of, self._made = values, {}
        way: tuple[str | int, ...] = ()
        array = self._once(way, functools.partial(as_array, values, kind))
        for step in steps:
            arrays = self._once((*way, step.key), functools.partial(step.kernel, array))
            array, way = arrays[step.place], (*way, step.key, step.place)
        return array

    def _once(self, way: tuple[str | int, ...], make: Callable[[], Any]) -> Any:
        if way not in self._made:
            self._made[way] = make()
        return self._made[way]


def _same(one: Any, other: Any) -> bool:
    """Whether two columns that are made of one got these: the same series or, on Spark 4, the same memory as arrays."""
    return one is other or (isinstance(one, pa.Array) and isinstance(other, pa.Array) and _place(one) == _place(other))


def _place(array: pa.Array) -> tuple[Any, ...]:
    addresses = [buffer and buffer.address for buffer in array.buffers()]
    return array.type, array.offset, len(array), addresses


_batch = _Batch()


# Tasks find this function by its name, so all that run in a worker share the batch at hand.
def _made(values: Any, *, kind: pa.DataType, steps: Sequence[_Step]) -> pa.Array:
    task = TaskContext.get()
    _tidy_for(task.taskAttemptId() if task else None)
    return _batch.made(values, kind, steps)


@functools.lru_cache(maxsize=1)
def _tidy_for(task: int | None) -> None:
    tidy_worker()
