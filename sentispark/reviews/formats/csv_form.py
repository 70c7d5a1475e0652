"""Detects the separator, the header and the quoting of a CSV or TSV file from its first lines. Pure."""

from __future__ import annotations

import csv
import itertools
import re
from collections.abc import Sequence
from typing import NamedTuple

from sentispark.errors import InputError
from sentispark.reviews.formats.csv_records import BadRecord, Dialect, RecordParser
from sentispark.reviews.records import require_unique_columns

__all__ = ["ESCAPES", "Form", "form_of"]

# How quotes in quoted fields are escaped: doubled, or with a backslash.
ESCAPES = ("auto", "double", "backslash")

_SEPARATORS = (",", "\t", ";", "|")
# The names of files written by Spark, which escapes with backslashes.
_WRITTEN_BY_SPARK = re.compile(r"part-\d{5}-.*\.csv", re.IGNORECASE)
# The most lines of a header.
_HEADER_LINES = 100
# A quoted field that contains a doubled quote.
_DOUBLED = r'(?:^|{0})"[^"]*(?:""[^"]*)+"(?={0}|[\r\n]|$)'


class Form(NamedTuple):
    """The form of a file.

    Attributes
    ----------
    dialect : Dialect
    header : tuple of str
        The fields of the header, as they are in the file.
    skipped_lines : int
        Number of lines before the first record.
    """

    dialect: Dialect
    header: tuple[str, ...]
    skipped_lines: int

    @property
    def names(self) -> list[str]:
        """The names of the columns, without white space around them."""
        return [name.strip() for name in self.header]

    def column_index(self, name: str | None) -> int | None:
        """The index of a column; None if there is none of that name."""
        return self.names.index(name) if name in self.names else None


def form_of(
    lines: Sequence[str], *, path: str, names: Sequence[str], columns: Sequence[str], escape: str, tsv: bool
) -> Form:
    """Detect a file's form from its first lines.

    Parameters
    ----------
    lines : sequence of str
        With their line ends.
    path : str
    names : sequence of str
        The wanted columns.
    columns : sequence of str
        The column names of a file without a header; empty if it has one.
    escape : {"auto", "double", "backslash"}
    tsv : bool
        Whether the separator is a tab, and quotes are ordinary characters unless the lines show otherwise.

    Raises
    ------
    InputError
        If the header has a wanted column twice, or no record has as many fields as `columns` names.
    """
    before = next((number for number, line in enumerate(lines) if line.strip("\r\n")), len(lines))
    hint = re.fullmatch(r"sep=(.)[\r\n]*", lines[before]) if before < len(lines) else None
    before += hint is not None
    separators = ("\t",) if tsv else (hint[1],) if hint else _SEPARATORS
    quoted = not tsv or _uses_quotes(lines, before)
    heads = [_first_record(lines, before, Dialect(separator, quoted)) for separator in separators]
    if columns:
        fits = [int(len(head) == len(columns)) for head, _ in heads]
    else:
        fits = [len(set(names) & {name.strip() for name in head}) for head, _ in heads]
    best = fits.index(max(fits))
    dialect, (head, end) = Dialect(separators[best], quoted), heads[best]
    form = Form(dialect, tuple(columns or head), before if columns else end)
    require_unique_columns(path, form.names, names)
    form = form._replace(dialect=_with_quotes(form, lines, path, escape)) if quoted else form
    if columns and head and not _fits(form, lines):
        raise InputError(
            f"'columns' must name every column of a file without a header. It names {len(columns)}; "
            f"the first record of '{path}' has {len(head)} fields."
        )
    return form


def _first_record(lines: Sequence[str], start: int, dialect: Dialect) -> tuple[list[str], int]:
    """The first record, and the number of the line after it."""
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
    """The form's dialect, with the quoting that leaves the fewest of the first records malformed."""
    dialect = form.dialect
    named = dialect._replace(backslash=escape == "backslash", either=escape == "auto")
    if escape == "auto":
        by_name = _WRITTEN_BY_SPARK.search(path.rsplit("/", 1)[-1]) is not None
        if any('\\"' in line for line in lines):
            malformed = [
                _malformed_records(form, dialect._replace(backslash=backslash), lines) for backslash in (False, True)
            ]
            named = named._replace(backslash=malformed[1] < malformed[0] or (malformed[1] == malformed[0] and by_name))
        else:
            named = named._replace(backslash=by_name and not _doubles_quotes(lines, dialect.separator))
    if dialect.separator == "\t":
        plain = dialect._replace(quoted=False)
        if _malformed_records(form, plain, lines) < _malformed_records(form, named._replace(either=False), lines):
            return plain
    return named


def _uses_quotes(lines: Sequence[str], before: int) -> bool:
    """Whether a TSV file has quotes around fields, as pandas and R write them."""
    forms = []
    for quoted in (True, False):
        dialect = Dialect("\t", quoted)
        head, end = _first_record(lines, before, dialect)
        forms.append(Form(dialect, tuple(head), end))
    malformed_quoted, malformed_plain = (_malformed_records(form, form.dialect, lines) for form in forms)
    if malformed_quoted != malformed_plain or malformed_quoted:
        return malformed_quoted < malformed_plain
    names = forms[1].header
    return _doubles_quotes(lines, "\t") or all(re.fullmatch('".+"', name) for name in names if name)


def _doubles_quotes(lines: Sequence[str], separator: str) -> bool:
    return any(map(re.compile(_DOUBLED.format(re.escape(separator))).search, lines))


def _malformed_records(form: Form, dialect: Dialect, lines: Sequence[str]) -> int:
    parser = RecordParser(dialect, len(form.header))
    bad = sum(isinstance(record, BadRecord) for record in parser.records([lines[form.skipped_lines :]]))
    return parser.malformed + bad


def _fits(form: Form, lines: Sequence[str]) -> bool:
    records = RecordParser(form.dialect, len(form.header)).records([lines[form.skipped_lines :]])
    return any(not isinstance(record, BadRecord) for record in itertools.islice(records, 1000))
