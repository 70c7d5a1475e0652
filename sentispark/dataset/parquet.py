"""Sequences of one length and columns of numbers to the bytes of a Parquet file: one row group, no nulls. Pure.

Arrow's writer works out value by value where each list begins and that none is null, which costs three times as much
as the rest of the writing. Here that is known beforehand, so it is written as what it is: a few runs per page. Parquet
has no 16-bit integers: they are written as indices into a dictionary of all values up to the highest that occurs,
which halves the bytes to compress.

For the format see https://github.com/apache/parquet-format (`parquet.thrift`, `Encodings.md`); headers are in Thrift's
compact protocol.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pyarrow as pa

__all__ = ["parquet_bytes"]

_MAGIC = b"PAR1"
_CREATED_BY = "sentispark"
_PAGE_BYTES = 1 << 20

# Constants of `parquet.thrift`.
_INT32, _DOUBLE = 1, 5
_REQUIRED, _REPEATED = 0, 2
_LIST, _INT_16 = 3, 16
_PLAIN, _RLE, _RLE_DICTIONARY = 0, 3, 8
_ZSTD = 6
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
_TYPES = {np.dtype("<i2"): _INT32, np.dtype("<i4"): _INT32, np.dtype("<f8"): _DOUBLE}


class _Column(NamedTuple):
    """What the footer states about a column's pages."""

    path: tuple[str, ...]
    kind: int
    values: int
    offset: int
    dictionary: int | None
    size: int
    uncompressed: int


