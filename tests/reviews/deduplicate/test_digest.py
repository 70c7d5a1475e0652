"""What tells texts apart, and what decides their split."""

import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.reviews.deduplicate.digest import digests, split_draws
from sentispark.text.kernels import tokenize

TEXTS = [f"review number {number}, written by nobody" for number in range(2000)]


def draws_of(texts, cleaning="words"):
    array = pa.array(texts, pa.string())
    return split_draws(tokenize(array, cleaning=cleaning), array).tolist()


@given(st.lists(st.text(max_size=20), max_size=20), st.integers(0, 2**31 - 1))
def test_equal_texts_and_no_others_have_equal_digests(texts, seed):
    found = [tuple(pair) for pair in digests(pa.array(texts, pa.string()), seed=seed).tolist()]
    assert len(found) == len(texts)
    assert len(set(zip(texts, found, strict=True))) == len(set(texts)) == len(set(found))


def test_a_digest_depends_on_the_text_and_the_seed_alone():
    array = pa.array(TEXTS)
    assert digests(array.slice(700, 5), seed=3).tolist() == digests(array, seed=3)[700:705].tolist()
    assert not set(digests(array, seed=3).ravel()) & set(digests(array, seed=4).ravel())


def test_the_order_is_evenly_spread_over_all_64_bits():
    first = np.sort(digests(pa.array(TEXTS), seed=0)[:, 0]) / 2.0**64 + 0.5
    # The Kolmogorov-Smirnov distance to the even spread; above 1.95 / √n once in a thousand seeds.
    assert np.abs(first - (np.arange(2000) + 0.5) / 2000).max() < 1.95 / 2000**0.5


def test_draws_are_evenly_spread_from_0_to_1():
    found = np.sort(draws_of(TEXTS))
    assert found[0] >= 0
    assert found[-1] < 1
    assert np.abs(found - (np.arange(2000) + 0.5) / 2000).max() < 1.95 / 2000**0.5


def test_the_draw_of_a_text_depends_on_the_text_alone():
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
    ids=["case", "blanks", "punctuation", "quotes", "curly quotes", "apostrophes"],
)
def test_case_blanks_and_punctuation_do_not_part_a_text_from_itself(change, cleaning):
    assert draws_of(map(change, TEXTS[:300]), cleaning) == draws_of(TEXTS[:300], cleaning)


@pytest.mark.parametrize("change", [lambda text: text.replace(",", " —"), lambda text: text.replace(" ", "\u00a0")])
def test_nor_do_dashes_and_blanks_that_are_no_ascii(change):
    assert draws_of(map(change, TEXTS[:300])) == draws_of(TEXTS[:300])


def test_apostrophes_of_either_kind_and_none_are_the_same():
    straight = [f"I didn't like number {number}" for number in range(100)]
    assert draws_of([text.replace("'", "’") for text in straight]) == draws_of(straight)
    assert draws_of([text.replace("'", "") for text in straight]) == draws_of(straight)


def test_words_of_equal_letters_in_another_order_are_other_words():
    assert len(set(draws_of(["ab", "ba", "aab", "a ab", "a b", "b", "bb", "b b"]))) == 8


def test_texts_without_a_word_have_draws_of_their_own():
    assert len(set(draws_of(["!!!", ":)", "👍", "…"]))) == 4


def test_a_shuffled_text_has_the_same_draw_as_its_words_are_the_same():
    words = ["this", "one", "is", "good", "and", "that", "one", "is", "bad"]
    random.Random(0).shuffle(words)
    assert len(Counter(draws_of([" ".join(words), "this one is good and that one is bad"]))) == 1
