"""Review files to cleaned texts and ratings, and to a quarantine of the records that cannot be used.

The files are read where the work is: each Spark task opens its pieces itself, parses, judges and cleans them, and hands
the batches to whatever comes next in the same Python process. Texts do not travel between the JVM and Python.
"""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sentispark.errors import InputError
from sentispark.reviews.encoding import is_cuttable, is_text_encoding, without_surrogates
from sentispark.reviews.find import each_once, find_files
from sentispark.reviews.formats.csv_form import ESCAPES
from sentispark.reviews.formats.format import ColumnNames
from sentispark.reviews.formats.table import FORMATS, format_of
from sentispark.reviews.judge import judge
from sentispark.reviews.options import FORMAT_CHOICES
from sentispark.reviews.parse import DEFAULT, check_file, column_names, read_piece
from sentispark.reviews.pieces import File, Piece
from sentispark.reviews.records import Fields, Layout
from sentispark.reviews.scale import DEFAULT_SCALE, Scale, parse_scale
from sentispark.reviews.tasks import cut_into_tasks
from sentispark.spark.arrow import map_batches
from sentispark.spark.folders import spark_folders
from sentispark.spark.session import task_cores
from sentispark.spark.spread import spread, spread_values
from sentispark.text.markup import MARKUP

__all__ = ["Kernel", "Reviews", "read_reviews", "require_new_names"]

# Of each format. Of the others the tasks see what they are.
_FILES_LOOKED_AT = 20

# From a task's number and its batches of judged records to the batches that leave the task.
Kernel = Callable[[int, Iterator[pa.RecordBatch]], Iterable[pa.RecordBatch]]


@dataclasses.dataclass(frozen=True)
class Reviews:
    """All records of some files, lazily: what can be used and what cannot.

    Attributes
    ----------
    files : tuple of File
        The files.
    tasks : list of list of Piece
        What each Spark task reads of them.
    fields : Fields
        The fields that are read.
    scale : Scale or None
        What the ratings are on; None where they do not matter.
    markup : {"clean", "keep"}
        Whether texts are cleaned.
    layout : Layout
        How text files are read.
    """

    spark: SparkSession
    files: tuple[File, ...]
    tasks: list[list[Piece]]
    fields: Fields
    scale: Scale | None
    markup: str = "clean"
    layout: Layout = DEFAULT

    def through(self, kernel: Kernel, schema: str) -> DataFrame:
        """What a function makes of the records, in the process that reads them.

        Parameters
        ----------
        kernel : callable
            Takes the number of the task and its batches of records: `text` string, `rating` double, and,
            null where the record can be used, `reason`, `file`, `record`; `replaced` int, the number of characters
            that stand for bytes that are no text; last, `kept` list<string>, if fields are kept. Runs on executors, so
            it must not refer to Spark.
        schema : str
            Spark's types of the batches that it gives.
        """
        fields, scale, markup, layout = self.fields, self.scale, self.markup, self.layout

        def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for number, pieces in spread_values(batches):
                yield from kernel(number, _judged(_unpressed(pieces), fields, scale, markup, layout))

        return map_batches(spread(self.spark, [_pressed(pieces) for pieces in self.tasks]), run, schema)

    @property
    def records(self) -> DataFrame:
        """All records, with the columns that `through` tells."""
        schema = "text string, rating double, reason string, file string, record string, replaced int"
        return self.through(lambda _, batches: batches, schema + (", kept array<string>" if self.fields.kept else ""))

    @property
    def usable(self) -> DataFrame:
        """The reviews: `text` string, never blank; `rating` double, on the scale; the kept fields, strings."""
        return self.usable_of(self.records)

    def usable_of(self, records: DataFrame) -> DataFrame:
        """The same of records that something was done with on the way."""
        kept = [F.col("kept")[place].alias(name) for place, name in enumerate(self.fields.kept)]
        return records.where("reason IS NULL").select("text", "rating", *kept)

    @property
    def quarantined(self) -> DataFrame:
        """The records that cannot be used: `reason`, `file` and `record`, all strings."""
        return self.records.where("reason IS NOT NULL").select("reason", "file", "record")


