"""A stream of random numbers in, one review's stars, summary and text out.

A review is a row of sentences: claims about aspects of the product, filler, and one verdict about the whole. The stars
decide the verdict's side and how many claims take the other side. Claims and verdicts come in three shapes: in "plain"
ones the words agree with the side, in "turned" ones they are denied, in "contrast" ones words of both sides appear.
"""

from __future__ import annotations

import bisect
import dataclasses
import functools
import re
from collections.abc import Callable
from typing import TypeVar

from sentispark.reviews.generate import lexicon, phrases

__all__ = ["Draft", "Draw", "draw_draft", "draw_stars", "pick"]

Draw = Callable[[], float]
"""Gives the next number of a stream, uniform in [0, 1)."""

T = TypeVar("T")
_Templates = tuple[tuple[str, tuple[tuple[str, ...], ...]], ...]

PRODUCTS = 4_000
RARE_WORDS = 60_000
MEDIAN_SENTENCES = 4.8
MOST_SENTENCES = 80

STARS = (5, 4, 3, 2, 1)
STARS_UP_TO = (0.59, 0.78, 0.87, 0.92)  # cumulative shares; the last star takes the rest
HAPPY_CLAIM_SHARES = {5: 0.97, 4: 0.8, 3: 0.35, 2: 0.15, 1: 0.03}
SHAPES = ("plain", "turned", "contrast")
# With these shares about as many words speak for a review's side as against it: unigrams gain some 5 points over the
# majority (0.78), an LSTM some 16.
SHAPES_UP_TO = (0.4, 0.7)
FILLER_SHARE = 0.45
IDIOM_SHARE = 0.12
LUKEWARM_SHARE = 0.5
VERDICT_FIRST_SHARE = 0.2

ENDS = (". ", "! ", "... ", ", ", "!! ", " ")
EMOJI = ("😀", "👍", "🎸", "📦", "🙂", "☕", "🤷", "⭐")
# What happens to one word: two letters swapped, a vowel held down, shouted.
SLIPS = (
    lambda word: word[:1] + word[2:3] + word[1:2] + word[3:],
    lambda word: re.sub(r"([aeiou])", r"\1\1\1\1", word, count=1),
    str.upper,
)


@dataclasses.dataclass(frozen=True)
class Draft:
    """A review as its writer meant it: stars (1 to 5), the product's number, a headline and a text."""

    stars: int
    product: int
    summary: str
    text: str


@dataclasses.dataclass(frozen=True)
class _Voice:
    """How one side speaks about one category: templates with the word tables for their slots."""

    claims: tuple[_Templates, ...]  # one entry a shape
    verdicts: tuple[_Templates, ...]  # one entry a shape
    idioms: _Templates
    shrugs: _Templates
    fillers: _Templates
    summaries: _Templates


def pick(table: tuple[T, ...], draw: Draw) -> T:
    """An entry of `table` by Zipf's law: the n-th comes about n times less often than the first."""
    return table[int((len(table) + 1) ** draw()) - 1]


def draw_stars(draw: Draw) -> int:
    """1 to 5 stars, as uneven as Amazon's: 78 % are 4 or 5."""
    return STARS[bisect.bisect(STARS_UP_TO, draw())]


