"""Digests of texts and the draws that decide their split."""

import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.reviews.deduplicate.digest import digests, split_draws
from sentispark.text.kernels import tokenize

TEXTS = [f"review number {number}, by an unknown author" for number in range(2000)]


def draws_of(texts, cleaning="words"):
    array = pa.array(texts, pa.string())
    return split_draws(tokenize(array, cleaning=cleaning), array).tolist()


@given(st.lists(st.text(max_size=20), max_size=20), st.integers(0, 2**31 - 1))
def test_only_equal_texts_have_equal_digests(texts, seed):
    found = [tuple(pair) for pair in digests(pa.array(texts, pa.string()), seed=seed).tolist()]
    assert len(found) == len(texts)
    assert len(set(zip(texts, found, strict=True))) == len(set(texts)) == len(set(found))


def test_a_digest_depends_only_on_the_text_and_the_seed():
    array = pa.array(TEXTS)
    assert digests(array.slice(700, 5), seed=3).tolist() == digests(array, seed=3)[700:705].tolist()
    assert not set(digests(array, seed=3).ravel()) & set(digests(array, seed=4).ravel())


def test_the_order_is_uniform_over_64_bits():
    first = np.sort(digests(pa.array(TEXTS), seed=0)[:, 0]) / 2.0**64 + 0.5
    # The Kolmogorov-Smirnov distance to the uniform distribution exceeds 1.95 / √n for one seed in a thousand.
    assert np.abs(first - (np.arange(2000) + 0.5) / 2000).max() < 1.95 / 2000**0.5


def test_draws_are_uniform_from_0_to_1():
    found = np.sort(draws_of(TEXTS))
    assert found[0] >= 0
    assert found[-1] < 1
    assert np.abs(found - (np.arange(2000) + 0.5) / 2000).max() < 1.95 / 2000**0.5


def test_the_draw_of_a_text_depends_only_on_the_text():
    draws = dict(zip(TEXTS, draws_of(TEXTS), strict=True))
    some = TEXTS[::-1][::7]
    assert draws_of(some) == [draws[text] for text in some]
    assert len(set(draws.values())) == len(TEXTS)


@pytest.mark.parametrize("cleaning", ["words", "reference"])
@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        lambda text: text.replace(" ", "  "),
        lambda text: text.replace(",", "") + "!!! :)",
        lambda text: f'"{text}."',
        lambda text: f"“{text}…”",
        lambda text: text.replace("written", "'written'"),
    ],
    ids=["case", "spaces", "punctuation", "quotes", "curly quotes", "apostrophes"],
)
def test_draws_ignore_case_spaces_and_punctuation(change, cleaning):
    assert draws_of(map(change, TEXTS[:300]), cleaning) == draws_of(TEXTS[:300], cleaning)


@pytest.mark.parametrize("change", [lambda text: text.replace(",", " —"), lambda text: text.replace(" ", "\u00a0")])
def test_draws_ignore_non_ascii_dashes_and_spaces(change):
    assert draws_of(map(change, TEXTS[:300])) == draws_of(TEXTS[:300])


def test_draws_ignore_apostrophes_straight_or_curly():
    straight = [f"I didn't like number {number}" for number in range(100)]
    assert draws_of([text.replace("'", "’") for text in straight]) == draws_of(straight)
    assert draws_of([text.replace("'", "") for text in straight]) == draws_of(straight)


def test_draws_depend_on_the_order_of_letters_in_words():
    assert len(set(draws_of(["ab", "ba", "aab", "a ab", "a b", "b", "bb", "b b"]))) == 8


def test_texts_without_words_have_different_draws():
    assert len(set(draws_of(["!!!", ":)", "👍", "…"]))) == 4


def test_draws_ignore_the_order_of_words():
    words = ["this", "one", "is", "good", "and", "that", "one", "is", "bad"]
    random.Random(0).shuffle(words)
    assert len(Counter(draws_of([" ".join(words), "this one is good and that one is bad"]))) == 1