def _pressed(pieces: Sequence[Piece]) -> bytes:
    """Pieces as a task gets them: of small files there may be thousands, whose paths are alike."""
    return zlib.compress(json.dumps(pieces).encode(), 1)  # not msgspec: a path may hold half a surrogate pair


def _unpressed(pieces: bytes) -> list[Piece]:
    decoded = (Piece(*piece) for piece in json.loads(zlib.decompress(pieces)))
    return [piece._replace(partition=tuple((name, value) for name, value in piece.partition)) for piece in decoded]


def _judged(
    pieces: list[Piece], fields: Fields, scale: Scale | None, markup: str, layout: Layout
) -> Iterator[pa.RecordBatch]:
    for piece in pieces:
        for batch in read_piece(piece, fields, layout):
            yield judge(batch, file=without_surrogates(piece.path), scale=scale, markup=markup)


def read_reviews(
    spark: SparkSession,
    paths: str | Sequence[str],
    text_col: str = "reviewText",
    rating_col: str | None = "overall",
    format: str = "auto",
    *,
    keep_cols: Sequence[str] = (),
    rating_scale: str = DEFAULT_SCALE,
    markup: str = "clean",
    columns: Sequence[str] = (),
    csv_escape: str = "auto",
    encoding: str = "utf-8",
    escaped_breaks: bool = False,
) -> Reviews:
    """Reviews from files of the formats in `sentispark.reviews.formats.table`, such as JSON, CSV and Parquet.

    Nothing is inferred: a record that lacks the text or the rating, or whose rating is not on the scale, goes to
    the quarantine, as does one that cannot be parsed. A file that lacks a column altogether does so row by row.
    The separator of CSV (comma, tab, semicolon or bar) is the one with which its header has the wanted names.

    Parameters
    ----------
    spark : SparkSession
    paths : str or sequence of str
        Files, folders (read with all folders below) and globs, on any file system that fsspec knows. A path without
        a scheme is on the cluster's default file system.
    text_col : str
        The field that holds the text.
    rating_col : str or None
        The field that holds the rating; None where ratings are not needed, as for predictions.
    format : str
        A name in that table, or "auto": the ending of each file's name tells. In "tsv" a quote is a character like
        others, unless the first megabyte tells that it is not (doubled quotes, fields that go over lines); "csv" takes
        quotes for what they are.
    keep_cols : sequence of str
        Fields that are read beside, as text, such as a review's id; not `text` or `rating`. Names that differ by case
        alone are one name to Spark.
    rating_scale : str
        The ratings that there are: `LOW-HIGH`, such as "1-5" or "0-1", or words with commas from the most negative to
        the most positive, such as "bad,ok,good", whose ratings are 1, 2, 3. On a scale of numbers "4 stars", "4/5" and
        "4 out of 5" (if the scale ends with 5) and "★★★★" are 4, and the words positive and negative its ends.
    markup : {"clean", "keep"}
        Whether HTML is taken out of the texts, and runs of blanks become one; see `sentispark.text.markup`.
    columns : sequence of str
        The names of the columns of CSV and TSV files whose first line is a record already.
    csv_escape : {"auto", "double", "backslash"}
        How a quote within a quoted field of CSV is spelled: twice, or after a backslash, as Spark writes it.
        "auto" goes by the first megabyte of each file, and lets a record that is broken so be read the other way.
    encoding : str
        Of all text files. What cannot be decoded becomes U+FFFD, and is counted in `replaced`.
    escaped_breaks : bool
        Whether in CSV and TSV a backslash and an `n` stand for a line break, as in the releases of Zhang et al. 2015.

    Raises
    ------
    OptionError
        If the scale is none.
    InputError
        If a path matches no file, a file's format cannot be told, no file has the columns, one has a column twice, or
        a file is of UTF-16 or UTF-32 and `encoding` does not say so.
    """
    keep_cols = (keep_cols,) if isinstance(keep_cols, str) else tuple(keep_cols)
    require_new_names(keep_cols, "text", "rating")
    fields = Fields(text_col, rating_col, keep_cols)
    if text_col == rating_col:
        raise InputError(f"The text and the rating must be two columns. Both are '{text_col}'.")
    if format not in FORMAT_CHOICES:
        raise InputError(f"'format' must be one of {', '.join(FORMAT_CHOICES)}. Got '{format}'.")
    scale = None if rating_col is None else parse_scale(rating_scale)
    if markup not in MARKUP:
        raise InputError(f"'markup' must be one of {', '.join(MARKUP)}. Got '{markup}'.")
    if csv_escape not in ESCAPES:
        raise InputError(f"'csv_escape' must be one of {', '.join(ESCAPES)}. Got '{csv_escape}'.")
    if not is_text_encoding(encoding):
        raise InputError(f"'encoding' must be a text encoding that Python knows. Got '{encoding}'.")
    layout = Layout(tuple(columns), csv_escape, encoding, escaped_breaks)
    paths = [paths] if isinstance(paths, str) else paths
    places = zip(paths, spark_folders(paths), strict=True)
    files = each_once(file for path, folder in places for file in find_files(path, folder))
    if not files:
        raise InputError("'paths' must name at least one file. Got none.")
    formats = [(file, format_of(file.path) if format == "auto" else format) for file in files]
    for name in FORMATS:
        for file in [file for file, format in formats if format == name and file.size][:_FILES_LOOKED_AT]:
            check_file(file.path, name, fields, layout)
    _require_columns(formats, fields, layout)
    tasks = cut_into_tasks(formats, cores=task_cores(spark), anywhere=is_cuttable(encoding))
    return Reviews(spark, tuple(files), tasks, fields, scale, markup, layout)


