"""The names of the fields in the first records of a JSON file, in place of the column names of other formats."""

from __future__ import annotations

import lzma
import zlib

import msgspec
import pyarrow as pa

from sentispark.reviews.encoding import marked, recoded, require_narrow
from sentispark.reviews.formats.format import ColumnNames
from sentispark.reviews.formats.json_layout import is_json_lines, json_objects
from sentispark.reviews.formats.json_lines import lenient_json
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import Fields, Layout, decompressed

__all__ = ["json_names"]

_SAMPLE_BYTES = 1 << 20  # bytes


def json_names(piece: Piece, fields: Fields, layout: Layout) -> ColumnNames:
    """The fields of the records in the first megabyte of a file. Raises what `require_narrow` raises."""
    try:
        with decompressed(piece) as file:
            block = file.read(_SAMPLE_BYTES)
            whole = not file.read(1)
    except (OSError, EOFError, lzma.LZMAError, zlib.error, pa.ArrowException):
        return ColumnNames(set(), known=False, complete=False)
    require_narrow(block, layout.encoding, path=piece.path)
    text = marked(block, layout.encoding)
    if is_json_lines(text):
        lines = [line for line in recoded(text).splitlines() if line.strip()]
        records = [record for line in lines for record in _decoded(line)]
    else:
        records = [record for record, _ in json_objects([text])]
    found = [record for record in records if isinstance(record, dict)]
    names = {name for record in found for name in record}
    return ColumnNames(names, known=bool(found) or not records, complete=whole and len(found) == len(records))


def _decoded(line: bytes) -> list[object]:
    try:
        return [msgspec.json.decode(line)]
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return lenient_json(line.decode("utf-8-sig", "replace"))
