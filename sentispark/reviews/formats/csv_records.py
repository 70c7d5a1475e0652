"""Blocks of lines of a CSV or TSV file in, its records out; a quote that is never closed costs its own line. Pure.

Three rules on top of what Python's `csv` reads:

- A record over several lines whose quoting is *odd* (text after a closing quote, an odd number of quotes, another
  number of fields than the header's) has swallowed others if in a line after its first a whole record begins, or a
  field in quotes that is not closed there. Then its first line alone is bad, and the lines after it are read for
  themselves; so they are if no quote closes the field before the file ends, or within `LARGEST_RECORD` characters.
  Otherwise its fields count as `csv` reads them.
- A record over several lines whose quoting is right is legal whatever is in it, but for one case: each of its lines is
  a record of its own with a number for a rating, three lines or more, or two before a line that is no record.
- Where both dialects are allowed, a record that is odd in the file's is read in the other if it is whole there.
"""

from __future__ import annotations

import csv
import itertools
import re
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

__all__ = ["LARGEST_RECORD", "REPEATED_HEADER", "UNCLOSED", "Bad", "Dialect", "RecordParser"]

UNCLOSED = "quote that is never closed"
REPEATED_HEADER = "header, repeated"

# Characters; the lines of a record that may still be closed are held in memory.
LARGEST_RECORD = 16 << 20
# Where a whole record may begin in what another has swallowed, and how long it may be: bounds the work for each.
_LINES_TRIED, _LINES_OF_ONE = 100, 50

# Characters; what is longer is a part of a text.
_LONGEST_RATING = 20

# Stands for two backslashes until the quotes are found; no decoded text holds half a surrogate pair.
_PAIR = "\udbff"
_ESCAPED = re.compile(r'\\([\\"])')
_IN_QUOTES = re.compile(r'\\([\\"])|""')
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?|positive|negative", re.IGNORECASE)


class Dialect(NamedTuple):
    """How the fields of a file are told apart.

    Attributes
    ----------
    separator : str
        One character.
    quoted : bool
        Whether a field may stand in quotes; if not, each line is a record.
    backslash : bool
        Whether in quotes a backslash stands before a quote or a backslash that is part of the text, as Spark writes
        it. A doubled quote is one in either case.
    either : bool
        Whether a record that is odd so may be read the other way.
    """

    separator: str = ","
    quoted: bool = True
    backslash: bool = False
    either: bool = False


class Bad(NamedTuple):
    """A record that cannot be used: as it stands in the file, and the reason, empty for `judge`'s own."""

    line: str
    reason: str = ""


class _RowReader(Protocol):
    """What `csv.reader` gives."""

    @property
    def line_num(self) -> int: ...

    def __iter__(self) -> Iterator[list[str]]: ...

    def __next__(self) -> list[str]: ...


