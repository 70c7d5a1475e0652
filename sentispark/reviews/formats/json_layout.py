"""How a JSON file is laid out: one object per line, or objects that span or share lines. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

__all__ = ["HEAD_BYTES", "PYTHON_DICTIONARY", "is_json_lines", "json_objects", "layout_problem"]

# The layout is detected from this number of bytes at the beginning of a file.
HEAD_BYTES = 64 << 10
# Characters. An object that is longer is broken.
LONGEST_OBJECT = 16 << 20

# Characters: the most between a broken object and the next one.
_EDGE = 64

_BETWEEN = re.compile(r"[\s,\[\]\ufeff]*")
_NEXT_OBJECT = re.compile(r"\}\s*,?\s*(?=\{)")
_OPEN_LINE = re.compile(r'\{\s*("[^"\\]*"\s*:\s*[\[{]?\s*)?$')
_LIST_UNDER_KEY = re.compile(r'\{\s*"([^"\\]*)"\s*:\s*\[\s*\{')
_COLUMNS = re.compile(r'\{\s*"[^"\\]*"\s*:\s*\{\s*"0"\s*:')

_DECODER = json.JSONDecoder()

# The beginning of a line with a Python dictionary, as Python 3 or 2 prints it.
PYTHON_DICTIONARY = re.compile(r"""\s*\{\s*(?:'|[uU]['"])""")


def is_json_lines(head: str) -> bool:
    """Whether a file has one object per line, judging by its beginning.

    A file that is not JSON counts as lines, each of which is then a broken record.

    Examples
    --------
    >>> is_json_lines('{"stars": 5}\\n{"stars": 1}\\n'), is_json_lines('[{"stars": 5}, {"stars": 1}]')
    (True, False)
    """
    head = _from_first(head)
    if head.startswith("["):
        return re.match(r"\[\s*\{", head) is None
    first_line, line_end, more = head.partition("\n")
    if not head.startswith("{") or isinstance(_decoded(first_line), dict):
        return True
    try:
        _, end = _DECODER.raw_decode(head)
    except (ValueError, RecursionError):
        return not (_OPEN_LINE.match(first_line.rstrip()) and _continues(more))
    rest = head[end:].lstrip()
    return end <= len(first_line) and bool(line_end) and not rest.startswith(",")


def layout_problem(head: str, names: Sequence[str]) -> str | None:
    """What a file holds instead of one object per review, and what to do; None if the layout may be right."""
    head = _from_first(head)
    try:
        first, end = _DECODER.raw_decode(head)
    except (ValueError, RecursionError):
        # The object is longer than the head: only its first characters can be matched.
        if _COLUMNS.match(head):
            return _columns_problem()
        under = _LIST_UNDER_KEY.match(head)
        return _nested_problem(under[1]) if under and under[1] not in names else None
    if not isinstance(first, dict):
        return None
    if present := [first[name] for name in names if name in first]:
        of_dicts = all(isinstance(one, dict) and "0" in one for one in present)
        of_lists = all(isinstance(one, list) for one in present) and not head[end:].strip()
        return _columns_problem() if of_dicts or of_lists else None
    for key, value in first.items():
        inside = value[0] if isinstance(value, list) and value else value
        if isinstance(inside, dict) and any(name in inside for name in names):
            return _nested_problem(key if isinstance(value, list) else None)
    return None


def _columns_problem() -> str:
    return (
        "It holds one object of whole columns, the default of pandas. "
        "Write it with to_json(FILE, orient='records', lines=True)."
    )


def _nested_problem(key: str | None) -> str:
    where, path = (f"in a list under '{key}'", f'."{key}"[]') if key else ("under one key each", ".[]")
    return f"It holds one object with the records {where}. Write them line by line: jq -c '{path}' FILE > FILE.jsonl."


def json_objects(blocks: Iterable[str]) -> Iterator[tuple[Any, str]]:
    """The values of a text in order, whatever arrays and lines they are in, each with its spelling.

    Text that cannot be parsed is a None, and ends where the next object may begin.

    Parameters
    ----------
    blocks : iterable of str
        The text. No more than a block and one object are kept in memory.

    Examples
    --------
    >>> list(json_objects(['[{"a": 1},', ' {"a": 2}]']))
    [({'a': 1}, '{"a": 1}'), ({'a': 2}, '{"a": 2}')]
    """
    remaining, has_more = iter(blocks), True
    buffer, at = "", 0
    while True:
        at = _next_value(buffer, at)
        found, end = _object_at(buffer, at)
        if found is None and has_more and len(buffer) - at < LONGEST_OBJECT:
            block = next(remaining, None)
            has_more = block is not None
            buffer, at = buffer[at:] + (block or ""), 0
            continue
        if at == len(buffer):
            return
        if found is not None:
            yield found, buffer[at:end]
            at = end
            continue
        following = _NEXT_OBJECT.search(buffer, at)
        yield None, buffer[at : following.end() if following else None]
        while following is None:  # skip the rest of the broken object
            block = next(remaining, None)
            if block is None:
                return
            buffer = buffer[-_EDGE:] + block
            following = _NEXT_OBJECT.search(buffer)
        at = following.end()


def _next_value(text: str, at: int) -> int:
    between = _BETWEEN.match(text, at)
    return between.end() if between else at


def _object_at(text: str, at: int) -> tuple[Any, int]:
    """The value that begins at an index, and where it ends; None if it is not complete."""
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None, at


def _continues(text: str) -> bool:
    """Whether a text may be the rest of an object, and does not begin with an object on a line of its own."""
    line = text.lstrip().partition("\n")[0]
    is_record = PYTHON_DICTIONARY.match(line) or isinstance(_decoded(line), dict)
    return line.startswith(tuple('"{}]')) and not is_record


def _from_first(head: str) -> str:
    return head.removeprefix("\ufeff").lstrip()


def _decoded(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
