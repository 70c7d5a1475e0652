"""Review files to cleaned texts and ratings, and to a quarantine of the records that cannot be used."""

from __future__ import annotations

import dataclasses
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
from py4j.protocol import Py4JJavaError
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import Column, DataFrame, DataFrameReader, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StringType, StructField, StructType

from sentispark.errors import InputError
from sentispark.reviews.options import FORMATS
from sentispark.spark.params import quoted
from sentispark.spark.persistence import literally
from sentispark.text.kernels import clean_markup

__all__ = ["BLANK_TEXT", "BROKEN", "NO_RATING", "NO_TEXT", "OUTSIDE", "Reviews", "read_reviews"]

BROKEN = "broken record"
NO_TEXT = "no text"
BLANK_TEXT = "blank text"
NO_RATING = "no rating"
OUTSIDE = "rating outside 1 to 5"

_BROKEN_COLUMN = "_sentispark_broken"
_MISSING = ("NA", "N/A", "NaN", "nan", "null", "NULL", "None")
# Java would also take "5d" and "0x1p2" for numbers.
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_COMPRESSIONS = "gz|gzip|bz2|zst|zstd|lz4|snappy|deflate|xz"
_ENDINGS = {"json": "json|jsonl|ndjson", "csv": "csv|tsv", "parquet": "parquet|parq|pq"}


@dataclasses.dataclass(frozen=True)
class Reviews:
    """All records of the files, lazily: what can be used and what cannot.

    Attributes
    ----------
    records : DataFrame
        `text` string (cleaned), `rating` double, and, null where the record can be used, `reason`, `file`, `record`.
    kept : tuple of str
        Fields that were read beside, all together in a column `kept` array<string>.
    """

    records: DataFrame
    kept: tuple[str, ...] = ()

    @property
    def usable(self) -> DataFrame:
        """The reviews: `text` string, never blank; `rating` double, 1 to 5; the kept fields, strings."""
        kept = [F.col("kept")[place].alias(name) for place, name in enumerate(self.kept)]
        return self.records.where("reason IS NULL").select("text", "rating", *kept)

    @property
    def quarantined(self) -> DataFrame:
        """The records that cannot be used: `reason`, `file` and `record`, all strings."""
        return self.records.where("reason IS NOT NULL").select("reason", "file", "record")


def read_reviews(
    spark: SparkSession,
    paths: str | Sequence[str],
    text_col: str = "reviewText",
    rating_col: str | None = "overall",
    format: str = "auto",
    *,
    keep_cols: Sequence[str] = (),
) -> Reviews:
    """Reviews from JSON lines, CSV (with a header) or Parquet files, compressed ones too.

    Nothing is inferred: a record that lacks the text or the rating, or whose rating is no number from 1 to 5, goes
    to the quarantine, as does one that cannot be parsed. A file that lacks a column altogether does so row by row.

    Parameters
    ----------
    spark : SparkSession
    paths : str or sequence of str
        Files, folders (read with all folders below) and globs, on any file system that Spark reads.
    text_col : str
        The field that holds the text.
    rating_col : str or None
        The field that holds the rating; None where ratings are not needed, as for predictions.
    format : {"auto", "json", "csv", "parquet"}
        "auto" goes by the ending of each file's name.
    keep_cols : sequence of str
        Fields that are read beside, as text, such as a review's id; not `text` or `rating`.

    Raises
    ------
    InputError
        If a path matches no file, a file's format cannot be told, or no file has the columns.
    """
    fields = _Fields(text_col, rating_col, tuple(keep_cols))
    if {"text", "rating"} & set(keep_cols):
        raise InputError("'keep_cols' must not hold 'text' or 'rating'. The reviews have columns of these names.")
    if text_col == rating_col:
        raise InputError(f"The text and the rating must be two columns. Both are '{text_col}'.")
    if format not in FORMATS:
        raise InputError(f"'format' must be one of {', '.join(FORMATS)}. Got '{format}'.")
    by_format = defaultdict(dict)  # of files, each once although paths may overlap
    for path in [paths] if isinstance(paths, str) else paths:
        for file in _files(spark, path):
            by_format[_format_of(file) if format == "auto" else format][file] = None
    if not by_format:
        raise InputError("'paths' must name at least one file. Got none.")
    readers = {"json": _read_json, "csv": _read_csv, "parquet": _read_parquet}
    frames = [frame for name, files in sorted(by_format.items()) for frame in readers[name](spark, list(files), fields)]
    raw = frames[0]
    for frame in frames[1:]:
        raw = raw.unionByName(frame)
    records = _judged(raw, rated=rating_col is not None)
    return Reviews(_cleaned(records), fields.kept)


