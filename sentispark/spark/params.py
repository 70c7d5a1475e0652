"""Spark Params derived from options classes, and a keyword constructor for every stage that has them."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
from pyspark.ml.param import Param, Params
from pyspark.ml.param.shared import HasInputCol, HasOutputCol
from pyspark.sql import DataFrame
from pyspark.sql.types import DataType

from sentispark.errors import InputError, OptionError
from sentispark.options import NONE, Rule, camel_case, options_of

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = [
    "ColumnStage",
    "KeywordParams",
    "converter",
    "names_of",
    "options_from",
    "params_from",
    "quoted",
    "require_columns",
    "require_new_columns",
    "type_of",
]

Stage = TypeVar("Stage", bound="KeywordParams")
Model = TypeVar("Model", bound=Params)
Options = TypeVar("Options")


class KeywordParams(Params):
    """A stage whose constructor and `setParams` take its Params by name; unknown names get a hint."""

    # Both are replaced by the decorator below.
    _defaults: ClassVar[Mapping[str, Any]] = {}
    __signature__: ClassVar[inspect.Signature]

    def __init__(self, **params: Any) -> None:
        super().__init__()
        self._setDefault(**self._defaults)
        self.setParams(**params)

    def setParams(self, **params: Any) -> Self:
        """Set several Params by name."""
        for name in params:
            if not self.hasParam(name):
                close = difflib.get_close_matches(name, [param.name for param in self.params], n=1)
                hint = f" Did you mean '{close[0]}'?" if close else ""
                raise OptionError(f"'{name}' is not a Param of {type(self).__name__}.{hint}")
        return self._set(**params)

    def _fitted(self, model: Model) -> Model:
        """The model with the Param values and the uid of this estimator, so that its Params address the model's too."""
        return self._copyValues(model._resetUid(self.uid))


class ColumnStage(KeywordParams, HasInputCol, HasOutputCol):
    """A stage that reads one column and adds another."""

    def setInputCol(self, value: str) -> Self:
        """Name the column that is read."""
        return self._set(inputCol=value)

    def setOutputCol(self, value: str) -> Self:
        """Name the column that is added."""
        return self._set(outputCol=value)


def params_from(
    *options_classes: type, only: Sequence[str] = (), **defaults: Any
) -> Callable[[type[Stage]], type[Stage]]:
    """A class decorator: each option becomes a camelCase Param with getter, setter, rule and default.

    Parameters
    ----------
    *options_classes : type
        Dataclasses of options (see `sentispark.options`).
    only : sequence of str
        The options to use; by default all.
    **defaults : Any
        Defaults of Params that the class inherits, such as `inputCol`.
    """

    def decorate(stage_class: type[Stage]) -> type[Stage]:
        stage_defaults = {**stage_class._defaults, **defaults}
        for field in (field for options_class in options_classes for field in options_of(options_class)):
            if not only or field.name in only:
                name = camel_case(field.name)
                _add_param(stage_class, field, name)
                stage_defaults[name] = NONE if field.default is None else _plain(field.default)
        stage_class._defaults = stage_defaults
        stage_class.__signature__ = _signature(stage_class)
        return stage_class

    return decorate


def options_from(stage: Params, options_class: type[Options], **others: Any) -> Options:
    """The options object with the values of a stage's Params; `others` are values of further options."""
    values = {
        field.name: _option_value(field, stage.getOrDefault(camel_case(field.name)))
        for field in options_of(options_class)
        if field.name not in others and stage.hasParam(camel_case(field.name))
    }
    return options_class(**values, **others)


def quoted(column: str) -> str:
    """The name of a column in backticks, so that Spark takes it literally.

    Examples
    --------
    >>> quoted("a.b")
    '`a.b`'
    """
    return "`" + column.replace("`", "``") + "`"


def names_of(dataset: DataFrame) -> list[str]:
    """The names of the columns. PySpark 3.5's own `columns` fails if one of them is a calendar interval."""
    java = vars(dataset).get("_jdf")  # not over Spark Connect
    return dataset.columns if java is None else list(java.columns())


