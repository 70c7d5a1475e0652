"""The warning about replaced characters: how many there are, and the likely encoding of their file."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sentispark.reviews.encoding import HEAD_BYTES, likely_encoding
from sentispark.reviews.formats.table import FORMATS
from sentispark.reviews.pieces import Piece
from sentispark.reviews.read import Reviews
from sentispark.reviews.records import decompressed

__all__ = ["warn_about_replaced"]

# Bytes, over all files, that are searched for the first undecodable one.
_SEARCHED_BYTES = 256 << 20

_log = logging.getLogger(__name__)


def warn_about_replaced(reviews: Reviews, *, rows: int, characters: int) -> None:
    """Log the number of replaced characters, if there are any, and the encoding to use instead."""
    if not characters:
        return
    found = _first_undecodable([task_piece for task in reviews.tasks for task_piece in task], reviews.layout.encoding)
    advice = ""
    if found is not None:
        path, raw = found
        likely = likely_encoding(raw)
        advice = (
            f" '{path}' looks like damaged UTF-8."
            if likely == "utf-8"
            else f" '{path}' looks like {likely}. Use --encoding {likely}."
        )
    _log.warning(
        "%d characters in %d records were replaced by U+FFFD, because their bytes are not valid %s.%s",
        characters,
        rows,
        reviews.layout.encoding,
        advice,
    )


def _first_undecodable(pieces: Sequence[Piece], encoding: str) -> tuple[str, bytes] | None:
    """The first text file with undecodable bytes, and the block of bytes that contains them."""
    left = _SEARCHED_BYTES
    for path, piece in {piece.path: piece for piece in pieces if FORMATS[piece.format].is_text}.items():
        with decompressed(piece) as file:
            while left > 0 and (raw := file.read(HEAD_BYTES)):
                left -= len(raw)
                raw += file.readline(HEAD_BYTES)
                try:
                    raw.decode(encoding)
                except UnicodeDecodeError:
                    return path, raw
    return None