class _Fields(NamedTuple):
    """The names of the fields that are read."""

    text: str
    rating: str | None
    kept: tuple[str, ...]

    @property
    def names(self) -> list[str]:
        """All of them, each once."""
        return list(dict.fromkeys(name for name in (self.text, self.rating, *self.kept) if name is not None))

    def columns(self, column: Callable[[str | None], Column]) -> list[Column]:
        """`text`, `stars` and, where fields are kept, `kept`, from what gives a field's column by its name."""
        kept = [F.array(*(column(name).cast("string") for name in self.kept)).alias("kept")] if self.kept else []
        return [
            column(self.text).cast("string").alias("text"),
            column(self.rating).cast("string").alias("stars"),
            *kept,
        ]


def _files(spark: SparkSession, path: str) -> list[str]:
    """The files a path matches, as paths that Spark takes literally."""
    try:
        uris = spark.read.option("recursiveFileLookup", "true").text(path).inputFiles()
    except AnalysisException as error:
        if "PATH_NOT_FOUND" in str(error):
            raise InputError(f"'{path}' must match at least one file. It matches none.") from error
        raise
    except Py4JJavaError as error:
        problem = str(error.java_exception).splitlines()[0]
        raise InputError(f"'{path}' cannot be read: {problem}.") from error
    if not uris:
        raise InputError(f"'{path}' must hold at least one file. The folder is empty.")
    return sorted(literally(unquote(uri)) for uri in uris)


def _format_of(file: str) -> str:
    for name, endings in _ENDINGS.items():
        if re.search(rf"\.(?:{endings})(?:\.(?:{_COMPRESSIONS}))?$", file, re.IGNORECASE):
            return name
    raise InputError(f"The format of '{file}' cannot be told from its name. Name the format: json, csv or parquet.")


def _strings(*names: str) -> StructType:
    return StructType([StructField(name, StringType()) for name in (*names, _BROKEN_COLUMN)])


def _read_json(spark: SparkSession, files: list[str], fields: _Fields) -> Iterator[DataFrame]:
    # Parsed line by line: Spark's own JSON source makes several rows of an array, and none of an empty one.
    lines = spark.read.text(files)
    line = F.when(lines.value.startswith("\ufeff"), F.expr("substring(value, 2)")).otherwise(lines.value)
    options = {"mode": "PERMISSIVE", "columnNameOfCorruptRecord": _BROKEN_COLUMN}
    parsed = F.from_json("line", _strings(*fields.names), options)
    records = lines.where(F.trim("value") != "").select(line.alias("line")).withColumn("record", parsed)
    is_object = F.ltrim("line").startswith("{")
    # The parser stops at the end of the first object and would lose what follows. Few lines need the second look.
    holds_more = F.col("line").rlike(r"\}\s*\S") & F.expr("coalesce(json_array_length(concat('[', line, ']')), 0) <> 1")
    yield records.select(
        *fields.columns(lambda name: F.col("record")[name] if name else F.lit(None)),
        F.when(is_object & ~holds_more, F.col("record")[_BROKEN_COLUMN]).otherwise(F.col("line")).alias("broken"),
    )


def _read_csv(spark: SparkSession, files: list[str], fields: _Fields) -> Iterator[DataFrame]:
    # Spark matches a CSV schema by position, so files are read together only if their header lines are equal.
    by_header = defaultdict(list)
    for file in files:
        separator = "\t" if re.search(r"\.tsv\b", file) else ","
        columns = _csv_reader(spark, separator).csv(file).columns
        by_header[separator, tuple(columns)].append(file)
    _require_somewhere({name for _, columns in by_header for name in columns}, fields)
    for (separator, columns), group in by_header.items():
        parsed = _csv_reader(spark, separator).schema(_strings(*columns)).csv(group)
        yield _raw(parsed, fields, F.col(_BROKEN_COLUMN))


