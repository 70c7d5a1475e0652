"""The options of reading and labeling reviews, declared once."""

from __future__ import annotations

import dataclasses

from sentispark.options import Rule, between, one_of, option, optional, seed_rule, text
from sentispark.reviews.encoding import is_text_encoding
from sentispark.reviews.formats.csv_form import ESCAPES
from sentispark.reviews.formats.table import FORMATS
from sentispark.reviews.polarity import Polarity, polarity_of
from sentispark.reviews.records import Layout
from sentispark.reviews.scale import DEFAULT_SCALE, is_scale, parse_scale

__all__ = ["FORMAT_CHOICES", "PRESETS", "ReviewOptions", "columns_of", "layout_of"]

FORMAT_CHOICES = ("auto", *FORMATS)

# The names of the text and the rating field in well-known releases.
PRESETS = {
    "amazon2014": ("reviewText", "overall"),  # McAuley's Amazon data, He & McAuley 2016
    "amazon2015": ("review_body", "star_rating"),  # Amazon Customer Reviews, 2015: TSV
    "amazon2018": ("reviewText", "overall"),  # the same, Ni et al. 2019
    "amazon2023": ("text", "rating"),  # the same, Hou et al. 2024
    "finefoods": ("Text", "Score"),  # Amazon Fine Food Reviews, Kaggle
    "imdb": ("review", "sentiment"),  # IMDB Dataset of 50K Movie Reviews, Kaggle: positive or negative
    "tripadvisor": ("Review", "Rating"),  # Trip Advisor Hotel Reviews, Kaggle
    "yelp": ("text", "stars"),  # Yelp Open Dataset
    # Zhang, Zhao & LeCun 2015: 1 is negative and 2 positive, or 1 to 5 stars.
    "amazon_polarity": ("text", "label"),
    "amazon_full": ("text", "label"),
    "yelp_polarity": ("text", "label"),
    "yelp_full": ("text", "label"),
}
# The columns of the releases that are CSV without a header. Line breaks in their texts are written as `\n`.
HEADERLESS = {
    "amazon_polarity": ("label", "title", "text"),
    "amazon_full": ("label", "title", "text"),
    "yelp_polarity": ("label", "text"),
    "yelp_full": ("label", "text"),
}
_DEFAULT = "amazon2018"

# The scales of the releases whose ratings are not on the default scale.
PRESET_SCALES = {"imdb": "negative,positive", "amazon_polarity": "1-2", "yelp_polarity": "1-2"}


def columns_of(preset: str, *, text_col: str, rating_col: str = "overall") -> tuple[str, str]:
    """The names of the text and the rating field: the user's, or the preset's where the user gave none."""
    text, rating = PRESETS[preset]
    default_text, default_rating = PRESETS[_DEFAULT]
    return text if text_col == default_text else text_col, rating if rating_col == default_rating else rating_col


def layout_of(preset: str, *, column_names: str | None, csv_escape: str, encoding: str) -> Layout:
    """How text files are read, by options and preset; `column_names` takes precedence over the preset."""
    columns = tuple(name for name in (column_names or "").split(",") if name) or HEADERLESS.get(preset, ())
    return Layout(columns, csv_escape, encoding, preset in HEADERLESS)


_RATING = Rule("a rating of the scale", lambda value: isinstance(value, (int, float, str)) and value not in (True, ""))


@dataclasses.dataclass(frozen=True)
class ReviewOptions:
    """How review files are read, labeled and split."""

    preset: str = option(
        _DEFAULT, one_of(*PRESETS), "known release, whose field names and rating scale are used by default"
    )
    text_col: str = option(PRESETS[_DEFAULT][0], text(), "field that holds the text")
    rating_col: str = option(PRESETS[_DEFAULT][1], text(), "field that holds the rating")
    format: str = option(
        "auto",
        one_of(*FORMAT_CHOICES),
        "format of the files (json: objects in lines or arrays; tsv: tabs, quotes if found); auto goes by file names",
    )
    column_names: str | None = option(
        None,
        optional(text()),
        "column names, in order, of CSV and TSV files without a header (separated by commas: label,title,text)",
        flag="--columns",
    )
    csv_escape: str = option(
        "auto",
        one_of(*ESCAPES),
        "how quotes in quoted CSV fields are escaped: double (written twice), backslash (as in Spark); auto detects it",
    )
    encoding: str = option(
        "utf-8",
        Rule("a text encoding that Python knows, such as utf-8, cp1252 or utf-16", is_text_encoding),
        "encoding of text files; bytes that cannot be decoded are replaced and counted",
    )
    rating_scale: str = option(
        DEFAULT_SCALE,
        Rule("LOW-HIGH, such as 1-5, or ordered words separated by commas, such as negative,positive", is_scale),
        "the possible ratings: a range, or words from the most negative to the most positive",
    )
    positive_from: float | str = option(
        "auto",
        _RATING,
        "lowest rating that counts as positive; auto uses 7 on 1-10 and 0-10, 3 on 1-4, three quarters of the way up "
        "any other range (4 on 1-5), and the words above the middle",
    )
    negative_to: float | str | None = option(
        None,
        optional(_RATING),
        "highest rating that counts as negative; reviews rated between negative and positive are left out and counted; "
        "with none, every rating that is not positive is negative",
    )
    max_quarantined: float = option(0.9, between(0, 1), "largest share of unusable records; with more, the job stops")
    validation_share: float = option(0.1, between(0, 1, open_high=True), "share of the texts set aside for validation")
    seed: int = option(0, seed_rule(), "seed of the order of the rows")
    test_share: float = option(0.1, between(0, 1, open_high=True), "share of the texts set aside for the test split")

    @property
    def columns(self) -> tuple[str, str]:
        """The names of the text and the rating field."""
        return columns_of(self.preset, text_col=self.text_col, rating_col=self.rating_col)

    @property
    def layout(self) -> Layout:
        """How text files are read."""
        return layout_of(
            self.preset, column_names=self.column_names, csv_escape=self.csv_escape, encoding=self.encoding
        )

    @property
    def scale_name(self) -> str:
        """The rating scale: the user's, or the preset's where the user gave none."""
        return (
            PRESET_SCALES.get(self.preset, DEFAULT_SCALE) if self.rating_scale == DEFAULT_SCALE else self.rating_scale
        )

    @property
    def polarity(self) -> Polarity:
        """Which ratings are positive and which negative. Raises `OptionError` if a limit is off the scale."""
        return polarity_of(parse_scale(self.scale_name), self.positive_from, self.negative_to)