def type_of(dataset: DataFrame, column: str) -> DataType:
    """The type of a column that `require_columns` has found."""
    return dataset.select(quoted(column)).schema.fields[0].dataType


def require_columns(dataset: DataFrame, *columns: str, stage: Params) -> None:
    """Raise `InputError` naming the first column that the DataFrame lacks, or has more than once."""
    names = names_of(dataset)
    for column in columns:
        if column not in names:
            raise InputError(f"{type(stage).__name__} needs a column '{column}'. The DataFrame has {', '.join(names)}.")
        alike = [name for name in names if name.lower() == column.lower()]
        if names.count(column) > 1 or (len(alike) > 1 and not _is_case_sensitive(dataset)):
            raise InputError(
                f"{type(stage).__name__} needs one column '{column}'. The DataFrame has {', '.join(alike)}. "
                "Rename or drop the others."
            )


def _is_case_sensitive(dataset: DataFrame) -> bool:
    return dataset.sparkSession.conf.get("spark.sql.caseSensitive") == "true"


def require_new_columns(dataset: DataFrame, *params: str, stage: Params, optional: bool = False) -> None:
    """Raise `InputError` unless the columns that a stage adds are new to the DataFrame and have different names.

    Parameters
    ----------
    dataset : DataFrame
    *params : str
        The Params that name the columns.
    stage : Params
    optional : bool
        Whether a name may be empty, which leaves its column out.
    """
    taken = {column.lower(): "The DataFrame has it" for column in names_of(dataset)}  # as Spark compares names
    for param in params:
        column = stage.getOrDefault(param)
        if not column and not optional:
            raise InputError(f"'{param}' of {type(stage).__name__} must name a column. It is empty.")
        if column.lower() in taken:
            raise InputError(
                f"{type(stage).__name__} adds a column '{column}', which must be new. {taken[column.lower()]}. "
                f"Set '{param}' to another name."
            )
        if column:
            taken[column.lower()] = f"'{param}' names it too"


def converter(name: str, rule: Rule, *, default: Any = None) -> Callable[[Any], Any]:
    """A Param's type converter: the value in a form that JSON can hold, as a float if the default is one.

    The converter raises `OptionError` for a value that breaks the rule.
    """

    def convert(value: Any) -> Any:
        value = _plain(value)
        if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        rule.check(None if rule.optional and value == NONE else value, name=name)
        return value

    return convert


def _add_param(stage_class: type[KeywordParams], field: dataclasses.Field[Any], name: str) -> None:
    def get(self: Params) -> Any:
        return self.getOrDefault(name)

    def set_(self: Params, value: Any) -> Params:
        return self._set(**{name: value})

    capital = name[0].upper() + name[1:]
    get.__doc__ = set_.__doc__ = field.metadata["doc"]
    convert = converter(name, field.metadata["rule"], default=field.default)
    setattr(stage_class, name, Param(Params._dummy(), name, field.metadata["doc"], convert))
    for method, function in ((f"get{capital}", get), (f"set{capital}", set_)):
        if method not in vars(stage_class):  # a class may define its own
            setattr(stage_class, method, function)


def _signature(stage_class: type[KeywordParams]) -> inspect.Signature:
    names = sorted(name for name in dir(stage_class) if isinstance(getattr(stage_class, name), Param))
    return inspect.Signature(
        [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=stage_class._defaults.get(name))
            for name in names
        ]
    )


def _plain(value: Any) -> Any:
    """The value as JSON can hold it: NumPy numbers as Python's, tuples as lists."""
    if isinstance(value, np.generic):
        return value.item()
    return list(value) if isinstance(value, tuple) else value


def _option_value(field: dataclasses.Field[Any], value: Any) -> Any:
    """A Param's value as the option has it."""
    if field.metadata["rule"].optional and value in (NONE, ""):  # older saved stages have an empty string
        return None
    return tuple(value) if isinstance(value, list) else value
