"""Command-line flags from options classes, and options objects from parsed flags."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

from sentispark.errors import OptionError
from sentispark.options import NONE, flag_name, options_of

__all__ = ["add_flags", "add_session_flags", "options_from_flags"]


def add_flags(parser: argparse.ArgumentParser, options_class: type, *, without: tuple[str, ...] = ()) -> None:
    """Add a flag for each option to a parser, with its rule, doc and default."""
    group = parser.add_argument_group((options_class.__doc__ or "").splitlines()[0].rstrip("."))
    for field in options_of(options_class):
        if field.name in without:
            continue
        shown: dict[str, Any] = {
            "help": f"{field.metadata['doc']} (default: {_shown(field.default)})",
            "default": field.default,
        }
        if isinstance(field.default, bool):
            group.add_argument(flag_name(field), dest=field.name, action=argparse.BooleanOptionalAction, **shown)
        else:
            choices = field.metadata["rule"].choices
            metavar = "{" + ",".join(choices) + "}" if choices else field.name.rsplit("_", 1)[-1].upper()
            group.add_argument(flag_name(field), dest=field.name, metavar=metavar, type=_parser_of(field), **shown)


def add_session_flags(parser: argparse.ArgumentParser, *, nested: bool = False) -> None:
    """Add the flags that all commands share to a parser.

    Parameters
    ----------
    parser : ArgumentParser
    nested : bool
        Whether the parser belongs to a sub-command of a command that has these flags too. The sub-command then sets no
        defaults, which would override flags given before its name.
    """
    parser.add_argument(
        "--master",
        default=argparse.SUPPRESS if nested else None,
        help="Spark master (default: from Spark's configuration, or local[*])",
    )
    unset = argparse.SUPPRESS if nested else False
    parser.add_argument(
        "--quiet",
        action="store_true",
        default=unset,
        help="print only the line of JSON or the error",
    )
    parser.add_argument(
        "--verbose",
        action="store_true",
        default=unset,
        help="print tracebacks and Spark's error log",
    )


def options_from_flags(flags: argparse.Namespace, options_class: type, **others: Any) -> Any:
    """The options object that the flags describe; `others` are the values of options without a flag."""
    names = [field.name for field in options_of(options_class) if field.name not in others]
    return options_class(**{name: getattr(flags, name) for name in names}, **others)


def _parser_of(field: dataclasses.Field[Any]) -> Callable[[str], Any]:
    """A parser of an option's value; it raises argparse's error, with the rule, for a value that breaks it."""

    def parse(text: str) -> Any:
        value = _value_of(field, text)
        try:
            field.metadata["rule"].check(value, name=flag_name(field))
        except OptionError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
        return value

    return parse


def _value_of(field: dataclasses.Field[Any], text: str) -> Any:
    """The text as a value of the option's type; lists are separated by commas, `none` is None or an empty list."""
    if field.metadata["rule"].optional and text == NONE:
        return None
    if isinstance(field.default, tuple):
        return tuple(_number(part) for part in text.split(",") if part and part != NONE)
    if isinstance(field.default, (int, float)):
        return _number(text)
    holds, words = field.metadata["rule"].holds, tuple(part for part in text.split(",") if part)
    number = _number(text)
    if not isinstance(number, str) and holds(number):
        return number
    return words if holds(words) and not holds(text) else text


def _number(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return ",".join(map(str, value)) or NONE
    return NONE if value is None else str(value)
