"""The options of the way from review files to labelled reviews, declared once."""

from __future__ import annotations

import dataclasses

from sentispark.options import anything, between, one_of, option, seed_rule

__all__ = ["FORMATS", "ReviewOptions"]

FORMATS = ("auto", "json", "csv", "parquet")


@dataclasses.dataclass(frozen=True)
class ReviewOptions:
    """What is in the review files, and what becomes of it."""

    text_col: str = option("reviewText", anything(), "field that holds the text")
    rating_col: str = option("overall", anything(), "field that holds the rating, 1 to 5")
    format: str = option(
        "auto", one_of(*FORMATS), "format of the files (json: one object a line); auto goes by their names"
    )
    positive_from: float = option(4.0, between(1, 5), "lowest rating that counts as positive")
    validation_share: float = option(0.1, between(0, 1, open_high=True), "share of the texts kept for validation")
    seed: int = option(0, seed_rule(), "seed of the order of the rows")
    test_share: float = option(0.1, between(0, 1, open_high=True), "share of the texts kept for the test")
