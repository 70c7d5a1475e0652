"""Records as they stand in a file in; cleaned reviews, and the reason why a record is none, out. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from sentispark.reviews.scale import Scale
from sentispark.text.markup import clean_markup, is_blank

__all__ = ["BLANK_TEXT", "BROKEN", "NO_RATING", "NO_TEXT", "RECORD_CHARACTERS", "judge", "spelled_ratings"]

BROKEN = "broken record"
NO_TEXT = "no text"
BLANK_TEXT = "blank text"
NO_RATING = "no rating"

# So much is kept of a line that is broken, and of each field of another record.
RECORD_CHARACTERS = 100_000

_MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")


def judge(batch: pa.RecordBatch, *, file: str, scale: Scale | None, markup: str = "clean") -> pa.RecordBatch:
    """What each record is: a review, or something for the quarantine.

    Parameters
    ----------
    batch : RecordBatch
        `text`, `stars`, `broken`, `why`, `replaced` and maybe `kept`, as `read_piece` gives them.
    file : str
        Where they come from.
    scale : Scale or None
        What the ratings are on; None where a review needs none.
    markup : {"clean", "keep"}
        Whether texts are cleaned or stay as they are. Blank is a text of which nothing, or blanks alone, are left.

    Returns
    -------
    RecordBatch
        `text` (never blank) and `rating` (double; null where none is needed) of the reviews; `reason`, `file` and
        `record` (what was read, cut where it is absurdly long) of all others; `replaced` as it comes; `kept` where the
        input has it.
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
        **({"kept": batch.column("kept")} if "kept" in batch.schema.names else {}),
    }
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _null_where(mask: pa.BooleanArray, texts: pa.StringArray) -> pa.StringArray:
    """The texts without those of the mask; none of them is copied."""
    texts = pa.concat_arrays([texts]) if texts.offset else texts
    validity = pc.and_(texts.is_valid(), pc.invert(mask)).buffers()[1]
    return pa.StringArray.from_buffers(len(texts), *texts.buffers()[1:], validity)


def _ratings(stars: pa.StringArray, scale: Scale) -> tuple[pa.DoubleArray, pa.StringArray]:
    """The ratings and why there is none; each distinct spelling is judged once."""
    spelled = stars.dictionary_encode()
    judged = [_rating(one, scale) for one in spelled.dictionary.to_pylist()]
    ratings = pa.array([rating for rating, _ in judged], pa.float64()).take(spelled.indices)
    reasons = pa.array([reason for _, reason in judged], pa.string()).take(spelled.indices)
    return ratings, pc.if_else(stars.is_null(), NO_RATING, reasons)


def _rating(spelled: str, scale: Scale) -> tuple[float | None, str | None]:
    """The rating that a spelling means, or the reason why it means none."""
    rating = scale.rating(spelled)
    if rating is not None:
        return rating, None
    return None, NO_RATING if spelled.strip(' "') in _MISSING else scale.outside


def _records(texts: pa.Array, stars: pa.Array, broken: pa.Array) -> pa.StringArray:
    """What was read of the records: the broken line itself, or the fields that were there, as JSON; cut where long."""

    def record(line: str | None, fields: Sequence[str | None]) -> str:
        if line is not None:
            return _cut(line)
        named = zip(("text", "rating"), fields, strict=True)
        there = {name: _cut(value) for name, value in named if value is not None}
        return msgspec.json.encode(there).decode()

    fields = zip(texts.to_pylist(), stars.to_pylist(), strict=True)
    return pa.array(map(record, broken.to_pylist(), fields), pa.string())


def _cut(text: str) -> str:
    return text if len(text) <= RECORD_CHARACTERS else f"{text[:RECORD_CHARACTERS]}… ({len(text)} characters)"


class _Rated(msgspec.Struct):
    rating: str | None = None


def spelled_ratings(records: pa.StringArray) -> list[str | None]:
    """The ratings, as they stood in the files, of quarantined records that could be parsed."""
    decode = msgspec.json.Decoder(_Rated).decode
    return [decode(record).rating for record in records.to_pylist()]
