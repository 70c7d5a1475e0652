"""Lines of a CSV or TSV file in, its records out. An unclosed quote costs only its own line. Pure.

Three rules in addition to those of Python's `csv`:

- A record over several lines is *malformed* if text follows a closing quote, the number of quotes is odd, or the number
  of fields is not the header's. It has swallowed other records if, after its first line, a line begins a well-formed
  record or a quoted field that is not closed in that line. Then only its first line is bad, and the following lines are
  parsed again. The same holds if no quote closes the field before the file ends or within `LARGEST_RECORD` characters.
  Otherwise the fields are as `csv` reads them.
- A record over several lines that is well-formed is accepted, with one exception: every line is itself a record with a
  numeric rating, and there are at least three lines, or two followed by a line that is not a record.
- If both dialects are allowed, a record that is malformed in the file's dialect is read in the other one if it is
  well-formed there.
"""

from __future__ import annotations

import csv
import itertools
import re
import sys
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol

__all__ = ["LARGEST_RECORD", "REPEATED_HEADER", "UNCLOSED", "BadRecord", "Dialect", "RecordParser"]

UNCLOSED = "quote that is never closed"
REPEATED_HEADER = "header, repeated"

# Characters. The lines of a record that may still be closed are kept in memory.
LARGEST_RECORD = 16 << 20
# Number of lines in which a swallowed record is looked for, and its most lines: these bound the work per record.
_LINES_TRIED, _LINES_OF_ONE = 100, 50

# Characters. A longer field is part of a text.
_LONGEST_RATING = 20

# Stands for two backslashes until quotes have been found; decoded text cannot contain half a surrogate pair.
_PAIR = "\udbff"
_ESCAPED = re.compile(r'\\([\\"])')
_IN_QUOTES = re.compile(r'\\([\\"])|""')
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?|positive|negative", re.IGNORECASE)


class Dialect(NamedTuple):
    """How the fields of a record are separated and quoted.

    Attributes
    ----------
    separator : str
        One character.
    quoted : bool
        Whether fields may be enclosed in quotes; if not, each line is a record.
    backslash : bool
        Whether quotes and backslashes in quoted fields are escaped with a backslash, as in Spark. A doubled quote is an
        escaped quote in either case.
    either : bool
        Whether a malformed record may be read with the other value of `backslash`.
    """

    separator: str = ","
    quoted: bool = True
    backslash: bool = False
    either: bool = False


class BadRecord(NamedTuple):
    """A record that cannot be parsed, as it is in the file, and the reason; empty for the default reason."""

    line: str
    reason: str = ""


