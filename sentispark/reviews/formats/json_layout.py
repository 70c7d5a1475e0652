"""How a file of JSON is laid out: one object a line, or objects that go over lines or share one. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

__all__ = ["HEAD_BYTES", "PYTHON_DICTIONARY", "is_one_a_line", "json_objects", "no_records"]

# What of a file's beginning tells how it is laid out.
HEAD_BYTES = 64 << 10
# Of an object of which no more than its beginning is whole after so many characters, nothing is read.
LONGEST_OBJECT = 16 << 20

# Between two objects there are no more characters than that, where one is found after a broken one.
_EDGE = 64

_BETWEEN = re.compile(r"[\s,\[\]\ufeff]*")
_NEXT_OBJECT = re.compile(r"\}\s*,?\s*(?=\{)")
_OPEN_LINE = re.compile(r'\{\s*("[^"\\]*"\s*:\s*[\[{]?\s*)?$')
_LIST_UNDER_KEY = re.compile(r'\{\s*"([^"\\]*)"\s*:\s*\[\s*\{')
_COLUMNS = re.compile(r'\{\s*"[^"\\]*"\s*:\s*\{\s*"0"\s*:')

_DECODER = json.JSONDecoder()

# A Python dictionary, as Python 3 and 2 print it, at the beginning of a line.
PYTHON_DICTIONARY = re.compile(r"""\s*\{\s*(?:'|[uU]['"])""")


def is_one_a_line(head: str) -> bool:
    """Whether a file holds one object a line, going by its beginning.

    What is no JSON at all counts as lines too: each is then judged by itself.
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
        return not (_OPEN_LINE.match(first_line.rstrip()) and _goes_on(more))
    rest = head[end:].lstrip()
    return end <= len(first_line) and bool(line_end) and not rest.startswith(",")


def no_records(head: str, names: Sequence[str]) -> str | None:
    """What a file holds in place of one object a review, and what to do; None if nothing speaks against it."""
    head = _from_first(head)
    try:
        first, end = _DECODER.raw_decode(head)
    except (ValueError, RecursionError):
        # It does not end here: what it begins with must do.
        if _COLUMNS.match(head):
            return _of_columns()
        under = _LIST_UNDER_KEY.match(head)
        return _under_key(under[1]) if under and under[1] not in names else None
    if not isinstance(first, dict):
        return None
    if there := [first[name] for name in names if name in first]:
        of_dicts = all(isinstance(one, dict) and "0" in one for one in there)
        of_lists = all(isinstance(one, list) for one in there) and not head[end:].strip()
        return _of_columns() if of_dicts or of_lists else None
    for key, value in first.items():
        inside = value[0] if isinstance(value, list) and value else value
        if isinstance(inside, dict) and any(name in inside for name in names):
            return _under_key(key if isinstance(value, list) else None)
    return None


def _of_columns() -> str:
    return (
        "It holds one object of whole columns, as pandas writes by itself. "
        "Write it by to_json(FILE, orient='records', lines=True)."
    )


def _under_key(key: str | None) -> str:
    where, path = (f"in a list under '{key}'", f'."{key}"[]') if key else ("under keys of their own", ".[]")
    return f"It holds one object with the records {where}. Write them line by line: jq -c '{path}' FILE > FILE.jsonl."


def json_objects(blocks: Iterable[str]) -> Iterator[tuple[Any, str]]:
    """The values of a text in their order, in whatever arrays and lines they stand, each with what it was spelled as.

    What cannot be parsed is a None, and ends where the next object may begin.

    Parameters
    ----------
    blocks : iterable of str
        The text. No more of it is held than a block and one object.
    """
    waiting, goes_on = iter(blocks), True
    held, at = "", 0
    while True:
        at = _next_value(held, at)
        found, end = _object_at(held, at)
        if found is None and goes_on and len(held) - at < LONGEST_OBJECT:
            block = next(waiting, None)
            goes_on = block is not None
            held, at = held[at:] + (block or ""), 0
            continue
        if at == len(held):
            return
        if found is not None:
            yield found, held[at:end]
            at = end
            continue
        following = _NEXT_OBJECT.search(held, at)
        yield None, held[at : following.end() if following else None]
        while following is None:  # the rest of what is broken is passed over
            block = next(waiting, None)
            if block is None:
                return
            held = held[-_EDGE:] + block
            following = _NEXT_OBJECT.search(held)
        at = following.end()


def _next_value(text: str, at: int) -> int:
    between = _BETWEEN.match(text, at)
    return between.end() if between else at


def _object_at(text: str, at: int) -> tuple[Any, int]:
    """The value that begins there and where it ends; None if none is whole."""
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None, at


def _goes_on(text: str) -> bool:
    """Whether a text can be the rest of an object, and does not begin with one that has a line for itself."""
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
