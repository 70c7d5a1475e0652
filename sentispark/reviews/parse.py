"""A piece of a file in, batches of its records out: text, stars and what was broken, all as they stand in the file."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import lzma
import sys
from bz2 import BZ2File
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sentispark.errors import InputError
from sentispark.files import Folder
from sentispark.reviews.json_lines import LineDecoder, spelled
from sentispark.reviews.pieces import Piece

__all__ = ["Fields", "columns_in", "read_piece"]

BLOCK_BYTES = 4 << 20
BATCH_ROWS = 8192


class Fields(NamedTuple):
    """The names of the fields that are read; `rating` is None where ratings do not matter."""

    text: str
    rating: str | None
    kept: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, each once, text first."""
        return tuple(dict.fromkeys(name for name in (self.text, self.rating, *self.kept) if name is not None))


def read_piece(piece: Piece, fields: Fields) -> Iterator[pa.RecordBatch]:
    """The records of a piece.

    Returns
    -------
    Iterator of RecordBatch
        `text`, `stars`, `broken` (the whole record, where it cannot be parsed), all string, null where a record has no
        such field, and `kept` list<string>, the further fields of `fields.kept` in their order.

    Raises
    ------
    InputError
        If the file cannot be read to its end, or is not what it was when the piece was cut.
    """
    read = {"json": _json_lines, "csv": _csv_rows, "parquet": _parquet_rows}[piece.format]
    try:
        yield from read(piece, fields)
    except (OSError, EOFError, lzma.LZMAError, pa.ArrowException, csv.Error) as error:
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"'{piece.path}' cannot be read to its end: {problem}. Mend or leave out the file.") from error


def columns_in(path: str, format: str) -> list[str]:
    """The names of a CSV or Parquet file's columns. Raises `InputError` if the file cannot be read."""
    piece = Piece(path, format, 0, 0)
    try:
        with _opened(piece) as file:
            if format == "csv":
                return next(_csv_reader(file, piece), [])
            return [*pq.ParquetFile(file).schema_arrow.names, *_partition_values(path)]
    except (OSError, EOFError, lzma.LZMAError, pa.ArrowException, csv.Error) as error:
        raise InputError(f"'{path}' cannot be read: {str(error).splitlines()[0]}.") from error


def _opened(piece: Piece) -> BinaryIO:
    fs, location = Folder(piece.path).location
    file = fs.open(location, "rb")
    # The standard library's readers say so when a file was cut off, and go on from one member to the next.
    match piece.compression if piece.format != "parquet" else None:
        case None:
            return file
        case "gzip":
            return gzip.GzipFile(fileobj=file)
        case "bz2":
            return BZ2File(file)
        case "xz":
            return lzma.LZMAFile(file)
        case other:
            return io.BufferedReader(pa.CompressedInputStream(file, other), BLOCK_BYTES)


def _batch(columns: Sequence[Sequence[str | None]], broken: Sequence[str | None], fields: Fields) -> pa.RecordBatch:
    """The columns of `fields.names`, one sequence each, as a batch of this module's form."""
    arrays = {name: pa.array(column, pa.string()) for name, column in zip(fields.names, columns, strict=True)}
    return _as_batch(arrays, pa.array(broken, pa.string()), fields)


def _as_batch(arrays: dict[str, pa.StringArray], broken: pa.StringArray, fields: Fields) -> pa.RecordBatch:
    rows = len(broken)
    stars = pa.nulls(rows, pa.string()) if fields.rating is None else arrays[fields.rating]
    batch = {"text": arrays[fields.text], "stars": stars, "broken": broken}
    if fields.kept:
        # Row-major, as the lists are filled: row 0 of all columns, row 1 of all columns, …
        flat = itertools.chain.from_iterable(zip(*(arrays[name].to_pylist() for name in fields.kept), strict=True))
        offsets = pa.array(range(0, rows * len(fields.kept) + 1, len(fields.kept)), pa.int32())
        batch["kept"] = pa.ListArray.from_arrays(offsets, pa.array(flat, pa.string()))
    return pa.RecordBatch.from_arrays(list(batch.values()), names=list(batch))


# JSON lines.


