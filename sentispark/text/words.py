"""Raw texts to words: cleaned, split, stop words removed. Training and prediction share this code."""

from __future__ import annotations

import pyarrow as pa

from sentispark.text.kernels import remove_words, tokenize
from sentispark.text.markup import clean_markup, without_markup
from sentispark.text.options import TextOptions
from sentispark.text.stopwords import cleaning_for, stop_word_array

__all__ = ["all_words_of", "words_of"]


def words_of(texts: pa.Array, options: TextOptions) -> pa.ListArray:
    """The words of each text without stop words, as `tokenize` returns them."""
    words, stop_words = all_words_of(texts, options), stop_word_array(options.stop_words)
    return words if stop_words is None else remove_words(words, stop_words)


def all_words_of(texts: pa.Array, options: TextOptions) -> pa.ListArray:
    """The words of each text including stop words, as `tokenize` returns them."""
    cleaning = cleaning_for(options.stop_words)
    if options.markup == "clean":
        # The reference cleaning separates words only at spaces, so white space must be collapsed before.
        texts = clean_markup(texts) if cleaning == "reference" else without_markup(texts)
    return tokenize(texts, cleaning=cleaning)
