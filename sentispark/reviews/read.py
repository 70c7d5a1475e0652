"""Review files to cleaned texts and ratings, and to a quarantine of unusable records.

Each Spark task opens its own pieces of files, parses, validates and cleans the records, and passes the batches to the
next function in the same Python process, so texts do not travel between the JVM and Python.
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
from sentispark.reviews.find import find_files, unique_files
from sentispark.reviews.formats.csv_form import ESCAPES
from sentispark.reviews.formats.format import ColumnNames
from sentispark.reviews.formats.table import FORMATS, format_of
from sentispark.reviews.options import FORMAT_CHOICES
from sentispark.reviews.parse import DEFAULT, check_file, column_names, read_piece
from sentispark.reviews.pieces import File, Piece
from sentispark.reviews.records import Fields, Layout
from sentispark.reviews.scale import DEFAULT_SCALE, Scale, parse_scale
from sentispark.reviews.tasks import cut_into_tasks
from sentispark.reviews.validate import validate_records
from sentispark.spark.arrow import map_batches
from sentispark.spark.folders import spark_folders
from sentispark.spark.session import task_cores
from sentispark.spark.spread import spread, spread_values
from sentispark.text.markup import MARKUP

__all__ = ["Kernel", "Reviews", "read_reviews", "require_new_names"]

# Per format, before the work starts. The others are checked by the tasks that read them.
_FILES_CHECKED = 20

# From a task's number and its batches of validated records to the batches that the task outputs.
Kernel = Callable[[int, Iterator[pa.RecordBatch]], Iterable[pa.RecordBatch]]


@dataclasses.dataclass(frozen=True)
class Reviews:
    """All records of some files, usable or not, evaluated lazily.

    Attributes
    ----------
    files : tuple of File
    tasks : list of list of Piece
        The pieces that each Spark task reads.
    fields : Fields
        The fields that are read.
    scale : Scale or None
        The rating scale; None if ratings are not needed.
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

    def map_records(self, kernel: Kernel, schema: str) -> DataFrame:
        """Apply a function to the records, in the processes that read them.

        Parameters
        ----------
        kernel : callable
            Takes the number of the task and its batches of records: `text` string, `rating` double; `reason`, `file`
            and `record`, null in usable records; `replaced` int, the number of characters that replace undecodable
            bytes; and `extra` list<string>, if there are extra fields. It runs on executors, so it must not refer to
            Spark.
        schema : str
            The Spark schema of the batches that it returns.
        """
        fields, scale, markup, layout = self.fields, self.scale, self.markup, self.layout

        def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for number, pieces in spread_values(batches):
                yield from kernel(number, _validated(_deserialized(pieces), fields, scale, markup, layout))

        return map_batches(spread(self.spark, [_serialized(pieces) for pieces in self.tasks]), run, schema)

    @property
    def records(self) -> DataFrame:
        """All records, with the columns described in `map_records`."""
        schema = "text string, rating double, reason string, file string, record string, replaced int"
        return self.map_records(
            lambda _, batches: batches, schema + (", extra array<string>" if self.fields.extra else "")
        )

    @property
    def usable(self) -> DataFrame:
        """The usable reviews: `text` string, never blank; `rating` double, on the scale; the extra fields, strings."""
        return self.usable_of(self.records)

    def usable_of(self, records: DataFrame) -> DataFrame:
        """The same columns of a DataFrame derived from `records`, for example one with an observation."""
        extra = [F.col("extra")[index].alias(name) for index, name in enumerate(self.fields.extra)]
        return records.where("reason IS NULL").select("text", "rating", *extra)

    @property
    def quarantined(self) -> DataFrame:
        """The unusable records: `reason`, `file` and `record`, all strings."""
        return self.records.where("reason IS NOT NULL").select("reason", "file", "record")


def _serialized(pieces: Sequence[Piece]) -> bytes:
    """The pieces of a task as bytes, compressed because there may be thousands of files with similar paths."""
    return zlib.compress(json.dumps(pieces).encode(), 1)  # not msgspec: a path may contain half a surrogate pair


def _deserialized(pieces: bytes) -> list[Piece]:
    decoded = (Piece(*piece) for piece in json.loads(zlib.decompress(pieces)))
    return [piece._replace(partition=tuple((name, value) for name, value in piece.partition)) for piece in decoded]


