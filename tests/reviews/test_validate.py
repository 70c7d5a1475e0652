"""Raw records become reviews, or are unusable for a reason."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.reviews.scale import parse_scale
from sentispark.reviews.validate import validate_records

texts = st.none() | st.text(st.characters(codec="utf-8"), max_size=20)
spellings = texts | st.integers(-9, 9).map(str) | st.floats().map(str)


@given(st.lists(st.tuples(texts, spellings), max_size=8))
def test_every_record_is_a_review_or_has_its_reason(pairs):
    batch = pa.RecordBatch.from_pylist(
        [{"text": text, "stars": stars, "broken": None, "why": None, "replaced": 0} for text, stars in pairs],
        schema=pa.schema(
            [
                ("text", pa.string()),
                ("stars", pa.string()),
                ("broken", pa.string()),
                ("why", pa.string()),
                ("replaced", pa.int32()),
            ]
        ),
    )
    validated = validate_records(batch, file="a", scale=parse_scale("1-5")).to_pylist()
    assert len(validated) == len(pairs)
    for row in validated:
        if row["reason"] is None:
            assert row["text"].strip()
            assert 1 <= row["rating"] <= 5
            assert row["record"] is row["file"] is None
        else:
            assert row["text"] is row["rating"] is None
            assert row["file"] == "a"
            assert row["record"]


@pytest.mark.parametrize(("spelling", "stars"), [("positive", 5.0), ("Negative", 1.0), ("neutral", None)])
def test_positive_and_negative_are_five_stars_and_one(spelling, stars):
    nothing = pa.nulls(1, pa.string())
    columns = {"text": ["x"], "stars": [spelling], "broken": nothing, "why": nothing, "replaced": [0]}
    batch = pa.RecordBatch.from_pydict(columns)
    assert validate_records(batch, file="a", scale=parse_scale("1-5")).column("rating").to_pylist() == [stars]
