"""A piece of an Avro file in, batches of its records out.

A file (https://avro.apache.org/docs/1.11.1/specification/#object-container-files) is a header and blocks. Each of them
ends with 16 random bytes, the file's *sync marker*, so that blocks can be found from any offset. fastavro decodes the
records of a block; blocks are found and decompressed here, because fastavro needs an extra package for each codec.
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
from sentispark.reviews.formats.arrow_columns import batch_of_columns, json_default
from sentispark.reviews.formats.format import ColumnNames, Cut, Format
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import BATCH_ROWS, BLOCK_BYTES, Fields, Layout, opened, require_unique_columns

__all__ = ["AVRO"]

_MAGIC = b"Obj\x01"
_MARKER_BYTES = 16
_AHEAD = 64 << 10
# A greater length means that the file is damaged.
_LONGEST = 1 << 30


def _rows(piece: Piece, fields: Fields, layout: Layout) -> Iterator[pa.RecordBatch]:
    """The records of the blocks that begin in the piece."""
    fastavro = _fastavro(piece.path)
    with opened(piece.path) as file:
        header = _header(piece.path, file)
        require_unique_columns(piece.path, header.names, fields.names)
        decoder = _Decoder(fastavro, header, [name for name in fields.names if name in header.names])
        for blocks in _grouped(_blocks(file, header, piece)):
            records = decoder.records(blocks)
            for start in range(0, len(records), BATCH_ROWS):
                some = records[start : start + BATCH_ROWS]
                yield batch_of_columns(decoder.columns(some), len(some), fields)


def _names(piece: Piece, fields: Fields, layout: Layout) -> ColumnNames:
    """The names of the records' fields. Raises `InputError` if a wanted field occurs more than once."""
    with opened(piece.path) as file:
        names = _header(piece.path, file).names
    require_unique_columns(piece.path, names, fields.names)
    return ColumnNames(set(names))


def _check(piece: Piece, fields: Fields, layout: Layout) -> None:
    _fastavro(piece.path)
    with opened(piece.path) as file:
        _header(piece.path, file)


def _fastavro(path: str) -> ModuleType:
    try:
        import fastavro
    except ImportError as error:
        raise SetupError(
            f"'{path}' needs fastavro, which is not installed. Install it: pip install 'sentispark[avro]'."
        ) from error
    module: ModuleType = fastavro
    return module


class _Header(NamedTuple):
    """A file's header; `start` is the offset of its first block."""

    schema: dict[str, Any]
    names: list[str]
    codec: str
    marker: bytes
    start: int


class _Block(NamedTuple):
    """A block: its number of records, and their decompressed encoding."""

    records: int
    data: bytes


def _header(path: str, file: BinaryIO) -> _Header:
    if file.read(len(_MAGIC)) != _MAGIC:
        raise OSError("it is not an Avro file")
    metadata: dict[bytes, bytes] = {}
    while count := _long(file):
        if count < 0:  # the size of this part of the map in bytes follows
            _long(file)
        for _ in range(abs(count)):
            key = _bytes(file, _long(file))
            metadata[key] = _bytes(file, _long(file))
    marker = _bytes(file, _MARKER_BYTES)
    codec = metadata.get(b"avro.codec", b"null").decode("utf-8", "replace")
    if codec not in _CODECS:
        codecs = ", ".join(_CODECS)
        raise InputError(f"'{path}' must use one of the codecs {codecs}. It uses {codec}. Write it with another codec.")
    try:
        schema = json.loads(metadata.get(b"avro.schema", b""))
        names = [str(field["name"]) for field in schema["fields"]]
    except (ValueError, LookupError, TypeError) as error:
        raise OSError("its schema is damaged or is not a record") from error
    return _Header(schema, names, codec, marker, file.tell())


def _blocks(file: BinaryIO, header: _Header, piece: Piece) -> Iterator[_Block]:
    """The blocks that begin at `start` or later and before `stop`."""
    if file.seek(0, io.SEEK_END) < piece.stop:
        raise InputError(f"'{piece.path}' must not change while it is read. It became shorter. Start again.")
    at = header.start if piece.start <= header.start else _next_block(file, header.marker, piece.start, piece.stop)
    file.seek(at)
    while at < piece.stop:
        records, data = _long(file), _bytes(file, _long(file))
        if _bytes(file, _MARKER_BYTES) != header.marker:
            raise OSError(f"the block at byte {at} is damaged")
        try:
            block = _Block(records, _CODECS[header.codec](data))
        except Exception as error:  # each codec has its own errors
            raise OSError(f"the block at byte {at} is damaged") from error
        yield block
        at = file.tell()


def _next_block(file: BinaryIO, marker: bytes, start: int, stop: int) -> int:
    """The offset of the first block that begins at `start` or later; `stop` if there is none before it."""
    at, buffer = start - len(marker), b""
    file.seek(at)
    while at < stop and (more := file.read(_AHEAD)):
        buffer += more
        if (found := buffer.find(marker)) >= 0:
            return min(at + found + len(marker), stop)
        at += len(buffer) - len(marker) + 1
        buffer = buffer[-len(marker) + 1 :]
    return stop


