"""Raw texts to their words: cleaned, split, stop words left out; one way for all that trains and all that serves."""

from __future__ import annotations

import pyarrow as pa

from sentispark.text.kernels import tokenize, without
from sentispark.text.markup import clean_markup, without_markup
from sentispark.text.options import TextOptions
from sentispark.text.stopwords import cleaning_for, stop_word_array

__all__ = ["all_words_of", "words_of"]


def words_of(texts: pa.Array, options: TextOptions) -> pa.ListArray:
    """The words of each text, as `tokenize` gives them, stop words left out."""
    words, stop_words = all_words_of(texts, options), stop_word_array(options.stop_words)
    return words if stop_words is None else without(words, stop_words)


def all_words_of(texts: pa.Array, options: TextOptions) -> pa.ListArray:
    """The words of each text, as `tokenize` gives them, stop words included."""
    cleaning = cleaning_for(options.stop_words)
    if options.markup == "clean":
        # To the reference's cleaning some blanks are no blanks, so it must find those that `clean_markup` leaves.
        texts = clean_markup(texts) if cleaning == "reference" else without_markup(texts)
    return tokenize(texts, cleaning=cleaning)