def _csv_reader(spark: SparkSession, separator: str) -> DataFrameReader:
    return spark.read.options(
        header=True,
        sep=separator,
        multiLine=True,
        quote='"',
        escape='"',
        mode="PERMISSIVE",
        columnNameOfCorruptRecord=_BROKEN_COLUMN,
    )


def _read_parquet(spark: SparkSession, files: list[str], fields: _Fields) -> Iterator[DataFrame]:
    try:
        frames = [spark.read.option("mergeSchema", "true").parquet(*files)]
    except (Py4JJavaError, PySparkException) as error:
        if "MERGE_SCHEMA" not in str(error):
            raise
        frames = [spark.read.parquet(file) for file in files]  # one column has several types
    _require_somewhere({name for frame in frames for name in frame.columns}, fields)
    for frame in frames:
        yield _raw(frame, fields, F.lit(None))


def _raw(parsed: DataFrame, fields: _Fields, broken: Column) -> DataFrame:
    """`text`, `stars`, `broken` and `kept`, all strings; null where the files have no such column."""

    def column(name: str | None) -> Column:
        return F.col(quoted(name)) if name in parsed.columns else F.lit(None)

    return parsed.select(*fields.columns(column), broken.cast("string").alias("broken"))


def _require_somewhere(columns: set[str], fields: _Fields) -> None:
    for wanted in fields.names:
        if wanted not in columns:
            raise InputError(
                f"At least one file must have a column '{wanted}'. Found {', '.join(sorted(columns))}. "
                "Name the columns of the text and the rating."
            )


def _judged(raw: DataFrame, *, rated: bool) -> DataFrame:
    """`text`, `rating`, and the `reason` why a record cannot be used, its `file` and what was read of it."""
    stars = F.expr("trim(BOTH '\" ' FROM stars)")  # from_json keeps the quotes of a bare NaN
    rating = F.when(stars.rlike(_NUMBER), stars.cast("double"))
    reason = (
        F.when(F.col("broken").isNotNull(), BROKEN)
        .when(F.col("text").isNull(), NO_TEXT)
        .when(F.trim("text") == "", BLANK_TEXT)
    )
    if rated:
        reason = reason.when(F.col("stars").isNull() | stars.isin("", *_MISSING), NO_RATING)
        reason = reason.when(rating.isNull() | ~rating.between(1, 5), OUTSIDE)
    # A text may turn out blank only when its markup is gone, so every record takes its file along until then.
    record = F.coalesce("broken", F.to_json(F.struct("text", F.col("stars").alias("rating"))))
    return raw.select(
        "text",
        rating.alias("rating"),
        reason.alias("reason"),
        F.input_file_name().alias("file"),
        F.when(reason.isNotNull(), record).alias("record"),
        *(["kept"] if "kept" in raw.columns else []),
    )


def _cleaned(records: DataFrame) -> DataFrame:
    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield _clean_batch(batch)

    schema = "text string, rating double, reason string, file string, record string"
    return records.mapInArrow(run, schema + (", kept array<string>" if "kept" in records.columns else ""))


def _clean_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    raw, rating, reason, file, record, *kept = batch.columns
    text = clean_markup(raw)
    blank = pc.and_kleene(pc.is_null(reason), pc.equal(text, "")).fill_null(False)
    reason = pc.if_else(blank, BLANK_TEXT, reason)
    if pc.any(blank).as_py():
        record = pc.replace_with_mask(record, blank, _as_records(raw.filter(blank), rating.filter(blank)))
    usable = pc.is_null(reason)
    nothing = pa.scalar(None, pa.string())
    return pa.RecordBatch.from_arrays(
        [
            pc.if_else(usable, text, nothing),
            pc.if_else(usable, rating, pa.scalar(None, pa.float64())),
            reason,
            pc.if_else(usable, nothing, file),
            record,
            *kept,
        ],
        names=batch.schema.names,
    )


def _as_records(texts: pa.Array, ratings: pa.Array) -> pa.Array:
    pairs = zip(texts.to_pylist(), ratings.to_pylist(), strict=True)
    return pa.array([json.dumps({"text": text, "rating": rating}, ensure_ascii=False) for text, rating in pairs])
