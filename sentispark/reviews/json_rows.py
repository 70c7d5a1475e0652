"""A piece of a file of JSON lines in, batches of its records out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import BinaryIO

import pyarrow as pa

from sentispark.errors import InputError
from sentispark.reviews.json_lines import LineDecoder
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import BATCH_ROWS, BLOCK_BYTES, Fields, as_batch, opened

__all__ = ["json_rows"]


def json_rows(piece: Piece, fields: Fields) -> Iterator[pa.RecordBatch]:
    """The records of a piece, as `read_piece` gives them."""
    decoder = LineDecoder(fields.text, fields.rating, fields.names)
    with opened(piece) as file:
        blocks = _cut_blocks(file, piece) if piece.compression is None else _packed_blocks(file, piece)
        for block in blocks:
            lines = decoder.lines(block)
            for start in range(0, len(lines), BATCH_ROWS):
                *columns, broken = decoder.columns(lines[start : start + BATCH_ROWS])
                yield as_batch(dict(zip(fields.names, columns, strict=True)), broken, fields)


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
