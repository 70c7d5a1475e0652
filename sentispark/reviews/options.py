"""The options of the way from review files to labelled reviews, declared once."""

from __future__ import annotations

import dataclasses

from sentispark.options import anything, between, one_of, option, seed_rule

__all__ = ["FORMATS", "PRESETS", "ReviewOptions", "columns_of"]

FORMATS = ("auto", "json", "csv", "parquet")

# The fields of the text and of the rating in the releases that people have.
PRESETS = {
    "amazon2014": ("reviewText", "overall"),  # McAuley's Amazon data, He & McAuley 2016
    "amazon2018": ("reviewText", "overall"),  # the same, Ni et al. 2019
    "amazon2023": ("text", "rating"),  # the same, Hou et al. 2024
    "finefoods": ("Text", "Score"),  # Amazon Fine Food Reviews, Kaggle
    "imdb": ("review", "sentiment"),  # IMDB Dataset of 50K Movie Reviews, Kaggle: positive or negative
    "tripadvisor": ("Review", "Rating"),  # Trip Advisor Hotel Reviews, Kaggle
    "yelp": ("text", "stars"),  # Yelp Open Dataset
}
_DEFAULT = "amazon2018"


def columns_of(preset: str, *, text_col: str, rating_col: str = "overall") -> tuple[str, str]:
    """The fields of the text and of the rating: those named by hand, the preset's where they were left alone."""
    text, rating = PRESETS[preset]
    default_text, default_rating = PRESETS[_DEFAULT]
    return text if text_col == default_text else text_col, rating if rating_col == default_rating else rating_col


@dataclasses.dataclass(frozen=True)
class ReviewOptions:
    """What is in the review files, and what becomes of it."""

    preset: str = option(_DEFAULT, one_of(*PRESETS), "release whose names the fields have, where they are not given")
    text_col: str = option(PRESETS[_DEFAULT][0], anything(), "field that holds the text")
    rating_col: str = option(
        PRESETS[_DEFAULT][1], anything(), "field that holds the rating, 1 to 5, or positive and negative, for 5 and 1"
    )
    format: str = option(
        "auto", one_of(*FORMATS), "format of the files (json: one object a line); auto goes by their names"
    )
    positive_from: float = option(4.0, between(1, 5), "lowest rating that counts as positive")
    validation_share: float = option(0.1, between(0, 1, open_high=True), "share of the texts kept for validation")
    seed: int = option(0, seed_rule(), "seed of the order of the rows")
    test_share: float = option(0.1, between(0, 1, open_high=True), "share of the texts kept for the test")

    @property
    def columns(self) -> tuple[str, str]:
        """The fields of the text and of the rating."""
        return columns_of(self.preset, text_col=self.text_col, rating_col=self.rating_col)
