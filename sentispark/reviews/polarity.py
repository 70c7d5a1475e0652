"""Which ratings are positive and which negative, and whether ratings are on the scale at all. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from sentispark.errors import OptionError
from sentispark.reviews.scale import Scale, parse_scale

__all__ = ["LEFT_OUT", "Polarity", "fitting_scale", "off_scale_message", "one_class_message", "polarity_of"]

LEFT_OUT = -1

# With this share of the ratings off the scale, the scale is considered wrong.
_OUTSIDE_SHARE = 0.1
# A scale is suggested if at least this share of the ratings is on it.
_FITTING_SHARE = 0.99
_SHOWN = 5

# From narrow to wide: the first one that fits is suggested.
_USUAL_SCALES = (
    *("negative,positive", "negative,neutral,positive", "neg,pos", "neg,neu,pos", "bad,good", "bad,ok,good", "no,yes"),
    *("0-1", "1-2", "-1-1", "1-5", "0-4", "0-5", "1-10", "0-10", "0-100"),
)


class Polarity(NamedTuple):
    """Which ratings of a scale are positive, negative, or neither.

    Attributes
    ----------
    scale : Scale
    positive_from : float
        The lowest positive rating.
    negative_to : float or None
        The highest negative rating; None if every rating that is not positive is negative.
    """

    scale: Scale
    positive_from: float
    negative_to: float | None = None

    def labels(self, ratings: np.ndarray) -> np.ndarray:
        """1 for positive, 0 for negative, `LEFT_OUT` for neither.

        Parameters
        ----------
        ratings : ndarray of shape (n,), dtype=float64

        Returns
        -------
        ndarray of shape (n,), dtype=int32

        Examples
        --------
        >>> polarity = polarity_of(parse_scale("1-5"), negative_to=2)
        >>> polarity.labels(np.array([5.0, 4.0, 3.0, 1.0])).tolist()
        [1, 1, -1, 0]
        """
        labels = (ratings >= self.positive_from).astype(np.int32)
        if self.negative_to is not None:
            labels[(ratings > self.negative_to) & (ratings < self.positive_from)] = LEFT_OUT
        return labels


def polarity_of(scale: Scale, positive_from: float | str = "auto", negative_to: float | str | None = None) -> Polarity:
    """The polarity of a scale, from limits given as numbers or in the scale's own spelling.

    Parameters
    ----------
    scale : Scale
    positive_from : float or str
        The lowest positive rating, above the lowest of the scale; "auto" uses the scale's default.
    negative_to : float, str or None
        The highest negative rating, below `positive_from`; None leaves no rating out.

    Raises
    ------
    OptionError
        If a limit is off the scale or out of order.
    """
    lowest = scale.positive_from if positive_from == "auto" else _rating_on(scale, positive_from, "--positive-from")
    if lowest <= scale.low:
        raise OptionError(
            f"'--positive-from' must be above the lowest rating of the scale {scale.name}, or nothing is negative. "
            f"Got {positive_from}."
        )
    highest = None if negative_to is None else _rating_on(scale, negative_to, "--negative-to")
    if highest is not None and highest >= lowest:
        raise OptionError(
            f"'--negative-to' must be below the lowest positive rating ({scale.spelled(lowest)}). Got {negative_to}."
        )
    return Polarity(scale, lowest, highest)


def _rating_on(scale: Scale, limit: float | str, flag: str) -> float:
    rating = scale.rating(str(limit))
    if rating is None:
        raise OptionError(f"'{flag}' must be a rating of the scale {scale.name}. Got {limit}.")
    return rating


def off_scale_message(polarity: Polarity, seen: Mapping[str, int], *, inside: int, outside: int) -> str | None:
    """An error message if too many ratings are off the scale, with a suggestion; None if the scale may be right.

    Parameters
    ----------
    polarity : Polarity
    seen : mapping of str to int
        The count of each spelling of a rating; rare ones may be missing.
    inside, outside : int
        Number of ratings on and off the scale.
    """
    scale, ratings = polarity.scale, inside + outside
    if not outside or outside < _OUTSIDE_SHARE * ratings:
        return None
    others = {spelled: count for spelled, count in seen.items() if scale.rating(spelled) is None}
    return (
        f"More than nine tenths of the ratings must be on the scale {scale.name}. Of {ratings}, {outside} are not: "
        f"{_shown(others)}. {_advice(seen, polarity)}"
    )


def one_class_message(polarity: Polarity, seen: Mapping[str, int], rows: Mapping[str, tuple[int, int]]) -> str | None:
    """An error message if all rows are of one class, with a suggestion; None if there are rows of both.

    Parameters
    ----------
    polarity : Polarity
    seen : mapping of str to int
        As for `off_scale_message`.
    rows : mapping of str to (int, int)
        Number of negative and positive rows of each split.
    """
    negatives, positives = (sum(counts) for counts in zip(*rows.values(), strict=True))
    if negatives and positives:
        negatives, positives = rows["train"]
        if negatives and positives:
            return None
        return (
            f"The training split must hold negative and positive reviews. It holds {negatives} and {positives}. "
            "Add files, or lower the shares of the validation and test splits."
        )
    limits = f"positive from {polarity.scale.spelled(polarity.positive_from)}"
    if polarity.negative_to is not None:
        limits += f", negative up to {polarity.scale.spelled(polarity.negative_to)}"
    return (
        f"There must be both positive and negative reviews. All {negatives + positives} are "
        f"{'negative' if negatives else 'positive'} on the scale {polarity.scale.name} ({limits}); the ratings are "
        f"{_shown(seen)}. {_advice(seen, polarity)}"
    )


def _shown(seen: Mapping[str, int]) -> str:
    """The most frequent spellings with their counts."""
    by_count = sorted(seen.items(), key=lambda pair: (-pair[1], pair[0]))
    listed = ", ".join(f"{spelled} ({count})" for spelled, count in by_count[:_SHOWN])
    return listed + (", …" if len(by_count) > _SHOWN else "")


def _advice(seen: Mapping[str, int], polarity: Polarity) -> str:
    fitting = fitting_scale(seen)
    if fitting and fitting != polarity.scale.name:
        joint = "=" if fitting.startswith("-") else " "
        return f"Try '--rating-scale{joint}{fitting}'."
    words = [spelled for spelled in sorted(seen) if not any(character.isdigit() for character in spelled)]
    if len(words) == len(seen) and 2 <= len(words) <= 2 * _SHOWN:
        return f"List these words from negative to positive, as in '--rating-scale bad,good': {', '.join(words)}."
    return "Check the rating column, '--rating-scale' and '--positive-from'."


def fitting_scale(seen: Mapping[str, int]) -> str | None:
    """The narrowest common scale that the ratings are on and that gives two classes; None if there is none.

    Examples
    --------
    >>> fitting_scale({"0": 40, "1": 60})
    '0-1'
    """
    return next((name for name in _candidates(seen) if _fits(parse_scale(name), seen)), None)


def _candidates(seen: Mapping[str, int]) -> Iterator[str]:
    yield from _USUAL_SCALES
    everything = parse_scale("-1e300-1e300")
    numbers = [number for number in map(everything.rating, seen) if number is not None and abs(number) < 1e300]
    if len(set(numbers)) > 1:
        yield f"{min(numbers):g}-{max(numbers):g}"


def _fits(scale: Scale, seen: Mapping[str, int]) -> bool:
    ratings: Counter[float] = Counter()
    for spelled, count in seen.items():
        if (rating := scale.rating(spelled)) is not None:
            ratings[rating] += count
    # On the scale 1-2 the ratings are class labels: fractions belong to a wider scale.
    if (scale.low, scale.high) == (1, 2) and any(rating % 1 for rating in ratings):
        return False
    classes = Polarity(scale, scale.positive_from).labels(np.array([*ratings]))
    return ratings.total() >= _FITTING_SHARE * sum(seen.values()) and len(set(classes.tolist())) == 2