def draw_draft(draw: Draw) -> Draft:
    """The next review of the stream."""
    product = int(PRODUCTS ** draw())
    number = product % len(lexicon.CATEGORIES)
    items = lexicon.CATEGORIES[number]["item"]
    item = items[product // len(lexicon.CATEGORIES) % len(items)]
    stars = draw_stars(draw)
    voice = _voice(number, stars >= 4)
    sentences = _opinions(number, stars, draw)
    sentences.insert(0 if draw() < VERDICT_FIRST_SHARE else len(sentences), _verdict(voice, stars, draw))
    summary = _say(voice.summaries, draw).strip().capitalize().replace("{item}", item)
    return Draft(stars, product, summary, _typed([said.replace("{item}", item) for said in sentences], draw))


def _opinions(category: int, stars: int, draw: Draw) -> list[str]:
    odds = draw()
    # A log-logistic length: half of the reviews stay under the median, one in twenty passes four times as much.
    count = min(int(MEDIAN_SENTENCES * (odds / (1 - odds)) ** 0.5), MOST_SENTENCES)
    sentences = []
    for _ in range(count):
        voice = _voice(category, draw() < HAPPY_CLAIM_SHARES[stars])
        shape = bisect.bisect(SHAPES_UP_TO, draw())
        sentences.append(_say(voice.fillers if draw() < FILLER_SHARE else voice.claims[shape], draw))
    return sentences


def _verdict(voice: _Voice, stars: int, draw: Draw) -> str:
    if stars == 3 and draw() < LUKEWARM_SHARE:
        return _say(voice.shrugs, draw)
    if draw() < IDIOM_SHARE:
        return _say(voice.idioms, draw)
    return _say(voice.verdicts[bisect.bisect(SHAPES_UP_TO, draw())], draw)


def _say(templates: _Templates, draw: Draw) -> str:
    template, tables = templates[int(draw() * len(templates))]
    return template % tuple([pick(table, draw) for table in tables])


def _typed(sentences: list[str], draw: Draw) -> str:
    """The sentences as people type them: with odd ends, capitals, slips, mark-up and emoji."""
    typed = []
    for sentence in map(str.strip, sentences):
        cased = sentence.upper() if draw() < 0.02 else sentence[:1].upper() + sentence[1:]
        typed.append(cased + pick(ENDS, draw))
    words = re.sub(r"\ba (?=[aeio])", "an ", "".join(typed)).split()
    if draw() < 0.5:
        slip = int(draw() * len(words))
        words[slip] = SLIPS[int(draw() * len(SLIPS))](words[slip])
    if draw() < 0.05:
        words.append(pick(EMOJI, draw))
    text = " ".join(words).replace(" ,", ",").replace(" ;", ";")
    if draw() < 0.06:
        text = text.lower()
    if draw() < 0.6:
        text = text.replace("&", "&amp;").replace('"', "&quot;")
    return text.replace(". ", ".<br /><br />", 1 + int(4 * draw())) if draw() < 0.07 else text


@functools.cache
def _voice(category: int, happy: bool) -> _Voice:
    tables = lexicon.WORDS | _long_tail()
    for slot, words in lexicon.CATEGORIES[category].items():
        tables[slot] = tables.get(slot, ())[:2] + words + tables.get(slot, ())[2:]
    if not happy:
        pairs = lexicon.OPPOSITES | {low: high for high, low in lexicon.OPPOSITES.items()}
        tables |= {slot: tables[opposite] for slot, opposite in pairs.items()}

    def compiled(templates: tuple[str, ...]) -> _Templates:
        return tuple(_compile(template, tables) for template in templates)

    return _Voice(
        claims=tuple(compiled(phrases.CLAIMS[shape]) for shape in SHAPES),
        verdicts=tuple(compiled(phrases.VERDICTS[shape]) for shape in SHAPES),
        idioms=compiled(phrases.IDIOMS[happy]),
        shrugs=compiled(phrases.LUKEWARM),
        fillers=compiled(phrases.FILLERS),
        summaries=compiled(phrases.SUMMARIES),
    )


def _compile(template: str, tables: dict[str, tuple[str, ...]]) -> tuple[str, tuple[tuple[str, ...], ...]]:
    # {item} stays: one review is about one item, which is filled in when its sentences stand.
    slots = re.findall(r"{(?!item})(\w+)}", template)
    return re.sub(r"{(?!item})\w+}", "%s", template), tuple(tables[slot] for slot in slots)


@functools.cache
def _long_tail() -> dict[str, tuple[str, ...]]:
    """Tables of words that stand in no list: made-up nouns, names, models, and numbers."""
    onsets = ("b", "br", "c", "d", "f", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "r", "s", "st", "t", "tr", "v")
    syllables = [onset + vowel for onset in onsets for vowel in "aeiou"]
    # The step shares no factor with the million triples of syllables: no triple comes twice, no order shows.
    numbers = [rank * 61_637 % 100**3 for rank in range(1, RARE_WORDS + 1)]
    words = ["".join(syllables[n // place % 100] for place in (100**2, 100, 1)) for n in numbers]
    return {
        "rare": tuple(words),
        "rare_name": tuple(word[:-1].capitalize() for word in reversed(words)),
        "model": tuple(f"{word[:2].upper()}-{n % 9_000 + 100}" for word, n in zip(words, numbers, strict=True)),
        "number": tuple(str(number) for number in range(2, 3_000)),
    }
