"""The first lines of a CSV or TSV file in; its separator, its header and how its quotes are spelled out. Pure."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

from sentispark.errors import InputError
from sentispark.reviews.formats.csv_records import Bad, Dialect, RecordParser
from sentispark.reviews.records import require_each_once

__all__ = ["ESCAPES", "Form", "form_of"]

# How a quote within quotes is spelled: twice, or after a backslash.
ESCAPES = ("auto", "double", "backslash")

_SEPARATORS = (",", "\t", ";", "|")
# Spark's own files have such names; it writes backslashes.
_WRITTEN_BY_SPARK = re.compile(r"part-\d{5}-.*\.csv", re.IGNORECASE)
# Lines that a header may go over.
_HEADER_LINES = 100
# A field in quotes with a doubled quote in it.
_DOUBLED = r'(?:^|{0})"[^"]*(?:""[^"]*)+"(?={0}|[\r\n]|$)'


class Form(NamedTuple):
    """What a file's lines are.

    Attributes
    ----------
    dialect : Dialect
    header : tuple of str
        The fields of the header.
    before : int
        Lines before the first record.
    """

    dialect: Dialect
    header: tuple[str, ...]
    before: int

    @property
    def names(self) -> list[str]:
        """The names of the columns, blanks around them left out."""
        return [name.strip() for name in self.header]

    def place(self, name: str | None) -> int | None:
        """Where a column stands; None where there is none of that name."""
        return self.names.index(name) if name in self.names else None


def form_of(
    lines: Sequence[str], *, path: str, names: Sequence[str], columns: Sequence[str], escape: str, tsv: bool
) -> Form:
    """What the first lines of a file tell about all of it.

    Parameters
    ----------
    lines : sequence of str
        With their ends.
    path : str
        The file's.
    names : sequence of str
        The columns that are wanted.
    columns : sequence of str
        The names of the columns, if no line holds them.
    escape : {"auto", "double", "backslash"}
    tsv : bool
        Whether the separator is a tab, and quotes are characters like others unless the lines tell that they are not.

    Raises
    ------
    InputError
        If a wanted column stands there twice, or no record has as many fields as there are `columns`.
    """
    before = next((number for number, line in enumerate(lines) if line.strip("\r\n")), len(lines))
    hint = re.fullmatch(r"sep=(.)[\r\n]*", lines[before]) if before < len(lines) else None
    before += hint is not None
    separators = ("\t",) if tsv else (hint[1],) if hint else _SEPARATORS
    quoted = not tsv or _tells_quotes(lines, before)
    heads = [_first_record(lines, before, Dialect(separator, quoted)) for separator in separators]
    if columns:
        fits = [int(len(head) == len(columns)) for head, _ in heads]
    else:
        fits = [len(set(names) & {name.strip() for name in head}) for head, _ in heads]
    best = fits.index(max(fits))
    dialect, (head, end) = Dialect(separators[best], quoted), heads[best]
    form = Form(dialect, tuple(columns or head), before if columns else end)
    require_each_once(path, form.names, names)
    form = form._replace(dialect=_with_quotes(form, lines, path, escape)) if quoted else form
    if columns and head and not _fits(form, lines):
        raise InputError(
            f"'columns' must name every column of a file without a header. It names {len(columns)}; "
            f"the first record of '{path}' has {len(head)} fields."
        )
    return form


def _first_record(lines: Sequence[str], start: int, dialect: Dialect) -> tuple[list[str], int]:
    """The first record and the number of the line after it."""
    if start >= len(lines):
        return [], start
    some = lines[start : start + _HEADER_LINES]
    if not dialect.quoted:
        return some[0].rstrip("\r\n").split(dialect.separator), start + 1
    for tried in (some, some[:1]):
        reader = csv.reader(tried, delimiter=dialect.separator, strict=tried is some)
        try:
            return next(reader), start + reader.line_num
        except csv.Error:
            continue
    return [], start + 1


def _with_quotes(form: Form, lines: Sequence[str], path: str, escape: str) -> Dialect:
    """The form's dialect, with the spelling of quotes that leaves the fewest of the first records odd."""
    dialect = form.dialect
    named = dialect._replace(backslash=escape == "backslash", either=escape == "auto")
    if escape == "auto":
        by_name = _WRITTEN_BY_SPARK.search(path.rsplit("/", 1)[-1]) is not None
        if any('\\"' in line for line in lines):
            odd = [_odd(form, dialect._replace(backslash=backslash), lines) for backslash in (False, True)]
            named = named._replace(backslash=odd[1] < odd[0] or (odd[1] == odd[0] and by_name))
        else:
            named = named._replace(backslash=by_name and not _doubles_quotes(lines, dialect.separator))
    if dialect.separator == "\t":
        plain = dialect._replace(quoted=False)
        if _odd(form, plain, lines) < _odd(form, named._replace(either=False), lines):
            return plain
    return named


def _tells_quotes(lines: Sequence[str], before: int) -> bool:
    """Whether the first lines of a TSV file are such as pandas and R write: with quotes around fields."""
    forms = []
    for quoted in (True, False):
        dialect = Dialect("\t", quoted)
        head, end = _first_record(lines, before, dialect)
        forms.append(Form(dialect, tuple(head), end))
    odd_quoted, odd_plain = (_odd(form, form.dialect, lines) for form in forms)
    if odd_quoted != odd_plain or odd_quoted:
        return odd_quoted < odd_plain
    names = forms[1].header
    return _doubles_quotes(lines, "\t") or all(re.fullmatch('".+"', name) for name in names if name)


def _doubles_quotes(lines: Sequence[str], separator: str) -> bool:
    return any(map(re.compile(_DOUBLED.format(re.escape(separator))).search, lines))


def _odd(form: Form, dialect: Dialect, lines: Sequence[str]) -> int:
    parser = RecordParser(dialect, len(form.header))
    bad = sum(isinstance(record, Bad) for record in parser.records([lines[form.before :]]))
    return parser.odd + bad


def _fits(form: Form, lines: Sequence[str]) -> bool:
    records = RecordParser(form.dialect, len(form.header)).records([lines[form.before :]])
    return any(not isinstance(record, Bad) for record in itertools.islice(records, 1000))
