"""Blocks of JSON lines to columns of the wanted fields as text; broken lines are kept as they are. Pure."""

from __future__ import annotations

import ast
import json
import re
import uuid
from collections.abc import Sequence
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa

from sentispark.reviews.encoding import marked, replaced_marks, without_surrogates
from sentispark.reviews.formats.json_layout import PYTHON_DICTIONARY

__all__ = ["LineDecoder", "lenient_json", "spelled"]

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Random, so that no file has a field of this name.
_UNUSED_NAME = f"unused {uuid.uuid4().hex}"
# What `spelled` raises for values that cannot be written as JSON: sets, huge numbers, deep nesting.
_UNSPELLABLE = (RecursionError, ValueError, TypeError, OverflowError)


class LineDecoder:
    """Decodes the wanted fields of JSON lines, and no others.

    Parameters
    ----------
    text : str
        The field that should be a string.
    rating : str or None
        The field that should be a number.
    names : sequence of str
        All wanted fields, including these two.
    """

    def __init__(self, text: str, rating: str | None, names: Sequence[str]) -> None:
        self._names = tuple(names)
        slots = [f"field_{number}" for number in range(len(names))]
        types = dict.fromkeys(names, Any) | {text: str | None, rating: bool | int | float | str | None}
        attributes = [(slot, types[name], None) for slot, name in zip(slots, names, strict=True)]
        # msgspec does not support quotes in names: if there are any, all lines are decoded by `json`.
        plain = [name if re.fullmatch(r'[^\\"\x00-\x1f]+', name) else None for name in names]
        self._Line = msgspec.defstruct(
            "Line",
            [*attributes, ("broken", str | None, None), ("replaced", int, 0)],
            rename={
                slot: name or f"{_UNUSED_NAME} ({slot})"
                for slot, name in zip([*slots, "broken", "replaced"], [*plain, None, None], strict=True)
            },
            forbid_unknown_fields=None in plain,
            gc=False,
        )
        self._decode = msgspec.json.Decoder(self._Line).decode
        self._any_broken = self._any_replaced = False
        self._getters = [attrgetter(slot) for slot in slots]

    def lines(self, block: bytes) -> list[Any]:
        """The non-blank lines of a block, decoded, for `columns`."""
        found: list[Any] = []
        raw_lines, skipped = block.splitlines(), 0
        remaining = iter(raw_lines)
        while True:
            try:
                found.extend(map(self._decode, remaining))
                return found
            except (msgspec.MsgspecError, UnicodeError, RecursionError):
                # `found` has the lines before the one that failed.
                decoded = self._leniently(raw_lines[len(found) + skipped])
            found.extend(decoded)
            skipped += 1 - len(decoded)

    def columns(self, lines: Sequence[Any]) -> list[pa.StringArray]:
        """The fields, string arrays of shape (n,), null where a line has none; last, the broken lines."""
        try:
            return self._columns(lines)
        except _UNSPELLABLE:
            return self._columns([self._spellable(line) for line in lines])

    def replaced(self, lines: Sequence[Any]) -> dict[int, int]:
        """The number of characters that replace undecodable bytes, by the index of the line, where there are any."""
        if not self._any_replaced:
            return {}
        return {index: line.replaced for index, line in enumerate(lines) if line.replaced}

    def record(self, value: Any, text: str, replaced: int = 0) -> Any:
        """A parsed value, its spelling in the file and its number of replaced characters, for `columns`."""
        self._any_replaced |= replaced > 0
        try:
            if isinstance(value, dict):
                return self._Line(*(spelled(value.get(name)) for name in self._names), replaced=replaced)
        except _UNSPELLABLE:
            pass
        return self._broken(text, replaced)

    def _columns(self, lines: Sequence[Any]) -> list[pa.StringArray]:
        fields = [_as_text([*map(getter, lines)]) for getter in self._getters]
        broken = [line.broken for line in lines] if self._any_broken else [None] * len(lines)
        return [*fields, pa.array(broken, pa.string())]

    def _broken(self, text: str, replaced: int = 0) -> Any:
        self._any_broken = True
        return self._Line(broken=text, replaced=replaced)

    def _leniently(self, raw: bytes) -> list[Any]:
        """The records of a line that msgspec does not accept; none if the line is blank."""
        text, replaced = replaced_marks(marked(raw.removeprefix(_BYTE_ORDER_MARK), "utf-8"))
        if not text.strip():
            return []
        first, *others = lenient_json(text)
        return [self.record(first, text, replaced), *(self.record(value, text) for value in others)]

    def _spellable(self, line: Any) -> Any:
        values = [getter(line) for getter in self._getters]
        try:
            _as_text(values)
            return line
        except _UNSPELLABLE:
            return self._broken("{…} (a field is nested too deeply, or too long, to be spelled)")


def lenient_json(text: str) -> list[Any]:
    """The values of a line by Python's own parsers: one value, or several adjacent objects; [None] if it is not JSON.

    These also accept NaN, and Python dictionaries with single quotes, as in Amazon's full 2014 files.

    Examples
    --------
    >>> lenient_json("{'stars': 5}"), lenient_json('{"stars": 5}{"stars": 1}'), lenient_json("{")
    ([{'stars': 5}], [{'stars': 5}, {'stars': 1}], [None])
    """
    try:
        return [ast.literal_eval(text) if PYTHON_DICTIONARY.match(text) else json.loads(text)]
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        found: list[Any] = _adjacent_objects(text) or []
        return found or [None]


def _adjacent_objects(text: str) -> list[dict[str, Any]] | None:
    """The objects of a line that lost the line breaks between them; None if there is anything else in it."""
    objects, at = [], 0
    while at < len(text):
        try:
            value, at = json.JSONDecoder().raw_decode(text, at)
        except (ValueError, RecursionError):
            return None
        if not isinstance(value, dict):
            return None
        objects.append(value)
        at += len(text[at:]) - len(text[at:].lstrip())
    return objects


def spelled(value: Any) -> str | None:
    """A field as text: strings as they are, other values as JSON."""
    if value is None:
        return None
    if isinstance(value, str):
        return without_surrogates(value)
    return json.dumps(value)


def _as_text(values: list[Any]) -> pa.StringArray:
    """The values as text."""
    kinds = set(map(type, values))
    if len(kinds) == 1 and kinds <= set(_SPELLED):
        values = [*map(_SPELLED[kinds.pop()].__getitem__, values)]
    elif not kinds <= {str, type(None)}:
        values = [_SPELLED[type(value)][value] if type(value) in _SPELLED else spelled(value) for value in values]
    return pa.array(values, pa.string())


class _Spelled(dict[float, str]):
    """A cache of the spellings of numbers: ratings have few distinct values."""

    def __missing__(self, number: float) -> str:
        if number and len(self) < 1000:  # 0.0 and -0.0 are the same key
            self[number] = json.dumps(number)
        return json.dumps(number)


# By type, because 1 and 1.0 are the same key.
_SPELLED = {int: _Spelled(), float: _Spelled()}