def _json_lines(piece: Piece, fields: Fields) -> Iterator[pa.RecordBatch]:
    decoder = LineDecoder(fields.text, fields.rating, fields.names)
    with _opened(piece) as file:
        blocks = _cut_blocks(file, piece) if piece.compression is None else _packed_blocks(file, piece)
        for block in blocks:
            lines = decoder.lines(block)
            for start in range(0, len(lines), BATCH_ROWS):
                *columns, broken = decoder.columns(lines[start : start + BATCH_ROWS])
                yield _as_batch(dict(zip(fields.names, columns, strict=True)), broken, fields)


def _cut_blocks(file: BinaryIO, piece: Piece) -> Iterator[bytes]:
    """Blocks of whole lines: those that begin from `start` on and before `stop`."""
    position = piece.start
    if piece.start:
        file.seek(piece.start - 1)
        position += len(file.readline()) - 1
    while position < piece.stop:
        block = file.read(min(BLOCK_BYTES, piece.stop - position))
        if not block:
            raise InputError(f"'{piece.path}' must stay as it is while it is read. It has become shorter.")
        block += b"" if block.endswith(b"\n") else file.readline()
        position += len(block)
        yield block


def _packed_blocks(file: BinaryIO, piece: Piece) -> Iterator[bytes]:
    """The piece's share of the blocks of whole lines."""
    for number in itertools.count():
        block = file.read(BLOCK_BYTES)
        if not block:
            return
        block += b"" if block.endswith(b"\n") else file.readline()
        if number % piece.shares == piece.share:
            yield block


# CSV.


def _csv_reader(file: BinaryIO, piece: Piece) -> Iterator[list[str]]:
    csv.field_size_limit(sys.maxsize)
    separator = "\t" if ".tsv" in piece.path.lower().rsplit("/", 1)[-1] else ","
    return csv.reader(io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline=""), delimiter=separator)


def _csv_rows(piece: Piece, fields: Fields) -> Iterator[pa.RecordBatch]:
    with _opened(piece) as file:
        reader = _csv_reader(file, piece)
        header = next(reader, [])
        places = [header.index(name) if name in header else None for name in fields.names]
        for number, rows in enumerate(_bounded(row for row in reader if row)):
            if number % piece.shares != piece.share:
                continue
            whole = [row if len(row) == len(header) else None for row in rows]
            columns = [
                [None if row is None or place is None else row[place] or None for row in whole] for place in places
            ]
            broken = [_as_line(row) if len(row) != len(header) else None for row in rows]
            yield _batch(columns, broken, fields)


def _as_line(row: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(row)
    return line.getvalue()


def _bounded(rows: Iterable[list[str]]) -> Iterator[list[list[str]]]:
    """Rows in lists of bounded length and size."""
    held, size = [], 0
    for row in rows:
        held.append(row)
        size += sum(map(len, row))
        if len(held) == BATCH_ROWS or size > BLOCK_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


# Parquet.


def _parquet_rows(piece: Piece, fields: Fields) -> Iterator[pa.RecordBatch]:
    partition = _partition_values(piece.path)
    with _opened(piece) as file:
        parquet = pq.ParquetFile(file)
        there = [name for name in fields.names if name in parquet.schema_arrow.names]
        groups = range(piece.share, parquet.num_row_groups, piece.shares)
        for batch in parquet.iter_batches(BATCH_ROWS, row_groups=groups, columns=there, use_threads=False):
            nothing = pa.nulls(batch.num_rows, pa.string())
            arrays = {
                name: _as_text(batch.column(name))
                if name in there
                else pc.fill_null(nothing, partition[name])
                if partition.get(name) is not None
                else nothing
                for name in fields.names
            }
            yield _as_batch(arrays, nothing, fields)


def _as_text(column: pa.Array) -> pa.StringArray:
    try:
        return column.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # lists, structs, bytes that are no text
        return pa.array([spelled(_as_json(value)) for value in column.to_pylist()], pa.string())


def _as_json(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value if value is None else str(value)


def _partition_values(path: str) -> dict[str, str | None]:
    """The columns that stand in the names of a partitioned folder: `overall=5/part-0.parquet`."""
    pairs = [part.split("=", 1) for part in path.split("/")[:-1] if "=" in part]
    return {unquote(name): None if value == "__HIVE_DEFAULT_PARTITION__" else unquote(value) for name, value in pairs}