class _RowReader(Protocol):
    """The type of `csv.reader(…)`, which has no public name."""

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
        Number of fields of a record.
    rating : int or None
        Index of the rating field, if it is known.

    Attributes
    ----------
    malformed : int
        Number of records so far that do not follow the dialect exactly.
    """

    def __init__(self, dialect: Dialect, width: int, rating: int | None = None) -> None:
        csv.field_size_limit(sys.maxsize)
        self._dialect, self._width, self._rating = dialect, width, rating
        self.malformed = 0

    def records(self, blocks: Iterable[Sequence[str]]) -> Iterator[list[str] | BadRecord]:
        """The records of a file's lines, given in blocks and with their line ends. Blank lines are skipped."""
        if not self._dialect.quoted:
            for line in itertools.chain.from_iterable(blocks):
                row = _without_end(line).split(self._dialect.separator)
                if len(row) == self._width:
                    yield row
                elif row != [""]:
                    self.malformed += 1
                    yield BadRecord(_without_end(line))
            return
        waiting: list[str] = []
        for block in blocks:
            waiting = [*waiting, *block]
            done = yield from self._parsed(waiting, final=False)
            waiting = waiting[done:]
        yield from self._parsed(waiting, final=True)

    def _parsed(self, lines: list[str], *, final: bool) -> Generator[list[str] | BadRecord, None, int]:
        """Yield the records of some lines. Returns the number of lines consumed: the last record may continue."""
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
            record = self._in_other_dialect(lines, begin, end) or self._malformed_record(
                lines, coded, begin, end, apart, final
            )
            if record is None:
                return begin
            self.malformed += 1
            yield record[0]
            begin = record[1]
        return begin

    def _in_other_dialect(self, lines: list[str], begin: int, end: int) -> tuple[list[str], int] | None:
        """A malformed record read in the other dialect, and where the next one begins, if it is well-formed there."""
        if not self._dialect.either or not any('\\"' in line for line in lines[begin:end]):
            return None
        dialect = self._dialect._replace(backslash=not self._dialect.backslash)
        other = RecordParser(dialect, self._width, self._rating)
        some = lines[begin : begin + _LINES_OF_ONE]
        found = other._well_formed([_coded(line) for line in some] if dialect.backslash else some)
        if found is None:
            return None
        row, count = found
        return other._decoded(row, lines, begin, begin + count), begin + count

    def _malformed_record(
        self, lines: list[str], coded: list[str], begin: int, seen: int, apart: bool, final: bool
    ) -> tuple[list[str] | BadRecord, int] | None:
        """A malformed record, and where the next one begins; None if more lines are needed."""
        # The number of further lines is bounded: otherwise the rest of the file could be read again for every line.
        stop = seen + _LINES_OF_ONE
        found = self._leniently(coded, begin, stop)
        if found is None:
            return BadRecord(_without_end(lines[begin])), begin + 1
        row, end, is_open = found
        may_continue = is_open and not final and stop >= len(lines)
        if may_continue and sum(map(len, _from(lines, begin))) < LARGEST_RECORD:
            return None
        if is_open or (end - begin > 1 and (apart or self._begins(coded, begin + 1, end))):
            return BadRecord(_without_end(lines[begin]), UNCLOSED), begin + 1
        if len(row) != self._width:
            return BadRecord(_without_end("".join(lines[begin:end]))), end
        return self._decoded(row, lines, begin, end), end

    def _leniently(self, coded: list[str], begin: int, stop: int) -> tuple[list[str], int, bool] | None:
        """The record as `csv` reads it, where the next one begins, and whether it is still open; None if unreadable."""
        while True:
            exhausted: list[bool] = []
            reader = self._reader(
                itertools.chain(itertools.islice(_from(coded, begin), stop - begin), _noting(exhausted)), strict=False
            )
            try:
                return next(reader), begin + reader.line_num, bool(exhausted)
            except csv.Error:  # a lone carriage return in an unquoted field; in Python 3.10, a zero byte
                at = begin + reader.line_num - 1
                repaired = re.sub("\r(?!\n)", " ", coded[at]).replace("\0", "")
                if repaired == coded[at]:
                    return None
                coded[at] = repaired

    def _are_records(self, coded: list[str], begin: int, end: int) -> bool:
        """Whether the lines of a well-formed record are rather records of their own."""
        lines, width = coded[begin:end], self._width
        if any(line.count(self._dialect.separator) < width - 1 for line in lines):
            return False
        if not (self._looks_rated(lines[0]) and self._looks_rated(lines[-1])):
            return False
        following = coded[end : end + _LINES_OF_ONE]
        return all(self._looks_rated(line) and self._well_formed([line]) for line in lines[1:-1]) and (
            len(lines) > 2 or (bool(following) and self._well_formed(following) is None)
        )

    def _looks_rated(self, line: str) -> bool:
        """Whether a line, ignoring quotes, has the right number of fields and a numeric rating."""
        if self._rating is None:
            return False
        row = _without_end(line).split(self._dialect.separator)
        return len(row) == self._width and _NUMBER.fullmatch(row[self._rating].strip('"')) is not None

    def _begins(self, coded: list[str], start: int, stop: int) -> bool:
        """Whether a record begins in one of these lines: a well-formed one, or one with an open quote."""
        return self._opens(coded, start, stop) or any(
            self._well_formed(coded[begin : begin + _LINES_OF_ONE]) is not None
            for begin in range(start, min(stop, start + _LINES_TRIED))
        )

    def _opens(self, coded: list[str], start: int, stop: int) -> bool:
        """Whether a record in one of these lines has a quoted field that is not closed in the line."""
        for line in itertools.islice(_from(coded, start), stop - start):
            if '"' in line and (found := self._leniently([line], 0, 1)):
                row, _, is_open = found
                if is_open and len(row) <= self._width and row[-1][:1] not in ("", "\r", "\n", self._dialect.separator):
                    return True
        return False

    def _well_formed(self, coded: list[str]) -> tuple[list[str], int] | None:
        """The first record of some lines and its number of lines, if it is well-formed."""
        exhausted: list[bool] = []
        reader = self._reader(itertools.chain(coded, _noting(exhausted)), strict=True)
        try:
            row = next(reader, [])
        except csv.Error:
            return None
        well_formed = not exhausted and self._is_well_formed(row, coded[: reader.line_num])
        return (row, reader.line_num) if well_formed else None

    def _is_well_formed(self, row: list[str], lines: list[str]) -> bool:
        """Whether a record has the right number of fields, an even number of quotes, and a plausible rating."""
        if len(row) != self._width or not _evenly_quoted(lines):
            return False
        rating = "" if self._rating is None else row[self._rating]
        return rating == rating.strip() and len(rating) <= _LONGEST_RATING

    def _decoded(self, row: list[str], lines: list[str], begin: int, end: int) -> list[str]:
        """The fields, with escaped backslashes in quoted fields decoded."""
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
    """A line with backslash escapes as a line with doubled quotes."""
    return _ESCAPED.sub(lambda match: _PAIR if match[1] == "\\" else '""', line)


def _evenly_quoted(lines: Iterable[str]) -> bool:
    return sum(line.count('"') for line in lines) % 2 == 0


def _from(lines: list[str], begin: int) -> Iterator[str]:
    """The lines from index `begin` on, without iterating over those before."""
    return map(lines.__getitem__, range(begin, len(lines)))


def _noting(exhausted: list[bool]) -> Iterator[str]:
    """Yields nothing, and records that the reader asked for another line."""
    exhausted.append(True)
    return
    yield


def _without_end(line: str) -> str:
    return line[:-2] if line.endswith("\r\n") else line[:-1] if line.endswith(("\n", "\r")) else line
