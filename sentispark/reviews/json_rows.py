"""A piece of a file of JSON lines in, batches of its records out."""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from sentispark.errors import InputError
from sentispark.reviews.encoding import blocks_of_lines, is_cuttable, marked, recoded, require_narrow
from sentispark.reviews.json_lines import LineDecoder
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import BATCH_ROWS, BLOCK_BYTES, Fields, Layout, as_batch, opened

__all__ = ["json_rows"]


def json_rows(piece: Piece, fields: Fields, layout: Layout) -> Iterator[pa.RecordBatch]:
    """The records of a piece, as `read_piece` gives them."""
    decoder = LineDecoder(fields.text, fields.rating, fields.names)
    with opened(piece) as file:
        for block in _blocks(file, piece, layout.encoding):
            lines = decoder.lines(block)
            for start in range(0, len(lines), BATCH_ROWS):
                some = lines[start : start + BATCH_ROWS]
                *columns, broken = decoder.columns(some)
                named = dict(zip(fields.names, columns, strict=True))
                yield as_batch(named, broken, fields, replaced=[decoder.replaced(some)])


def _blocks(file: BinaryIO, piece: Piece, encoding: str) -> Iterator[bytes]:
    """Blocks of whole lines in UTF-8, but for bytes that are no text."""
    if not is_cuttable(encoding):
        blocks = blocks_of_lines(file, encoding, path=piece.path, block_bytes=BLOCK_BYTES)
        return (recoded("".join(lines)) for lines in itertools.islice(blocks, piece.share, None, piece.shares))
    blocks = _cut_blocks(file, piece) if piece.compression is None else _packed_blocks(file, piece)
    if codecs.lookup(encoding).name == "utf-8":
        return _narrow(blocks, piece, encoding)
    return (recoded(marked(block, encoding)) for block in blocks)


def _narrow(blocks: Iterator[bytes], piece: Piece, encoding: str) -> Iterator[bytes]:
    """The blocks, if the first is not of UTF-16 or UTF-32."""
    first = next(blocks, b"")
    if not piece.start:
        require_narrow(first, encoding, path=piece.path)
    return itertools.chain([first], blocks)


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