def parquet_bytes(sequence: np.ndarray, columns: Mapping[str, np.ndarray]) -> bytes:
    """A file with a column `sequence`, lists of `element`, and further columns, all compressed with zstd.

    Parameters
    ----------
    sequence : ndarray of shape (n, L), dtype int16 or int32
        n and L at least 1.
    columns : mapping of str to ndarray of shape (n,), dtype int32 or float64
    """
    parts, written = [_MAGIC], []

    def put(raw: bytes, header_of: Callable[..., bytes], *described: int) -> int:
        page = pa.compress(raw, codec="zstd", asbytes=True)
        header = header_of(*described, uncompressed=len(raw), compressed=len(page))
        parts.extend((header, page))
        return len(header) + len(raw)

    def add(path: tuple[str, ...], values: np.ndarray, levels_of_row: bytes = b"") -> None:
        begin, uncompressed, dictionary = sum(map(len, parts)), 0, None
        if _uses_dictionary(values.dtype):
            dictionary = begin
            numbers = _numbers(values)
            uncompressed += put(numbers.tobytes(), _dictionary_header, len(numbers))
        offset = sum(map(len, parts))
        a_page = max(1, _PAGE_BYTES // values[:1].nbytes)
        for start in range(0, len(values), a_page):
            some = values[start : start + a_page]
            encoding = _RLE_DICTIONARY if _uses_dictionary(values.dtype) else _PLAIN
            raw = b"".join([_levels(levels_of_row, some), *_packed(some)])
            uncompressed += put(raw, _data_header, some.size, encoding)
        size = sum(map(len, parts)) - begin
        written.append(_Column(path, _TYPES[values.dtype], values.size, offset, dictionary, size, uncompressed))

    add(("sequence", "list", "element"), sequence, _row_levels(sequence.shape[1]))
    for name, values in columns.items():
        add((name,), values)
    footer = _footer(sequence.dtype, list(columns), len(sequence), written)
    return b"".join([*parts, footer, struct.pack("<I", len(footer)), _MAGIC])


# Repetition levels: 0 for a list's first value, 1 for its others. Definition levels: 1 for all, as no list is empty.


def _row_levels(length: int) -> bytes:
    """The repetition levels of one list: a run of one 0, and one of 1s."""
    return _run(1, 0) + (_run(length - 1, 1) if length > 1 else b"")


def _levels(levels_of_row: bytes, values: np.ndarray) -> bytes:
    if not levels_of_row:
        return b""
    repetition, definition = levels_of_row * len(values), _run(values.size, 1)
    return b"".join(struct.pack("<I", len(levels)) + levels for levels in (repetition, definition))


def _run(times: int, level: int) -> bytes:
    return _varint(times << 1) + bytes([level])


def _uses_dictionary(kind: np.dtype) -> bool:
    return kind == np.dtype("<i2")


def _numbers(values: np.ndarray) -> np.ndarray:
    """The dictionary: the number that each pattern of 16 bits stands for, up to the highest that occurs."""
    return np.arange(int(values.view(np.uint16).max()) + 1, dtype=np.uint16).view("<i2").astype("<i4")


def _packed(values: np.ndarray) -> list[bytes | memoryview]:
    """The bytes of the values; for 16-bit numbers preceded by their width, as one run of groups of eight."""
    raw = np.ascontiguousarray(values).reshape(-1).data.cast("B")
    if not _uses_dictionary(values.dtype):
        return [raw]
    groups = -(-values.size // 8)
    return [bytes([16]), _varint(groups << 1 | 1), raw, bytes(16 * groups - values.nbytes)]


# Headers.


def _data_header(values: int, encoding: int, *, uncompressed: int, compressed: int) -> bytes:
    own = _struct({1: _i32(values), 2: _i32(encoding), 3: _i32(_RLE), 4: _i32(_RLE)})
    return _struct({1: _i32(_DATA_PAGE), 2: _i32(uncompressed), 3: _i32(compressed), 5: own})[1]


def _dictionary_header(values: int, *, uncompressed: int, compressed: int) -> bytes:
    own = _struct({1: _i32(values), 2: _i32(_PLAIN)})
    return _struct({1: _i32(_DICTIONARY_PAGE), 2: _i32(uncompressed), 3: _i32(compressed), 7: own})[1]


def _footer(ids: np.dtype, names: list[str], rows: int, columns: list[_Column]) -> bytes:
    schema = [
        _struct({4: _text("schema"), 5: _i32(1 + len(names))}),
        _struct({3: _i32(_REQUIRED), 4: _text("sequence"), 5: _i32(1), 6: _i32(_LIST), 10: _struct({3: _struct({})})}),
        _struct({3: _i32(_REPEATED), 4: _text("list"), 5: _i32(1)}),
        _struct({1: _i32(_INT32), 3: _i32(_REQUIRED), 4: _text("element"), **_width(ids)}),
        *(
            _struct({1: _i32(column.kind), 3: _i32(_REQUIRED), 4: _text(name)})
            for name, column in zip(names, columns[1:], strict=True)
        ),
    ]
    chunks = [_struct({2: _i64(column.offset), 3: _column_metadata(column)}) for column in columns]
    size = _i64(sum(column.uncompressed for column in columns))
    group = _struct({1: _list(chunks), 2: size, 3: _i64(rows)})
    whole = {1: _i32(2), 2: _list(schema), 3: _i64(rows), 4: _list([group]), 6: _text(_CREATED_BY)}
    return _struct(whole)[1]


def _width(ids: np.dtype) -> dict[int, tuple[int, bytes]]:
    """The footer's fields stating that 32-bit numbers stand for 16-bit ones; none for other types."""
    if ids.itemsize == 4:
        return {}
    return {6: _i32(_INT_16), 10: _struct({10: _struct({1: (_BYTE, bytes([16])), 2: (_TRUE, b"")})})}


def _column_metadata(column: _Column) -> tuple[int, bytes]:
    encodings = [_PLAIN, _RLE] if column.dictionary is None else [_PLAIN, _RLE, _RLE_DICTIONARY]
    return _struct(
        {
            1: _i32(column.kind),
            2: _list([*map(_i32, encodings)]),
            3: _list([_text(name) for name in column.path]),
            4: _i32(_ZSTD),
            5: _i64(column.values),
            6: _i64(column.uncompressed),
            7: _i64(column.size),
            9: _i64(column.offset),
            **({} if column.dictionary is None else {11: _i64(column.dictionary)}),
        }
    )


# Thrift's compact protocol: a value is its type and its bytes.

_TRUE, _BYTE, _I32, _I64, _BINARY, _OF_LIST, _OF_STRUCT = 1, 3, 5, 6, 8, 9, 12


def _struct(fields: Mapping[int, tuple[int, bytes]]) -> tuple[int, bytes]:
    """Fields by their numbers, ascending, each less than 16 above the previous one."""
    parts, before = [], 0
    for number, (kind, content) in fields.items():
        parts.append(bytes([(number - before) << 4 | kind]) + content)
        before = number
    return _OF_STRUCT, b"".join([*parts, b"\0"])


def _list(values: list[tuple[int, bytes]]) -> tuple[int, bytes]:
    """Values of one type, fewer than 15."""
    return _OF_LIST, bytes([len(values) << 4 | values[0][0]]) + b"".join(content for _, content in values)


def _i32(number: int) -> tuple[int, bytes]:
    return _I32, _varint(number << 1)  # no number here is negative


def _i64(number: int) -> tuple[int, bytes]:
    return _I64, _varint(number << 1)


def _text(text: str) -> tuple[int, bytes]:
    return _BINARY, _varint(len(text.encode())) + text.encode()


def _varint(number: int) -> bytes:
    content = bytearray()
    while number > 0x7F:
        content.append(number & 0x7F | 0x80)
        number >>= 7
    content.append(number)
    return bytes(content)