def _validated(
    pieces: list[Piece], fields: Fields, scale: Scale | None, markup: str, layout: Layout
) -> Iterator[pa.RecordBatch]:
    for piece in pieces:
        for batch in read_piece(piece, fields, layout):
            yield validate_records(batch, file=without_surrogates(piece.path), scale=scale, markup=markup)


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

    A record without a text or a rating, with a rating off the scale, or that cannot be parsed goes to the quarantine.
    So does every record of a file that lacks one of the columns. The separator of CSV (comma, tab, semicolon or bar)
    is the one that finds the wanted names in the header.

    Parameters
    ----------
    spark : SparkSession
    paths : str or sequence of str
        Files, folders (with everything below them) and globs, on any file system that fsspec supports. A path without
        a scheme is on the cluster's default file system.
    text_col : str
        The field with the text.
    rating_col : str or None
        The field with the rating; None if ratings are not needed, as in predictions.
    format : str
        A name in that table, or "auto" to go by the ending of each file's name. In "tsv" quotes are ordinary
        characters, unless the first megabyte shows that they are not (doubled quotes, fields over several lines); in
        "csv" they enclose fields.
    keep_cols : sequence of str
        Extra fields that are read as text, such as a review's id; not `text` or `rating`. Names that differ only by
        case are one name to Spark.
    rating_scale : str
        `LOW-HIGH`, such as "1-5" or "0-1", or words separated by commas from the most negative to the most positive,
        such as "bad,ok,good", whose ratings are 1, 2, 3. On a numeric scale "4 stars", "★★★★", and "4/5" and
        "4 out of 5" (if the scale ends with 5), are 4, and the words positive and negative are its ends.
    markup : {"clean", "keep"}
        Whether HTML is removed from texts and runs of white space are collapsed; see `sentispark.text.markup`.
    columns : sequence of str
        The column names of CSV and TSV files without a header.
    csv_escape : {"auto", "double", "backslash"}
        How quotes in quoted CSV fields are escaped: doubled, or with a backslash, as Spark writes them. "auto" goes by
        the first megabyte of each file, and reads a record that is malformed one way the other way.
    encoding : str
        The encoding of all text files. Undecodable bytes become U+FFFD and are counted in `replaced`.
    escaped_breaks : bool
        Whether a backslash and an `n` mean a line break in CSV and TSV, as in the releases of Zhang et al. 2015
        (arXiv:1509.01626).

    Raises
    ------
    OptionError
        If the scale cannot be parsed.
    InputError
        If a path matches no file, a file's format is unknown, no file has one of the columns, a file has one twice, or
        a file is UTF-16 or UTF-32 and `encoding` does not say so.
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
    located = zip(paths, spark_folders(paths), strict=True)
    files = unique_files(file for path, folder in located for file in find_files(path, folder))
    if not files:
        raise InputError("'paths' must name at least one file. Got none.")
    formats = [(file, format_of(file.path) if format == "auto" else format) for file in files]
    for name in FORMATS:
        for file in [file for file, format in formats if format == name and file.size][:_FILES_CHECKED]:
            check_file(file.path, name, fields, layout)
    _require_columns(formats, fields, layout)
    tasks = cut_into_tasks(formats, cores=task_cores(spark), anywhere=is_cuttable(encoding))
    return Reviews(spark, tuple(files), tasks, fields, scale, markup, layout)


def require_new_names(keep_cols: Sequence[str], *taken: str) -> None:
    """Raise `InputError` unless the extra fields are distinct and none is `taken`, ignoring case."""
    seen: dict[str, str] = {}
    for name in keep_cols:
        if not name:
            raise InputError("'keep_cols' must not contain an empty name. Got one.")
        if name.lower() in taken:
            raise InputError(
                f"'keep_cols' must not name a column that the output already has ({', '.join(taken)}). Got '{name}'."
            )
        if name.lower() in seen:
            both = f"'{seen[name.lower()]}' and '{name}'"
            raise InputError(f"'keep_cols' must name each field once, ignoring case. Got {both}.")
        seen[name.lower()] = name


def _require_columns(files: Sequence[tuple[File, str]], fields: Fields, layout: Layout) -> None:
    """Raise `InputError` if no file has one of the fields. Files are opened until all fields have been found.

    Without headers, the text and the rating must appear in the first records. An extra field may come later, so it is
    required only if all records have been seen.
    """
    lacking, found = set(fields.names), set()
    may_come_later: set[str] = set()
    for number, (file, format) in enumerate(files):
        if number == _FILES_CHECKED and not FORMATS[format].has_header:
            return
        names, known, complete = column_names(file.path, format, fields, layout) if file.size else ColumnNames(set())
        if not known:
            return
        may_come_later |= set() if complete else set(fields.extra)
        columns = {*names, *dict(file.partition)}
        found.update(columns)
        lacking.difference_update(columns)
        if not lacking:
            return
    if not found:
        return  # no records at all
    for wanted in fields.names:
        if wanted in lacking and wanted not in may_come_later:
            remedy = "Correct 'keep_cols'" if wanted in fields.extra else "Name the columns of the text and the rating"
            raise InputError(
                f"At least one file must have a column '{wanted}'. Found {', '.join(sorted(found))}. {remedy}."
            )
