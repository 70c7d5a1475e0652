"""What is said when characters were replaced: how many, and which encoding their file most likely has."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sentispark.reviews.encoding import HEAD_BYTES, likely_encoding
from sentispark.reviews.formats.table import FORMATS
from sentispark.reviews.pieces import Piece
from sentispark.reviews.read import Reviews
from sentispark.reviews.records import decompressed

__all__ = ["warn_of_replaced"]

# Bytes of all files together that are looked through for one that is no text.
_LOOKED_THROUGH = 256 << 20

_log = logging.getLogger(__name__)


def warn_of_replaced(reviews: Reviews, *, rows: int, characters: int) -> None:
    """Log how many characters of how many records were replaced, if any were, and what would read them."""
    if not characters:
        return
    found = _first_not_decoded([task_piece for task in reviews.tasks for task_piece in task], reviews.layout.encoding)
    advice = ""
    if found is not None:
        path, raw = found
        likely = likely_encoding(raw)
        advice = (
            f" '{path}' looks like UTF-8 that was damaged."
            if likely == "utf-8"
            else f" '{path}' looks like {likely}: give --encoding {likely}."
        )
    _log.warning(
        "%d characters in %d records were read as U+FFFD, in place of bytes that are not valid %s.%s",
        characters,
        rows,
        reviews.layout.encoding,
        advice,
    )


def _first_not_decoded(pieces: Sequence[Piece], encoding: str) -> tuple[str, bytes] | None:
    """The first file of text with bytes that cannot be decoded, and some of its bytes around them."""
    left = _LOOKED_THROUGH
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
