"""A piece of a JSON file in, batches of its records out."""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from sentispark.errors import InputError
from sentispark.files import Folder
from sentispark.reviews.encoding import (
    blocks_of_lines,
    decoded_blocks,
    is_cuttable,
    marked,
    recoded,
    replaced_marks,
    require_narrow,
)
from sentispark.reviews.formats.format import Cut, Format
from sentispark.reviews.formats.json_layout import HEAD_BYTES, is_json_lines, json_objects, layout_problem
from sentispark.reviews.formats.json_lines import LineDecoder, lenient_json
from sentispark.reviews.formats.json_names import json_names
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import BATCH_ROWS, BLOCK_BYTES, ByteStream, Fields, Layout, as_batch, decompressed

__all__ = ["JSON"]

# A longer line is cut, and is then a broken record.
LONGEST_LINE = 16 << 20
_AHEAD = 64 << 10


def _rows(piece: Piece, fields: Fields, layout: Layout) -> Iterator[pa.RecordBatch]:
    """The records of a piece, as `read_piece` returns them."""
    decoder = LineDecoder(fields.text, fields.rating, fields.names)
    with decompressed(piece) as file:
        head, stream = _begun(file, piece)
        _require_records(piece, head, fields, layout.encoding)
        if is_json_lines(marked(head, layout.encoding)):
            found: Iterator[list[Any]] = map(decoder.lines, _blocks(stream, piece, layout.encoding))
        elif piece.start or piece.share:
            return  # objects can only be found from the beginning; the task of the first piece reads them all
        else:
            found = _objects(stream, layout.encoding, decoder)
        for lines in found:
            for start in range(0, len(lines), BATCH_ROWS):
                some = lines[start : start + BATCH_ROWS]
                *columns, broken = decoder.columns(some)
                named = dict(zip(fields.names, columns, strict=True))
                yield as_batch(named, broken, fields, replaced=[decoder.replaced(some)])


def _check(piece: Piece, fields: Fields, layout: Layout) -> None:
    """Raise `InputError` if the beginning of a file shows that it does not have one object per review."""
    with decompressed(piece) as file:
        _require_records(piece, file.read(HEAD_BYTES), fields, layout.encoding)


def _require_records(piece: Piece, head: bytes, fields: Fields, encoding: str) -> None:
    require_narrow(head, encoding, path=piece.path)
    if problem := layout_problem(marked(head, encoding), fields.names):
        raise InputError(f"'{piece.path}' must hold one JSON object per review. {problem}")


class _Stream:
    """A file with some bytes put back, which are read again first."""

    def __init__(self, begun: bytes, file: ByteStream) -> None:
        self._begun, self._file = begun, file

    def read(self, size: int) -> bytes:
        """`size` bytes; fewer only at the end."""
        begun, self._begun = self._begun[:size], self._begun[size:]
        return begun + self._file.read(size - len(begun)) if len(begun) < size else begun


def _begun(file: ByteStream, piece: Piece) -> tuple[bytes, _Stream]:
    """The first bytes of a file, and a stream that begins one byte before the piece."""
    if piece.compression is None and piece.start:
        fs, location = Folder(piece.path).location
        file.seek(piece.start - 1)
        return fs.cat_file(location, start=0, end=HEAD_BYTES), _Stream(b"", file)
    head = file.read(HEAD_BYTES)
    return head, _Stream(head, file)


def _objects(stream: _Stream, encoding: str, decoder: LineDecoder) -> Iterator[list[Any]]:
    """Lists of records of bounded number and size."""
    pending: list[Any] = []
    size = 0
    for value, text in json_objects(decoded_blocks(stream, encoding, block_bytes=BLOCK_BYTES)):
        text, replaced = replaced_marks(text)
        pending.append(decoder.record(lenient_json(text)[0] if replaced else value, text, replaced))
        size += len(text)
        if len(pending) == BATCH_ROWS or size > BLOCK_BYTES:
            yield pending
            pending, size = [], 0
    yield pending


def _blocks(stream: _Stream, piece: Piece, encoding: str) -> Iterator[bytes]:
    """Blocks of complete lines in UTF-8, except for undecodable bytes."""
    if not is_cuttable(encoding):
        line_blocks = blocks_of_lines(stream, encoding, path=piece.path, block_bytes=BLOCK_BYTES)
        return (recoded("".join(lines)) for lines in itertools.islice(line_blocks, piece.share, None, piece.shares))
    blocks = _cut_blocks(stream, piece) if piece.compression is None else _shared_blocks(stream, piece)
    if codecs.lookup(encoding).name == "utf-8":
        return blocks
    return (recoded(marked(block, encoding)) for block in blocks)


class _Lines:
    """A stream in blocks of complete lines. Bytes read past a line's end begin the next block."""

    def __init__(self, file: _Stream) -> None:
        self._file, self._ahead = file, b""

    def block(self, size: int) -> tuple[bytes, int]:
        """`size` bytes and the rest of their last line, and the number of bytes read from the file."""
        block, self._ahead = self._ahead[:size], self._ahead[size:]
        if len(block) < size:
            block += self._file.read(size - len(block))
        if not block or block.endswith(b"\n"):
            return block, len(block)
        rest, passed = self.rest_of_line(len(block) - block.rfind(b"\n") - 1)
        return block + rest, len(block) + passed

    def rest_of_line(self, begun: int = 0) -> tuple[bytes, int]:
        """The rest of a line of which `begun` bytes were read, cut to `LONGEST_LINE`; and its uncut number of bytes."""
        parts, passed, ended = [], 0, False
        while not ended and (ahead := self._ahead or self._file.read(_AHEAD)):
            end = ahead.find(b"\n") + 1 or len(ahead)
            part, self._ahead = ahead[:end], ahead[end:]
            if begun + passed < LONGEST_LINE:
                parts.append(part)
            passed += end
            ended = part.endswith(b"\n")
        return b"".join(parts), passed


def _cut_blocks(stream: _Stream, piece: Piece) -> Iterator[bytes]:
    """Blocks of the lines that begin at `start` or later and before `stop`."""
    lines, position = _Lines(stream), piece.start
    if piece.start:
        position += lines.rest_of_line()[1] - 1
    while position < piece.stop:
        block, passed = lines.block(min(BLOCK_BYTES, piece.stop - position))
        if not block:
            raise InputError(f"'{piece.path}' must not change while it is read. It became shorter. Start again.")
        position += passed
        yield block


def _shared_blocks(stream: _Stream, piece: Piece) -> Iterator[bytes]:
    """The piece's share of the blocks of complete lines."""
    lines = _Lines(stream)
    for number in itertools.count():
        block, _ = lines.block(BLOCK_BYTES)
        if not block:
            return
        if number % piece.shares == piece.share:
            yield block


JSON = Format(
    endings=("json", "jsonl", "ndjson"),
    rows=_rows,
    names=json_names,
    cut=Cut.ANYWHERE,
    is_text=True,
    has_header=False,
    check=_check,
)
