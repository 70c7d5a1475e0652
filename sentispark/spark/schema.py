"""The column types that stages accept, checked on the driver before a job, as Spark ML's `transformSchema` does."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pyspark.ml.param import Params
from pyspark.sql import DataFrame
from pyspark.sql.types import ArrayType, BooleanType, DataType, IntegralType, NumericType, StringType

from sentispark.errors import InputError
from sentispark.spark.params import require_columns, type_of

__all__ = ["FLAGS", "IDS", "LABELS", "TEXTS", "WEIGHTS", "WORDS", "Kind", "require_column"]


class Kind(NamedTuple):
    """What a column must hold, in words (`Column 'text' must hold <words>`) and as a test, and the advice if not."""

    words: str
    holds: Callable[[DataType], bool]
    advice: str


def _array_of(element: type[DataType]) -> Callable[[DataType], bool]:
    return lambda kind: isinstance(kind, ArrayType) and isinstance(kind.elementType, element)


TEXTS = Kind("strings", lambda kind: isinstance(kind, StringType), "Name the column of the texts, or cast it.")
WORDS = Kind("arrays of strings", _array_of(StringType), "Split texts into words with ReviewTokenizer first.")
IDS = Kind("arrays of token ids", _array_of(IntegralType), "Encode texts with ReviewEncoder first.")
LABELS = Kind("numbers or booleans", lambda kind: isinstance(kind, (NumericType, BooleanType)), "Cast it to double.")
WEIGHTS = Kind("numbers", lambda kind: isinstance(kind, NumericType), "Cast it to double.")
FLAGS = Kind("booleans", lambda kind: isinstance(kind, BooleanType), "Make it true for the validation rows.")


def require_column(dataset: DataFrame, column: str, kind: Kind, *, stage: Params) -> None:
    """Raise `InputError` unless the DataFrame has that column and its type is of that kind."""
    require_columns(dataset, column, stage=stage)
    found = type_of(dataset, column)
    if not kind.holds(found):
        raise InputError(f"Column '{column}' must hold {kind.words}. It holds {found.simpleString()}. {kind.advice}")