def _grouped(blocks: Iterable[_Block]) -> Iterator[list[_Block]]:
    """Blocks in lists of bounded size."""
    pending: list[_Block] = []
    size = 0
    for block in blocks:
        pending.append(block)
        size += len(block.data)
        if size > BLOCK_BYTES:
            yield pending
            pending, size = [], 0
    if pending:
        yield pending


def _long(file: BinaryIO) -> int:
    """Decode a variable-length zigzag number: seven bits a byte, the lowest first, the sign in the lowest bit."""
    number = shift = 0
    while shift < 64:
        (byte,) = _bytes(file, 1)
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1)
        shift += 7
    raise OSError("a length in it is damaged")


def _encoded_long(number: int) -> bytes:
    number = (number << 1) ^ (number >> 63)
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def _bytes(file: BinaryIO, size: int) -> bytes:
    """The next `size` bytes. `size` may be wrong in a damaged file."""
    if not 0 <= size <= _LONGEST:
        raise OSError("a length in it is damaged")
    data = file.read(size)
    if len(data) < size:
        raise EOFError("it was cut off")
    return data


def _snappy(data: bytes) -> bytes:
    """Raw Snappy, which begins with the decompressed size, followed by a CRC-32 of the decompressed bytes."""
    size = shift = 0
    for byte in data:
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    decompressed: bytes = pa.decompress(data[:-4], decompressed_size=size, codec="snappy", asbytes=True)
    if zlib.crc32(decompressed) != int.from_bytes(data[-4:], "big"):
        raise ValueError("the checksum does not match")
    return decompressed


def _zstandard(data: bytes) -> bytes:
    decompressed: bytes = pa.CompressedInputStream(pa.BufferReader(data), "zstd").read()
    return decompressed


_CODECS: dict[str, Callable[[bytes], bytes]] = {
    "null": bytes,
    "deflate": lambda data: zlib.decompress(data, -zlib.MAX_WBITS),
    "snappy": _snappy,
    "zstandard": _zstandard,
    "bzip2": bz2.decompress,
    "xz": lzma.decompress,
}


class _Decoder:
    """Decodes records; logical types, such as dates, are applied to the wanted fields only."""

    def __init__(self, fastavro: ModuleType, header: _Header, names: Sequence[str]) -> None:
        self._fastavro, self._marker = fastavro, header.marker
        # The other fields are decoded too, which is as fast as skipping them, but their logical values may be invalid.
        fields = [field if field["name"] in names else _as_stored(field) for field in header.schema["fields"]]
        schema = {**header.schema, "fields": fields}
        entry = (b"avro.schema", json.dumps(schema).encode())
        metadata = _encoded_long(1) + b"".join(_encoded_long(len(one)) + one for one in entry) + _encoded_long(0)
        self._head = _MAGIC + metadata + header.marker
        try:
            named: dict[str, Any] = {}
            types = {field["name"]: field["type"] for field in fastavro.parse_schema(schema, named)["fields"]}
        except Exception as error:  # of many classes, some of them builtin
            raise OSError("its schema is damaged") from error
        self._types = {name: _arrow_type(types[name], named) for name in names}

    def records(self, blocks: Sequence[_Block]) -> list[dict[str, Any]]:
        """The records of some blocks, as dicts of their fields."""
        parts = [self._head]
        for block in blocks:
            parts += [_encoded_long(block.records), _encoded_long(len(block.data)), block.data, self._marker]
        stream = io.BytesIO(b"".join(parts))
        try:
            found = list(self._fastavro.reader(stream, handle_unicode_errors=MARK_ERRORS))
        except Exception as error:  # on damaged bytes fastavro raises errors of many classes
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
    except UnicodeEncodeError:  # some characters are marks for invalid UTF-8
        pass
    return pa.array([_as_bytes(value) for value in values], pa.binary())


def _as_bytes(value: Any) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, (bool, int, float, dict, list)):
        value = json.dumps(value, default=json_default)
    return recoded(value if isinstance(value, str) else json_default(value))


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
    """The Arrow type of a field; None if there is no single type, or the field has a logical type."""
    if isinstance(schema, list):
        kinds = {_arrow_type(one, named) for one in schema} - {pa.null()}
        return kinds.pop() if len(kinds) == 1 else None
    if isinstance(schema, dict):
        return None if "logicalType" in schema else _arrow_type(schema["type"], named)
    return _arrow_type(named[schema], named) if schema in named else _ARROW_TYPES.get(schema)


def _as_stored(schema: Any) -> Any:
    """A schema or field without logical types."""
    if isinstance(schema, list):
        return [_as_stored(one) for one in schema]
    if isinstance(schema, dict):
        return {key: _as_stored(one) for key, one in schema.items() if key not in ("logicalType", "default")}
    return schema


# The work per byte is high because records are decoded one by one and blocks may be compressed.
AVRO = Format(endings=("avro",), rows=_rows, names=_names, cut=Cut.ANYWHERE, work=4, check=_check)
