"""A piece of a file of JSON in, batches of its records out."""

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
from sentispark.reviews.formats.json_layout import HEAD_BYTES, is_one_a_line, json_objects, no_records
from sentispark.reviews.formats.json_lines import LineDecoder, lenient_json
from sentispark.reviews.formats.json_names import json_names
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import BATCH_ROWS, BLOCK_BYTES, ByteStream, Fields, Layout, as_batch, decompressed

__all__ = ["JSON"]

# A longer line is cut there, and so is none that can be read.
LONGEST_LINE = 16 << 20
_AHEAD = 64 << 10


def _rows(piece: Piece, fields: Fields, layout: Layout) -> Iterator[pa.RecordBatch]:
    """The records of a piece, as `read_piece` gives them."""
    decoder = LineDecoder(fields.text, fields.rating, fields.names)
    with decompressed(piece) as file:
        head, stream = _begun(file, piece)
        _require_records(piece, head, fields, layout.encoding)
        if is_one_a_line(marked(head, layout.encoding)):
            found: Iterator[list[Any]] = map(decoder.lines, _blocks(stream, piece, layout.encoding))
        elif piece.start or piece.share:
            return  # objects are found only by reading from the beginning, and whoever has that reads them all
        else:
            found = _objects(stream, layout.encoding, decoder)
        for lines in found:
            for start in range(0, len(lines), BATCH_ROWS):
                some = lines[start : start + BATCH_ROWS]
                *columns, broken = decoder.columns(some)
                named = dict(zip(fields.names, columns, strict=True))
                yield as_batch(named, broken, fields, replaced=[decoder.replaced(some)])


def _check(piece: Piece, fields: Fields, layout: Layout) -> None:
    """Raise `InputError` if the beginning of a file tells that it does not hold an object for each review."""
    with decompressed(piece) as file:
        _require_records(piece, file.read(HEAD_BYTES), fields, layout.encoding)


def _require_records(piece: Piece, head: bytes, fields: Fields, encoding: str) -> None:
    require_narrow(head, encoding, path=piece.path)
    if problem := no_records(marked(head, encoding), fields.names):
        raise InputError(f"'{piece.path}' must hold one JSON object a review. {problem}")


class _Stream:
    """A file of which some bytes have been read, which come again."""

    def __init__(self, begun: bytes, file: ByteStream) -> None:
        self._begun, self._file = begun, file

    def read(self, size: int) -> bytes:
        """So many bytes; fewer at the end alone."""
        begun, self._begun = self._begun[:size], self._begun[size:]
        return begun + self._file.read(size - len(begun)) if len(begun) < size else begun


def _begun(file: ByteStream, piece: Piece) -> tuple[bytes, _Stream]:
    """The first bytes of a file; and what is read of it, from just before the piece on."""
    if piece.compression is None and piece.start:
        fs, location = Folder(piece.path).location
        file.seek(piece.start - 1)
        return fs.cat_file(location, start=0, end=HEAD_BYTES), _Stream(b"", file)
    head = file.read(HEAD_BYTES)
    return head, _Stream(head, file)


def _objects(stream: _Stream, encoding: str, decoder: LineDecoder) -> Iterator[list[Any]]:
    """Lists of records of bounded number and size."""
    held, size = [], 0
    for value, text in json_objects(decoded_blocks(stream, encoding, block_bytes=BLOCK_BYTES)):
        text, replaced = replaced_marks(text)
        held.append(decoder.record(lenient_json(text)[0] if replaced else value, text, replaced))
        size += len(text)
        if len(held) == BATCH_ROWS or size > BLOCK_BYTES:
            yield held
            held, size = [], 0
    yield held


def _blocks(stream: _Stream, piece: Piece, encoding: str) -> Iterator[bytes]:
    """Blocks of whole lines in UTF-8, but for bytes that are no text."""
    if not is_cuttable(encoding):
        line_blocks = blocks_of_lines(stream, encoding, path=piece.path, block_bytes=BLOCK_BYTES)
        return (recoded("".join(lines)) for lines in itertools.islice(line_blocks, piece.share, None, piece.shares))
    blocks = _cut_blocks(stream, piece) if piece.compression is None else _packed_blocks(stream, piece)
    if codecs.lookup(encoding).name == "utf-8":
        return blocks
    return (recoded(marked(block, encoding)) for block in blocks)


class _Lines:
    """A stream in blocks of whole lines. What was read ahead of a line's end begins the next block."""

    def __init__(self, file: _Stream) -> None:
        self._file, self._ahead = file, b""

    def block(self, size: int) -> tuple[bytes, int]:
        """`size` bytes and the rest of their last line; and how many of the file's bytes that is."""
        block, self._ahead = self._ahead[:size], self._ahead[size:]
        if len(block) < size:
            block += self._file.read(size - len(block))
        if not block or block.endswith(b"\n"):
            return block, len(block)
        rest, passed = self.rest_of_line(len(block) - block.rfind(b"\n") - 1)
        return block + rest, len(block) + passed

    def rest_of_line(self, begun: int = 0) -> tuple[bytes, int]:
        """All up to the end of a line begun so many bytes ago, cut if that is far; and how many bytes it has."""
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
    """Blocks of whole lines: those that begin from `start` on and before `stop`."""
    lines, position = _Lines(stream), piece.start
    if piece.start:
        position += lines.rest_of_line()[1] - 1
    while position < piece.stop:
        block, passed = lines.block(min(BLOCK_BYTES, piece.stop - position))
        if not block:
            raise InputError(f"'{piece.path}' must stay as it is while it is read. It has become shorter.")
        position += passed
        yield block


def _packed_blocks(stream: _Stream, piece: Piece) -> Iterator[bytes]:
    """The piece's share of the blocks of whole lines."""
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
