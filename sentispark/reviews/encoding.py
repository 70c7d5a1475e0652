"""Bytes of text files to text. Undecodable bytes are marked, counted and replaced, and their encoding guessed. Pure."""

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

# Size of the first block, from which a file's dialect and layout are detected.
HEAD_BYTES = 1 << 20

# Characters. Longer lines are cut, so that a file without line breaks does not fill the memory.
_LONGEST_LINE = 64 << 20

# Bytes from which UTF-16 and UTF-32 are detected.
_WIDE_SAMPLE_BYTES = 64 << 10

# Half of a surrogate pair, which decoded text cannot contain: marks bytes that could not be decoded.
_MARK = "\udfff"
_SURROGATES = re.compile("[\ud800-\udfff]")
# The name of the decoders' error handler that turns undecodable bytes into marks.
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
    codecs.BOM_UTF32_LE: "utf-32",  # first, because it begins with the mark of UTF-16
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class Readable(Protocol):
    """A stream of bytes."""

    def read(self, size: int, /) -> bytes:
        """`size` bytes; fewer only at the end."""


def is_text_encoding(name: str) -> bool:
    """Whether Python knows a text encoding of that name."""
    try:
        return isinstance(name, str) and isinstance("a".encode(name), bytes)
    except (LookupError, ValueError):
        return False


def is_cuttable(encoding: str) -> bool:
    """Whether every line-feed byte ends a line, so that files can be cut at line ends without decoding them."""
    return "\n".encode(encoding) == b"\n"


def marked(raw: bytes, encoding: str) -> str:
    """Bytes decoded, with marks for undecodable bytes; see `without_marks`."""
    return raw.decode(encoding, MARK_ERRORS)


def recoded(text: str) -> bytes:
    """Text as UTF-8, with an invalid byte for each mark."""
    return text.encode("utf-8", _TO_BYTE)


def decoded_blocks(file: Readable, encoding: str, *, block_bytes: int) -> Iterator[str]:
    """The text of a file in blocks, with marks for undecodable bytes."""
    decoder = codecs.getincrementaldecoder(encoding)(MARK_ERRORS)
    while raw := file.read(block_bytes):
        yield decoder.decode(raw)
    yield decoder.decode(b"", True)


def blocks_of_lines(file: Readable, encoding: str, *, path: str, block_bytes: int) -> Iterator[list[str]]:
    """The lines of a file with their line ends, in blocks (the first of `HEAD_BYTES`), without a byte order mark.

    Lines end with a line feed, or with a carriage return if the first block has no line feed. Raises what
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
    """A text with U+FFFD for each mark, and the number of marks."""
    return (_SURROGATES.sub("\ufffd", text), text.count(_MARK)) if _MARK in text else (text, 0)


def without_marks(values: Sequence[str | None]) -> tuple[pa.StringArray, dict[int, int]]:
    """Texts as an Arrow array, marks replaced by U+FFFD; and the number of marks by the text's index."""
    try:
        return pa.array(values, pa.string()), {}
    except UnicodeEncodeError:
        counts = {
            index: value.count(_MARK) for index, value in enumerate(values) if value is not None and _MARK in value
        }
        return pa.array([value and _SURROGATES.sub("\ufffd", value) for value in values], pa.string()), counts


def without_surrogates(text: str) -> str:
    """The text with `?` for each half of a surrogate pair, which UTF-8 cannot encode."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32, if a file's first bytes look like it; else None."""
    for mark, name in _BYTE_ORDER_MARKS.items():
        if head.startswith(mark):
            return name
    # Without a mark: all but one byte of each ASCII character are zero.
    zeros = [head[offset::4].count(0) for offset in range(4)]
    most = max(1, len(head) // 4)
    if sum(zeros) < max(2, len(head) // 20):
        return None
    for name, zero_offsets, other in (("utf-32-le", (1, 2, 3), 0), ("utf-32-be", (0, 1, 2), 3)):
        if min(zeros[offset] for offset in zero_offsets) > most * 0.9 > zeros[other]:
            return name
    even, odd = zeros[0] + zeros[2], zeros[1] + zeros[3]
    return "utf-16-le" if odd > 9 * even else "utf-16-be" if even > 9 * odd else None


def require_narrow(head: bytes, encoding: str, *, path: str) -> None:
    """Raise `InputError` if a file to be read as UTF-8 looks like UTF-16 or UTF-32."""
    if codecs.lookup(encoding).name == "utf-8" and (wide := wide_encoding(head[:_WIDE_SAMPLE_BYTES])):
        raise InputError(
            f"'{path}' must be UTF-8, the encoding it is read as. It looks like {wide}. Use --encoding {wide}."
        )


def likely_encoding(raw: bytes) -> str:
    """The encoding of a file with bytes that are not valid UTF-8; `utf-8` if most are valid and the rest is damage."""
    wide = wide_encoding(raw)
    if wide:
        return wide
    text = marked(raw, "utf-8")
    if sum(character > "\x7f" for character in text) > 2 * text.count(_MARK):
        return "utf-8"
    runs = re.findall(rb"[\x80-\xff]+", raw)
    # Accented letters stand alone between ASCII letters; letters of other scripts come in runs, of two bytes each in
    # East Asian encodings.
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
    # Bytes from 0x80 to 0x9f are quotes and dashes in cp1252, and unused control characters in Latin-1.
    return "cp1252" if any(0x80 <= byte <= 0x9F for byte in set(b"".join(runs))) else "latin-1"


def _share(letters: str, raw: bytes, encoding: str) -> float:
    """The share of these letters among the non-ASCII characters; 0 if the bytes cannot be decoded."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(raw)
    except UnicodeDecodeError:
        return 0.0
    return len(re.findall(letters, text)) / max(1, len(re.findall("[^\x00-\x7f]", text)))
