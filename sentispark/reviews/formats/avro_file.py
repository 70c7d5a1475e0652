"""A piece of an Avro file in, batches of its records out.

A file (https://avro.apache.org/docs/1.11.1/specification/#object-container-files) is a header and blocks. Each of them
ends with 16 random bytes, the file's *marker*, by which blocks are found from anywhere in the file. The records of a
block are decoded by fastavro; blocks are found and decompressed here, as fastavro would need a package for each codec.
"""

from __future__ import annotations

import bz2
import io
import json
import lzma
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa

from sentispark.errors import InputError, SetupError
from sentispark.reviews.encoding import MARK_ERRORS, recoded
from sentispark.reviews.formats.arrow_columns import batch_of_columns, plain
from sentispark.reviews.formats.format import ColumnNames, Cut, Format
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import BATCH_ROWS, BLOCK_BYTES, Fields, Layout, opened, require_each_once

__all__ = ["AVRO"]

_MAGIC = b"Obj\x01"
_MARKER_BYTES = 16
_AHEAD = 64 << 10
# A greater length is damage.
_LONGEST = 1 << 30


def _rows(piece: Piece, fields: Fields, layout: Layout) -> Iterator[pa.RecordBatch]:
    """The records of the blocks that begin in the piece."""
    fastavro = _fastavro(piece.path)
    with opened(piece.path) as file:
        header = _header(piece.path, file)
        require_each_once(piece.path, header.names, fields.names)
        decoder = _Decoder(fastavro, header, [name for name in fields.names if name in header.names])
        for blocks in _grouped(_blocks(file, header, piece)):
            records = decoder.records(blocks)
            for start in range(0, len(records), BATCH_ROWS):
                some = records[start : start + BATCH_ROWS]
                yield batch_of_columns(decoder.columns(some), len(some), fields)


def _names(piece: Piece, fields: Fields, layout: Layout) -> ColumnNames:
    """The names of the records' fields. Raises `InputError` if a wanted one is among them more than once."""
    with opened(piece.path) as file:
        names = _header(piece.path, file).names
    require_each_once(piece.path, names, fields.names)
    return ColumnNames(set(names))


def _check(piece: Piece, fields: Fields, layout: Layout) -> None:
    _fastavro(piece.path)
    with opened(piece.path) as file:
        _header(piece.path, file)


def _fastavro(path: str) -> ModuleType:
    try:
        import fastavro
    except ImportError as error:
        raise SetupError(f"'{path}' needs fastavro. Install it with pip install 'sentispark[avro]'.") from error
    module: ModuleType = fastavro
    return module


class _Header(NamedTuple):
    """What a file's header tells; `start` is where its first block begins."""

    schema: dict[str, Any]
    names: list[str]
    codec: str
    marker: bytes
    start: int


class _Block(NamedTuple):
    """Some records, encoded and decompressed."""

    records: int
    data: bytes


def _header(path: str, file: BinaryIO) -> _Header:
    if file.read(len(_MAGIC)) != _MAGIC:
        raise OSError("it is not an Avro file")
    told: dict[bytes, bytes] = {}
    while count := _long(file):
        if count < 0:  # the bytes of this part of the map are told as well
            _long(file)
        for _ in range(abs(count)):
            key = _bytes(file, _long(file))
            told[key] = _bytes(file, _long(file))
    marker = _bytes(file, _MARKER_BYTES)
    codec = told.get(b"avro.codec", b"null").decode("utf-8", "replace")
    if codec not in _CODECS:
        codecs = ", ".join(_CODECS)
        raise InputError(f"'{path}' must be compressed by one of {codecs}. It is by {codec}: write it with another.")
    try:
        schema = json.loads(told.get(b"avro.schema", b""))
        names = [str(field["name"]) for field in schema["fields"]]
    except (ValueError, LookupError, TypeError) as error:
        raise OSError("its schema is damaged, or is not that of a record") from error
    return _Header(schema, names, codec, marker, file.tell())


def _blocks(file: BinaryIO, header: _Header, piece: Piece) -> Iterator[_Block]:
    """The blocks that begin from `start` on and before `stop`."""
    if file.seek(0, io.SEEK_END) < piece.stop:
        raise InputError(f"'{piece.path}' must stay as it is while it is read. It has become shorter.")
    at = header.start if piece.start <= header.start else _next_block(file, header.marker, piece.start, piece.stop)
    file.seek(at)
    while at < piece.stop:
        records, data = _long(file), _bytes(file, _long(file))
        if _bytes(file, _MARKER_BYTES) != header.marker:
            raise OSError(f"the block at byte {at} is damaged")
        try:
            block = _Block(records, _CODECS[header.codec](data))
        except Exception as error:  # each codec has errors of its own
            raise OSError(f"the block at byte {at} is damaged") from error
        yield block
        at = file.tell()


def _next_block(file: BinaryIO, marker: bytes, start: int, stop: int) -> int:
    """Where the first block begins that does so from `start` on; `stop` if none does before that."""
    at, held = start - len(marker), b""
    file.seek(at)
    while at < stop and (more := file.read(_AHEAD)):
        held += more
        if (found := held.find(marker)) >= 0:
            return min(at + found + len(marker), stop)
        at += len(held) - len(marker) + 1
        held = held[-len(marker) + 1 :]
    return stop


