"""Options declared once: a dataclass field with default, rule and doc; flags, Spark Params and the docs derive from it.

An *options class* is a frozen dataclass whose fields are made by `option`. `check` checks the values against
their rules; `sentispark.spark.params` turns the fields into Spark Params, `sentispark.jobs.flags` into
command-line flags, and `sentispark.jobs.options_page` into `docs/options.md`.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterator
from typing import Any, TypeGuard

from sentispark.errors import OptionError

__all__ = [
    "NONE",
    "Rule",
    "any_of",
    "at_least",
    "between",
    "boolean",
    "camel_case",
    "check",
    "flag_name",
    "list_of",
    "one_of",
    "option",
    "optional",
    "options_of",
    "seed_rule",
    "text",
]

# How None is written on the command line and in Spark Params.
NONE = "none"


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a value must be, in words and as a predicate.

    Attributes
    ----------
    words : str
        Completes the sentence `'batchSize' must be …`.
    holds : callable
        Whether a value follows the rule.
    choices : tuple of str
        The allowed words, if the rule is a choice among words.
    optional : bool
        Whether None is allowed too.
    """

    words: str
    holds: Callable[[Any], bool]
    choices: tuple[str, ...] = ()
    optional: bool = False

    def check(self, value: Any, *, name: str) -> None:
        """Raise `OptionError` if the value breaks the rule; `name` is the option's name as the user typed it."""
        if not self.holds(value):
            raise OptionError(f"'{name}' must be {self.words}. Got {value!r}.")


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_whole(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def at_least(low: int, *, most: int | None = None) -> Rule:
    """A whole number from `low` up, to `most` if that is given."""
    words = f"a whole number of at least {low}" + ("" if most is None else f" and at most {most}")
    return Rule(words, lambda value: _is_whole(value) and value >= low and (most is None or value <= most))


def seed_rule() -> Rule:
    """A seed that NumPy, torch and Spark all accept."""
    return at_least(0, most=2**31 - 1)


def between(low: float, high: float, *, open_low: bool = False, open_high: bool = False) -> Rule:
    """A number from `low` to `high`; `open_low` and `open_high` exclude that bound."""
    left = f"above {low:g}" if open_low else f"of at least {low:g}"
    right = "" if high == math.inf else f" and {'below' if open_high else 'at most'} {high:g}"

    def holds(value: Any) -> bool:
        if not _is_number(value):
            return False
        above = value > low if open_low else value >= low
        return above and (value < high if open_high else value <= high)

    return Rule(f"a number {left}{right}", holds)


def one_of(*choices: str) -> Rule:
    """One of the given words."""
    words = "one of " * (len(choices) > 1) + ", ".join(choices)
    return Rule(words, lambda value: value in choices, choices)


def boolean() -> Rule:
    """True or false."""
    return Rule("true or false", lambda value: isinstance(value, bool))


def list_of(rule: Rule) -> Rule:
    """A list in which every entry follows `rule`; it may be empty."""
    return Rule(
        f"a list, each entry {rule.words}",
        lambda value: isinstance(value, (list, tuple)) and all(map(rule.holds, value)),
    )


def any_of(*rules: Rule) -> Rule:
    """A value that follows at least one of the rules."""
    return Rule(" or ".join(rule.words for rule in rules), lambda value: any(rule.holds(value) for rule in rules))


def text() -> Rule:
    """Any text."""
    return Rule("a string", lambda value: isinstance(value, str))


def optional(rule: Rule) -> Rule:
    """A value that follows the rule, or None, which is written "none" on the command line and in Spark Params."""
    return Rule(f"{rule.words} or none", lambda value: value is None or rule.holds(value), optional=True)


def option(default: Any, rule: Rule, doc: str, *, flag: str | None = None) -> Any:
    """A dataclass field that carries its rule and its doc.

    Parameters
    ----------
    default : immutable value
    rule : Rule
    doc : str
        One line for `--help`, the Param's doc and the options page; it names the unit if there is one.
    flag : str, optional
        The command-line flag, if it is not the field's name with dashes.
    """
    return dataclasses.field(default=default, metadata={"rule": rule, "doc": doc, "flag": flag})


def options_of(options_class: type) -> Iterator[dataclasses.Field[Any]]:
    """The fields of an options class that were made by `option`, in declaration order."""
    return (field for field in dataclasses.fields(options_class) if "rule" in field.metadata)


def camel_case(name: str) -> str:
    """A name in the form of Spark's Params.

    >>> camel_case("micro_batch_size")
    'microBatchSize'
    """
    return re.sub(r"_(\w)", lambda match: match.group(1).upper(), name)


def flag_name(field: dataclasses.Field[Any]) -> str:
    """The option's command-line flag: `--batch-size` for `batch_size`, unless the declaration names another."""
    return field.metadata["flag"] or "--" + field.name.replace("_", "-")


def check(options: Any) -> None:
    """Check every value of an options object against its rule.

    Raises
    ------
    OptionError
        With the name of the first option that breaks its rule, the rule and the value.
    """
    for field in options_of(type(options)):
        field.metadata["rule"].check(getattr(options, field.name), name=field.name)
