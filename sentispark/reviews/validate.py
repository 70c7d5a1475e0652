"""Raw records to cleaned reviews, or to the reason why a record is not usable. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from sentispark.reviews.scale import Scale
from sentispark.text.markup import clean_markup, is_blank

__all__ = ["BLANK_TEXT", "BROKEN", "NO_RATING", "NO_TEXT", "RECORD_CHARACTERS", "spelled_ratings", "validate_records"]

BROKEN = "broken record"
NO_TEXT = "no text"
BLANK_TEXT = "blank text"
NO_RATING = "no rating"

# A broken line, and each field of another unusable record, is cut to this length in the quarantine.
RECORD_CHARACTERS = 100_000

_MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")


def validate_records(batch: pa.RecordBatch, *, file: str, scale: Scale | None, markup: str = "clean") -> pa.RecordBatch:
    """Whether each record is a usable review, and why not if it is not.

    Parameters
    ----------
    batch : RecordBatch
        `text`, `stars`, `broken`, `why`, `replaced` and possibly `extra`, as `read_piece` returns them.
    file : str
        The file that the records come from.
    scale : Scale or None
        The rating scale; None if reviews do not need a rating.
    markup : {"clean", "keep"}
        Whether HTML is removed from texts. A text of only white space, or empty after cleaning, is blank.

    Returns
    -------
    RecordBatch
        `text` (never blank) and `rating` (double; null without a scale) of usable reviews; `reason`, `file` and
        `record` (what was read, cut to `RECORD_CHARACTERS`) of all others; `replaced`, and `extra` if the input has
        it, unchanged.
    """
    raw, stars, broken = (batch.column(name) for name in ("text", "stars", "broken"))
    text = clean_markup(raw) if markup == "clean" else raw
    blank = pc.equal(text, "") if markup == "clean" else is_blank(text)
    nothing = pa.nulls(len(batch), pa.string())
    rating, reason = (nothing.cast(pa.float64()), nothing) if scale is None else _ratings(stars, scale)
    for mask, why in (
        (blank.fill_null(False), BLANK_TEXT),
        (raw.is_null(), NO_TEXT),
        (broken.is_valid(), pc.fill_null(batch.column("why"), BROKEN)),
    ):
        reason = pc.if_else(mask, why, reason)
    bad = reason.is_valid()
    record = nothing
    if pc.any(bad).as_py():
        text, rating = _null_where(bad, text), pc.if_else(bad, pa.scalar(None, rating.type), rating)
        record = pc.replace_with_mask(record, bad, _records(*(column.filter(bad) for column in (raw, stars, broken))))
    columns = {
        "text": text,
        "rating": rating,
        "reason": reason,
        "file": pc.if_else(bad, file, pa.scalar(None, pa.string())),
        "record": record,
        "replaced": batch.column("replaced"),
        **({"extra": batch.column("extra")} if "extra" in batch.schema.names else {}),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _null_where(mask: pa.BooleanArray, texts: pa.StringArray) -> pa.StringArray:
    """The texts, null where the mask is true. No text is copied."""
    texts = pa.concat_arrays([texts]) if texts.offset else texts
    validity = pc.and_(texts.is_valid(), pc.invert(mask)).buffers()[1]
    return pa.StringArray.from_buffers(len(texts), *texts.buffers()[1:], validity)


def _ratings(stars: pa.StringArray, scale: Scale) -> tuple[pa.DoubleArray, pa.StringArray]:
    """The ratings, and the reason where there is none. Each distinct spelling is parsed once."""
    spelled = stars.dictionary_encode()
    parsed = [_rating(one, scale) for one in spelled.dictionary.to_pylist()]
    ratings = pa.array([rating for rating, _ in parsed], pa.float64()).take(spelled.indices)
    reasons = pa.array([reason for _, reason in parsed], pa.string()).take(spelled.indices)
    return ratings, pc.if_else(stars.is_null(), NO_RATING, reasons)


def _rating(spelled: str, scale: Scale) -> tuple[float | None, str | None]:
    """The rating of a spelling, or the reason why it is not a rating."""
    rating = scale.rating(spelled)
    if rating is not None:
        return rating, None
    return None, NO_RATING if spelled.strip(' "') in _MISSING else scale.outside_reason


def _records(texts: pa.Array, stars: pa.Array, broken: pa.Array) -> pa.StringArray:
    """What was read: the broken line itself, or the fields that are present as JSON, cut to `RECORD_CHARACTERS`."""

    def record(line: str | None, fields: Sequence[str | None]) -> str:
        if line is not None:
            return _cut(line)
        named = zip(("text", "rating"), fields, strict=True)
        present = {name: _cut(value) for name, value in named if value is not None}
        return msgspec.json.encode(present).decode()

    fields = zip(texts.to_pylist(), stars.to_pylist(), strict=True)
    return pa.array(map(record, broken.to_pylist(), fields), pa.string())


def _cut(text: str) -> str:
    return text if len(text) <= RECORD_CHARACTERS else f"{text[:RECORD_CHARACTERS]}… ({len(text)} characters)"


class _Rated(msgspec.Struct):
    rating: str | None = None


def spelled_ratings(records: pa.StringArray) -> list[str | None]:
    """The ratings of quarantined records that could be parsed, as spelled in their files."""
    decode = msgspec.json.Decoder(_Rated).decode
    return [decode(record).rating for record in records.to_pylist()]