def _grouped(blocks: Iterable[_Block]) -> Iterator[list[_Block]]:
    """Blocks in lists of bounded size."""
    held: list[_Block] = []
    size = 0
    for block in blocks:
        held.append(block)
        size += len(block.data)
        if size > BLOCK_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


def _long(file: BinaryIO) -> int:
    """A number as Avro has it: seven bits a byte, the lowest first, the sign in the lowest bit."""
    number = shift = 0
    while shift < 64:
        (byte,) = _bytes(file, 1)
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1)
        shift += 7
    raise OSError("a length in it is damaged")


def _spelled_long(number: int) -> bytes:
    number = (number << 1) ^ (number >> 63)
    spelled = bytearray()
    while number > 0x7F:
        spelled.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*spelled, number])


def _bytes(file: BinaryIO, size: int) -> bytes:
    """The next `size` bytes, which may be a number that damage made."""
    if not 0 <= size <= _LONGEST:
        raise OSError("a length in it is damaged")
    data = file.read(size)
    if len(data) < size:
        raise EOFError("it was cut off")
    return data


def _snappy(data: bytes) -> bytes:
    """Snappy's own format, which begins with the size of what it holds, and a checksum of that."""
    size = shift = 0
    for byte in data:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    held: bytes = pa.decompress(data[:-4], decompressed_size=size, codec="snappy", asbytes=True)
    if zlib.crc32(held) != int.from_bytes(data[-4:], "big"):
        raise ValueError("the checksum is another")
    return held


def _zstandard(data: bytes) -> bytes:
    held: bytes = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
    return held


_CODECS: dict[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": lambda data: zlib.decompress(data, -zlib.MAX_WBITS),
    "snappy": _snappy,
    "zstandard": _zstandard,
    "bzip2": bz2.decompress,
    "xz": lzma.decompress,
}


class _Decoder:
    """Decodes records, and of some of their fields what is stored is converted to what it means, such as a date."""

    def __init__(self, fastavro: ModuleType, header: _Header, names: Sequence[str]) -> None:
        self._fastavro, self._marker = fastavro, header.marker
        # The others are decoded too, which is as fast as to pass over them, but what they mean may be out of range.
        fields = [field if field["name"] in names else _as_stored(field) for field in header.schema["fields"]]
        schema = {**header.schema, "fields": fields}
        told = (b"avro.schema", json.dumps(schema).encode())
        metadata = _spelled_long(1) + b"".join(_spelled_long(len(one)) + one for one in told) + _spelled_long(0)
        self._head = _MAGIC + metadata + header.marker
        try:
            named: dict[str, Any] = {}
            types = {field["name"]: field["type"] for field in fastavro.parse_schema(schema, named)["fields"]}
        except Exception as error:  # of many classes, some of them Python's own
            raise OSError("its schema is damaged") from error
        self._types = {name: _arrow_type(types[name], named) for name in names}

    def records(self, blocks: Sequence[_Block]) -> list[dict[str, Any]]:
        """The records of some blocks: fields to values."""
        parts = [self._head]
        for block in blocks:
            parts += [_spelled_long(block.records), _spelled_long(len(block.data)), block.data, self._marker]
        stream = io.BytesIO(b"".join(parts))
        try:
            found = list(self._fastavro.reader(stream, handle_unicode_errors=MARK_ERRORS))
        except Exception as error:  # what bytes that mean nothing make fastavro raise is of many classes
            raise OSError("a record in it is damaged") from error
        if len(found) != sum(block.records for block in blocks):
            raise OSError("a record in it is damaged")
        return found

    def columns(self, records: Sequence[Mapping[str, Any]]) -> dict[str, pa.Array]:
        """The fields as columns."""
        return {name: _column([record[name] for record in records], kind) for name, kind in self._types.items()}


def _column(values: list[Any], kind: pa.DataType | None) -> pa.Array:
    try:
        if kind is not None:
            return pa.array(values, kind)
    except UnicodeEncodeError:  # some characters are marks that stand for bytes that are no UTF-8
        pass
    return pa.array([_as_bytes(value) for value in values], pa.binary())


def _as_bytes(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, (bool, int, float, dict, list)):
        value = json.dumps(value, default=plain)
    return recoded(value if isinstance(value, str) else plain(value))


_ARROW_TYPES = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int64(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "enum": pa.string(),
    "bytes": pa.binary(),
    "fixed": pa.binary(),
}


def _arrow_type(schema: Any, named: Mapping[str, Any]) -> pa.DataType | None:
    """The type that holds all values of a field; None if none does, or values are not what is stored."""
    if isinstance(schema, list):
        kinds = {_arrow_type(one, named) for one in schema} - {pa.null()}
        return kinds.pop() if len(kinds) == 1 else None
    if isinstance(schema, dict):
        return None if "logicalType" in schema else _arrow_type(schema["type"], named)
    return _arrow_type(named[schema], named) if schema in named else _ARROW_TYPES.get(schema)


def _as_stored(schema: Any) -> Any:
    """A schema, or a field, without what its values are converted to."""
    if isinstance(schema, list):
        return [_as_stored(one) for one in schema]
    if isinstance(schema, dict):
        return {key: _as_stored(one) for key, one in schema.items() if key not in ("logicalType", "default")}
    return schema


# Records are decoded one by one, and blocks may be compressed.
AVRO = Format(endings=("avro",), rows=_rows, names=_names, cut=Cut.ANYWHERE, work=4, check=_check)
