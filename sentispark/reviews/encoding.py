"""Bytes of text files to text; what cannot be decoded is marked, counted and replaced, its encoding guessed. Pure."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator, Sequence
from typing import Protocol

import pyarrow as pa

from sentispark.errors import InputError

__all__ = [
    "HEAD_BYTES",
    "MARK_ERRORS",
    "Readable",
    "blocks_of_lines",
    "decoded_blocks",
    "is_cuttable",
    "is_text_encoding",
    "likely_encoding",
    "marked",
    "recoded",
    "replaced_marks",
    "require_narrow",
    "wide_encoding",
    "without_marks",
    "without_surrogates",
]

# The first block's bytes: what a file's form is told from.
HEAD_BYTES = 1 << 20

# Characters; a line that is longer is cut there, as one line without end must not fill the memory.
_LONGEST_LINE = 64 << 20

# Bytes by which UTF-16 is told.
_LOOKED_AT = 64 << 10

# Half a surrogate pair, which no text has that was decoded: stands where bytes could not be.
_MARK = "\udfff"
_HALVES = re.compile("[\ud800-\udfff]")
# How bytes that cannot be decoded become marks, as an error handler of decoders.
MARK_ERRORS = "sentispark.mark"

_TO_BYTE = "sentispark.mark_to_byte"


def _to_mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _MARK, error.end


def _mark_to_byte(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return b"\xff" * (error.end - error.start), error.end


codecs.register_error(MARK_ERRORS, _to_mark)
codecs.register_error(_TO_BYTE, _mark_to_byte)

_BYTE_ORDER_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",  # begins as that of UTF-16 does
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """`size` bytes; fewer only at the end."""


def is_text_encoding(name: str) -> bool:
    """Whether Python knows an encoding of text by that name."""
    try:
        return isinstance(name, str) and isinstance("a".encode(name), bytes)
    except (LookupError, ValueError):
        return False


def is_cuttable(encoding: str) -> bool:
    """Whether a byte that looks like a line's end always is one, so that a file can be cut there."""
    return "\n".encode(encoding) == b"\n"


def marked(raw: bytes, encoding: str) -> str:
    """The text of some bytes; what cannot be decoded is marked, for `without_marks`."""
    return raw.decode(encoding, MARK_ERRORS)


def recoded(text: str) -> bytes:
    """Text as UTF-8; each mark as a byte that none is."""
    return text.encode("utf-8", _TO_BYTE)


def decoded_blocks(file: Readable, encoding: str, *, block_bytes: int) -> Iterator[str]:
    """The text of a file in blocks; what cannot be decoded is marked."""
    decoder = codecs.getincrementaldecoder(encoding)(MARK_ERRORS)
    while raw := file.read(block_bytes):
        yield decoder.decode(raw)
    yield decoder.decode(b"", True)


def blocks_of_lines(file: Readable, encoding: str, *, path: str, block_bytes: int) -> Iterator[list[str]]:
    """The lines of a file with their ends, in blocks, the first of `HEAD_BYTES`; a byte order mark is left out.

    Lines end with a line feed, or with a carriage return where the first block has no other. Raises what
    `require_narrow` raises.
    """
    decoder = codecs.getincrementaldecoder(encoding)(MARK_ERRORS)
    raw = file.read(HEAD_BYTES)
    require_narrow(raw, encoding, path=path)
    text = decoder.decode(raw, not raw).removeprefix("\ufeff")
    end = "\r" if "\r" in text and "\n" not in text else "\n"
    while raw:
        complete = text.rfind(end) + 1
        if complete:
            yield io.StringIO(text[:complete], newline=end).readlines()
        raw = file.read(block_bytes)
        text = text[complete:] + decoder.decode(raw, not raw)
        if len(text) > _LONGEST_LINE and end not in text:
            yield [text]
            text = ""
    if text:
        yield io.StringIO(text, newline=end).readlines()


def replaced_marks(text: str) -> tuple[str, int]:
    """A text with U+FFFD for each mark, and how many there were."""
    return (_HALVES.sub("\ufffd", text), text.count(_MARK)) if _MARK in text else (text, 0)


def without_marks(values: Sequence[str | None]) -> tuple[pa.StringArray, dict[int, int]]:
    """Texts as Arrow has them, marks replaced by U+FFFD; and how many there were, by the place of the text."""
    try:
        return pa.array(values, pa.string()), {}
    except UnicodeEncodeError:
        counts = {
            place: value.count(_MARK) for place, value in enumerate(values) if value is not None and _MARK in value
        }
        return pa.array([value and _HALVES.sub("\ufffd", value) for value in values], pa.string()), counts


def without_surrogates(text: str) -> str:
    """The text with `?` for each half of a surrogate pair, which UTF-8 cannot hold."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def wide_encoding(head: bytes) -> str | None:
    """The encoding of a file, by its first bytes, if that is UTF-16 or UTF-32; None if it is not."""
    for mark, name in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return name
    # Without a mark: of each character of ASCII the other bytes are zero.
    zeros = [head[place::4].count(0) for place in range(4)]
    most = max(1, len(head) // 4)
    if sum(zeros) < max(2, len(head) // 20):
        return None
    for name, places, other in (("utf-32-le", (1, 2, 3), 0), ("utf-32-be", (0, 1, 2), 3)):
        if min(zeros[place] for place in places) > most * 0.9 > zeros[other]:
            return name
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    return "utf-16-le" if odd > 9 * even else "utf-16-be" if even > 9 * odd else None


def require_narrow(head: bytes, encoding: str, *, path: str) -> None:
    """Raise `InputError` if a file that is taken for UTF-8 begins as UTF-16 or UTF-32 do."""
    if codecs.lookup(encoding).name == "utf-8" and (wide := wide_encoding(head[:_LOOKED_AT])):
        raise InputError(
            f"'{path}' must be UTF-8, unless another encoding is named. It is {wide}: give --encoding {wide}."
        )


def likely_encoding(raw: bytes) -> str:
    """The encoding of a file of which some bytes are no UTF-8; `utf-8` if most are, so that the rest is damage."""
    wide = wide_encoding(raw)
    if wide:
        return wide
    text = marked(raw, "utf-8")
    if sum(character > "\x7f" for character in text) > 2 * text.count(_MARK):
        return "utf-8"
    runs = re.findall(rb"[\x80-\xff]+", raw)
    # European letters stand alone among those of ASCII; others in runs, of two bytes a letter in East Asia.
    if sum(len(run) > 1 and len(run) % 2 == 0 for run in runs) > 0.7 * len(runs):
        for name, letters, share in (
            ("shift_jis", "[\u3040-\u30ff]", 0.3),
            ("euc_kr", "[\uac00-\ud7a3]", 0.8),
            ("gb18030", "[\u4e00-\u9fff]", 0.5),
        ):
            if _share(letters, raw, name) > share:
                return name
    if sum(map(len, runs)) > 2.5 * len(runs):
        return "cp1251"
    # Bytes from 0x80 to 0x9f are quotes and dashes in Windows' encoding, and nothing that is written in Latin-1.
    return "cp1252" if any(0x80 <= byte <= 0x9F for byte in set(b"".join(runs))) else "latin-1"


def _share(letters: str, raw: bytes, encoding: str) -> float:
    """Which share of the characters beyond ASCII are such letters; 0 where the bytes cannot be decoded."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(raw)
    except UnicodeDecodeError:
        return 0.0
    return len(re.findall(letters, text)) / max(1, len(re.findall("[^\x00-\x7f]", text)))
