"""A stream of random numbers in, one review's stars, summary and text out.

A review is a sequence of sentences: claims about aspects of the product, filler, and one verdict. The stars decide the
sentiment of the verdict and the share of claims with the other sentiment. Claims and verdicts have three shapes: in
"plain" ones the words agree with the sentiment, in "turned" ones they are negated, in "contrast" ones words of both
sentiments appear.
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
"""Returns the next number of a stream, uniform in [0, 1)."""

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
# With these shares, words for and against a review's sentiment are about equally frequent: a unigram model gains about
# 5 points of accuracy over the majority baseline (0.78), an LSTM about 16.
SHAPES_UP_TO = (0.4, 0.7)
FILLER_SHARE = 0.45
IDIOM_SHARE = 0.12
LUKEWARM_SHARE = 0.5
VERDICT_FIRST_SHARE = 0.2

ENDS = (". ", "! ", "... ", ", ", "!! ", " ")
EMOJI = ("😀", "👍", "🎸", "📦", "🙂", "☕", "🤷", "⭐")
# Changes to a word: two letters swapped, a vowel repeated, all capitals.
SLIPS = (
    lambda word: word[:1] + word[2:3] + word[1:2] + word[3:],
    lambda word: re.sub(r"([aeiou])", r"\1\1\1\1", word, count=1),
    str.upper,
)


@dataclasses.dataclass(frozen=True)
class Draft:
    """A review: the stars (1 to 5) that its text expresses, the product's number, a headline and a text."""

    stars: int
    product: int
    summary: str
    text: str


@dataclasses.dataclass(frozen=True)
class _Voice:
    """The sentences of one sentiment about one category: templates with the word tables for their slots."""

    claims: tuple[_Templates, ...]  # by shape
    verdicts: tuple[_Templates, ...]  # by shape
    idioms: _Templates
    shrugs: _Templates
    fillers: _Templates
    summaries: _Templates


def pick(table: tuple[T, ...], draw: Draw) -> T:
    """An entry of `table` by Zipf's law: the n-th is about n times less frequent than the first."""
    return table[int((len(table) + 1) ** draw()) - 1]


def draw_stars(draw: Draw) -> int:
    """1 to 5 stars, distributed as in Amazon's reviews: 78 % are 4 or 5."""
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
    return Draft(stars, product, summary, _typed([sentence.replace("{item}", item) for sentence in sentences], draw))


def _opinions(category: int, stars: int, draw: Draw) -> list[str]:
    odds = draw()
    # A log-logistic length: one review in twenty is longer than four times the median.
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
    """The sentences as people type them, with unusual punctuation, capitals, typos, markup and emoji."""
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
    # {item} is filled in later, because all sentences of a review are about the same item.
    slots = re.findall(r"{(?!item})(\w+)}", template)
    return re.sub(r"{(?!item})\w+}", "%s", template), tuple(tables[slot] for slot in slots)


@functools.cache
def _long_tail() -> dict[str, tuple[str, ...]]:
    """Tables of rare words: made-up nouns, names and models, and numbers."""
    onsets = ("b", "br", "c", "d", "f", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "r", "s", "st", "t", "tr", "v")
    syllables = [onset + vowel for onset in onsets for vowel in "aeiou"]
    # The step is coprime to the million triples of syllables, so no triple occurs twice and the order looks random.
    numbers = [rank * 61_637 % 100**3 for rank in range(1, RARE_WORDS + 1)]
    words = ["".join(syllables[n // power % 100] for power in (100**2, 100, 1)) for n in numbers]
    return {
        "rare": tuple(words),
        "rare_name": tuple(word[:-1].capitalize() for word in reversed(words)),
        "model": tuple(f"{word[:2].upper()}-{n % 9_000 + 100}" for word, n in zip(words, numbers, strict=True)),
        "number": tuple(str(number) for number in range(2, 3_000)),
    }