class RecordParser:
    """Parses the records of one file.

    Parameters
    ----------
    dialect : Dialect
    width : int
        Fields of a record.
    rating : int or None
        Place of the rating among them, if it is known.

    Attributes
    ----------
    odd : int
        How many records so far were not by the letter of the dialect.
    """

    def __init__(self, dialect: Dialect, width: int, rating: int | None = None) -> None:
        csv.field_size_limit(sys.maxsize)
        self._dialect, self._width, self._rating = dialect, width, rating
        self.odd = 0

    def records(self, blocks: Iterable[Sequence[str]]) -> Iterator[list[str] | Bad]:
        """The records of a file's lines, which come in blocks, with their ends; blank lines are none."""
        if not self._dialect.quoted:
            for line in itertools.chain.from_iterable(blocks):
                row = _without_end(line).split(self._dialect.separator)
                if len(row) == self._width:
                    yield row
                elif row != [""]:
                    self.odd += 1
                    yield Bad(_without_end(line))
            return
        waiting: list[str] = []
        for block in blocks:
            waiting = [*waiting, *block]
            done = yield from self._parsed(waiting, final=False)
            waiting = waiting[done:]
        yield from self._parsed(waiting, final=True)

    def _parsed(self, lines: list[str], *, final: bool) -> Generator[list[str] | Bad, None, int]:
        """The records of some lines; returns how many lines they are, as the last record may go on."""
        coded = [_coded(line) if "\\" in line else line for line in lines] if self._dialect.backslash else lines[:]
        width, begin = self._width, 0
        while begin < len(lines):
            start, apart, reader = begin, False, self._reader(_from(coded, begin), strict=True)
            try:
                for row in reader:
                    end = start + reader.line_num
                    if len(row) != width and row:
                        break
                    if end - begin > 1:
                        apart = self._are_records(coded, begin, end)
                        if apart or not _evenly_quoted(coded[begin:end]):
                            break
                    if row:
                        yield self._decoded(row, lines, begin, end) if self._dialect.backslash else row
                    begin = end
                else:
                    return begin
            except csv.Error:
                end = start + reader.line_num
            record = self._in_other_dialect(lines, begin, end) or self._odd(lines, coded, begin, end, apart, final)
            if record is None:
                return begin
            self.odd += 1
            yield record[0]
            begin = record[1]
        return begin

    def _in_other_dialect(self, lines: list[str], begin: int, end: int) -> tuple[list[str], int] | None:
        """An odd record as it is read in the other dialect, and where the next begins, if it is whole there."""
        if not self._dialect.either or not any('\\"' in line for line in lines[begin:end]):
            return None
        dialect = self._dialect._replace(backslash=not self._dialect.backslash)
        other = RecordParser(dialect, self._width, self._rating)
        some = lines[begin : begin + _LINES_OF_ONE]
        found = other._whole([_coded(line) for line in some] if dialect.backslash else some)
        if found is None:
            return None
        row, count = found
        return other._decoded(row, lines, begin, begin + count), begin + count

    def _odd(
        self, lines: list[str], coded: list[str], begin: int, seen: int, apart: bool, final: bool
    ) -> tuple[list[str] | Bad, int] | None:
        """The record that begins in a line and is odd in those `seen`, and where the next begins; None for: wait."""
        # To read on for long, past what is odd already, would be to read a file again for each of its lines.
        stop = seen + _LINES_OF_ONE
        found = self._leniently(coded, begin, stop)
        if found is None:
            return Bad(_without_end(lines[begin])), begin + 1
        row, end, over = found
        may_go_on = over and not final and stop >= len(lines)
        if may_go_on and sum(map(len, _from(lines, begin))) < LARGEST_RECORD:
            return None
        if over or (end - begin > 1 and (apart or self._begins(coded, begin + 1, end))):
            return Bad(_without_end(lines[begin]), UNCLOSED), begin + 1
        if len(row) != self._width:
            return Bad(_without_end("".join(lines[begin:end]))), end
        return self._decoded(row, lines, begin, end), end

    def _leniently(self, coded: list[str], begin: int, stop: int) -> tuple[list[str], int, bool] | None:
        """The record as `csv` reads it, where the next begins, whether it is still open; None if it cannot be read."""
        while True:
            over: list[bool] = []
            reader = self._reader(
                itertools.chain(itertools.islice(_from(coded, begin), stop - begin), _noting(over)), strict=False
            )
            try:
                return next(reader), begin + reader.line_num, bool(over)
            except csv.Error:  # a line break of another kind in an unquoted field; to Python 3.10, a zero byte
                at = begin + reader.line_num - 1
                tamed = re.sub("\r(?!\n)", " ", coded[at]).replace("\0", "")
                if tamed == coded[at]:
                    return None
                coded[at] = tamed

    def _are_records(self, coded: list[str], begin: int, end: int) -> bool:
        """Whether the lines of a record that is right in every way are rather taken for records of their own."""
        lines, width = coded[begin:end], self._width
        if any(line.count(self._dialect.separator) < width - 1 for line in lines):
            return False
        if not (self._looks_rated(lines[0]) and self._looks_rated(lines[-1])):
            return False
        following = coded[end : end + _LINES_OF_ONE]
        return all(self._looks_rated(line) and self._whole([line]) for line in lines[1:-1]) and (
            len(lines) > 2 or (bool(following) and self._whole(following) is None)
        )

    def _looks_rated(self, line: str) -> bool:
        """Whether a line, quotes aside, has the right number of fields and a number for a rating."""
        if self._rating is None:
            return False
        row = _without_end(line).split(self._dialect.separator)
        return len(row) == self._width and _NUMBER.fullmatch(row[self._rating].strip('"')) is not None

    def _begins(self, coded: list[str], start: int, stop: int) -> bool:
        """Whether in one of these lines a record begins: one that is right in every way, or with an open quote too."""
        return self._opens(coded, start, stop) or any(
            self._whole(coded[begin : begin + _LINES_OF_ONE]) is not None
            for begin in range(start, min(stop, start + _LINES_TRIED))
        )

    def _opens(self, coded: list[str], start: int, stop: int) -> bool:
        """Whether a field in quotes begins in one of these lines, in a record's place, and is not closed there."""
        for line in itertools.islice(_from(coded, start), stop - start):
            if '"' in line and (found := self._leniently([line], 0, 1)):
                row, _, over = found
                if over and len(row) <= self._width and row[-1][:1] not in ("", "\r", "\n", self._dialect.separator):
                    return True
        return False

    def _whole(self, coded: list[str]) -> tuple[list[str], int] | None:
        """The first record of some lines and its number of lines, if it is right in every way."""
        over: list[bool] = []
        reader = self._reader(itertools.chain(coded, _noting(over)), strict=True)
        try:
            row = next(reader, [])
        except csv.Error:
            return None
        whole = not over and self._is_whole(row, coded[: reader.line_num])
        return (row, reader.line_num) if whole else None

    def _is_whole(self, row: list[str], lines: list[str]) -> bool:
        """Whether a record has the right number of fields, as many quotes as it must have, and what may be a rating."""
        if len(row) != self._width or not _evenly_quoted(lines):
            return False
        rating = "" if self._rating is None else row[self._rating]
        return rating == rating.strip() and len(rating) <= _LONGEST_RATING

    def _decoded(self, row: list[str], lines: list[str], begin: int, end: int) -> list[str]:
        """The fields with single backslashes where they stood in pairs, in quotes."""
        if not self._dialect.backslash or _PAIR not in "".join(row):
            return row
        between = re.escape(self._dialect.separator)
        field = rf'(?:^|{between})(?:"((?:[^"\\]|\\.|"")*)"(?={between}|\Z)|([^{between}]*))'
        fields = re.findall(field, _without_end("".join(lines[begin:end])), re.DOTALL)
        if len(fields) != len(row):
            return [field.replace(_PAIR, "\\\\") for field in row]
        return [_IN_QUOTES.sub(lambda match: match[1] or '"', quoted) or plain for quoted, plain in fields]

    def _reader(self, lines: Iterator[str], *, strict: bool) -> _RowReader:
        return csv.reader(lines, delimiter=self._dialect.separator, strict=strict)


def _coded(line: str) -> str:
    """A line of the backslash's dialect as one of doubled quotes."""
    return _ESCAPED.sub(lambda match: _PAIR if match[1] == "\\" else '""', line)


def _evenly_quoted(lines: Iterable[str]) -> bool:
    return sum(line.count('"') for line in lines) % 2 == 0


def _from(lines: list[str], begin: int) -> Iterator[str]:
    """The lines from one on, without a walk to it."""
    return map(lines.__getitem__, range(begin, len(lines)))


def _noting(over: list[bool]) -> Iterator[str]:
    """No line; notes that one more was asked for."""
    over.append(True)
    return
    yield


def _without_end(line: str) -> str:
    return line[:-2] if line.endswith("\r\n") else line[:-1] if line.endswith(("\n", "\r")) else line