def require_new_names(keep_cols: Sequence[str], *taken: str) -> None:
    """Raise `InputError` unless fields can be columns beside some others; upper and lower case do not differ."""
    seen: dict[str, str] = {}
    for name in keep_cols:
        if not name:
            raise InputError("'keep_cols' must name fields. One of its names is empty.")
        if name.lower() in taken:
            raise InputError(
                f"'keep_cols' must not name a column that is there anyway ({', '.join(taken)}). Got '{name}'."
            )
        if name.lower() in seen:
            both = f"'{seen[name.lower()]}' and '{name}'"
            raise InputError(f"'keep_cols' must name each field once; case makes no difference. Got {both}.")
        seen[name.lower()] = name


def _require_columns(files: Sequence[tuple[File, str]], fields: Fields, layout: Layout) -> None:
    """Raise `InputError` if no file can hold one of the fields; files are opened until all have been seen.

    Where there is no header, the first records must have the text and the rating somewhere. What is kept as well may
    come later, and is asked for only where all records have been looked at.
    """
    lacking, found = set(fields.names), set()
    may_come_later: set[str] = set()
    for number, (file, format) in enumerate(files):
        if number == _FILES_LOOKED_AT and not FORMATS[format].has_header:
            return
        names, told, whole = column_names(file.path, format, fields, layout) if file.size else ColumnNames(set())
        if not told:
            return
        may_come_later |= set() if whole else set(fields.kept)
        columns = {*names, *dict(file.partition)}
        found.update(columns)
        lacking.difference_update(columns)
        if not lacking:
            return
    if not found:
        return  # no record, no field
    for wanted in fields.names:
        if wanted in lacking and wanted not in may_come_later:
            what = "columns that are kept" if wanted in fields.kept else "columns of the text and the rating"
            raise InputError(
                f"At least one file must have a column '{wanted}'. Found {', '.join(sorted(found))}. Name the {what}."
            )
