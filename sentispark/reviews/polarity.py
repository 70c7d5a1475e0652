"""Which ratings are positive and which negative, and whether ratings are those of the scale at all. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from sentispark.errors import OptionError
from sentispark.reviews.scale import Scale, parse_scale

__all__ = ["LEFT_OUT", "Polarity", "fitting_scale", "one_class_sentence", "outside_sentence", "polarity_of"]

LEFT_OUT = -1

# With so large a share of the ratings outside, a scale is not the ratings' own.
_OUTSIDE_SHARE = 0.1
# A scale that is proposed holds all but odd ones.
_FITTING_SHARE = 0.99
_SHOWN = 5

# From narrow to wide: the first that holds the ratings is theirs.
_USUAL_SCALES = (
    *("negative,positive", "negative,neutral,positive", "neg,pos", "neg,neu,pos", "bad,good", "bad,ok,good", "no,yes"),
    *("0-1", "1-2", "-1-1", "1-5", "0-4", "0-5", "1-10", "0-10", "0-100"),
)


class Polarity(NamedTuple):
    """The ratings that are positive, those that are negative, and between them maybe some that are neither.

    Attributes
    ----------
    scale : Scale
    positive_from : float
        The lowest positive rating.
    negative_to : float or None
        The highest negative rating; None if all that are not positive are negative.
    """

    scale: Scale
    positive_from: float
    negative_to: float | None = None

    def labels(self, ratings: np.ndarray) -> np.ndarray:
        """1 for positive, 0 for negative, `LEFT_OUT` for neither: int32, of the shape of the ratings."""
        labels = (ratings >= self.positive_from).astype(np.int32)
        if self.negative_to is not None:
            labels[(ratings > self.negative_to) & (ratings < self.positive_from)] = LEFT_OUT
        return labels


def polarity_of(scale: Scale, positive_from: float | str = "auto", negative_to: float | str | None = None) -> Polarity:
    """The polarity that ratings have on a scale, from its limits as the scale spells them.

    Parameters
    ----------
    scale : Scale
    positive_from : float or str
        A rating above the lowest; "auto" is the scale's own.
    negative_to : float or str
        A rating below `positive_from`; None leaves out nothing.

    Raises
    ------
    OptionError
        If a limit is no such rating.
    """
    lowest = scale.positive_from if positive_from == "auto" else _on(scale, positive_from, "--positive-from")
    if lowest <= scale.low:
        raise OptionError(
            f"'--positive-from' must be above the lowest rating of the scale {scale.name}, or nothing is negative. "
            f"Got {positive_from}."
        )
    highest = None if negative_to is None else _on(scale, negative_to, "--negative-to")
    if highest is not None and highest >= lowest:
        raise OptionError(
            f"'--negative-to' must be below the lowest positive rating ({scale.spelled(lowest)}). Got {negative_to}."
        )
    return Polarity(scale, lowest, highest)


def _on(scale: Scale, limit: float | str, flag: str) -> float:
    rating = scale.rating(str(limit))
    if rating is None:
        raise OptionError(f"'{flag}' must be a rating of the scale {scale.name}. Got {limit}.")
    return rating


def outside_sentence(polarity: Polarity, seen: Mapping[str, int], *, inside: int, outside: int) -> str | None:
    """Why ratings are not those of the scale, and which scale would fit; None if they may be.

    Parameters
    ----------
    polarity : Polarity
    seen : mapping of str to int
        How often each rating was read, as it was spelled; the rarest may be missing.
    inside, outside : int
        How many ratings are on the scale, and how many are not.
    """
    scale, ratings = polarity.scale, inside + outside
    if not outside or outside < _OUTSIDE_SHARE * ratings:
        return None
    others = {spelled: count for spelled, count in seen.items() if scale.rating(spelled) is None}
    return (
        f"More than nine tenths of the ratings must be on the scale {scale.name}. Of {ratings}, {outside} are not: "
        f"{_shown(others)}. {_advice(seen, polarity)}"
    )


def one_class_sentence(polarity: Polarity, seen: Mapping[str, int], rows: Mapping[str, tuple[int, int]]) -> str | None:
    """Why nothing can be learnt from rows of one class, and which scale would make two; None if there are two.

    Parameters
    ----------
    polarity : Polarity
    seen : mapping of str to int
        As for `outside_sentence`.
    rows : mapping of str to (int, int)
        The negative and the positive rows of each split.
    """
    negatives, positives = (sum(counts) for counts in zip(*rows.values(), strict=True))
    if negatives and positives:
        negatives, positives = rows["train"]
        if negatives and positives:
            return None
        return (
            f"The training split must hold negative and positive reviews. It holds {negatives} and {positives}. "
            "Add files, or lower the shares of validation and test."
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
    """The most frequent spellings and how often they were read."""
    often = sorted(seen.items(), key=lambda found: (-found[1], found[0]))
    listed = ", ".join(f"{spelled} ({count})" for spelled, count in often[:_SHOWN])
    return listed + (", …" if len(often) > _SHOWN else "")


def _advice(seen: Mapping[str, int], polarity: Polarity) -> str:
    fitting = fitting_scale(seen)
    if fitting and fitting != polarity.scale.name:
        joint = "=" if fitting.startswith("-") else " "
        return f"Try '--rating-scale{joint}{fitting}'."
    words = [spelled for spelled in sorted(seen) if not any(character.isdigit() for character in spelled)]
    if len(words) == len(seen) and 2 <= len(words) <= 2 * _SHOWN:
        return f"Name the words in order, the most negative first ('--rating-scale bad,good'): {', '.join(words)}."
    return "Check the rating column, '--rating-scale' and '--positive-from'."


def fitting_scale(seen: Mapping[str, int]) -> str | None:
    """The narrowest usual scale that ratings, as they are spelled, are on and make two classes of; None if none is."""
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
    # 1 and 2 are labels; what lies between is of a wider scale.
    if (scale.low, scale.high) == (1, 2) and any(rating % 1 for rating in ratings):
        return False
    classes = Polarity(scale, scale.positive_from).labels(np.array([*ratings]))
    return ratings.total() >= _FITTING_SHARE * sum(seen.values()) and len(set(classes.tolist())) == 2
