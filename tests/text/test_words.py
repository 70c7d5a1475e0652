"""The words of texts, by the options of cleaning and stop words."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from sentispark.text import markup
from sentispark.text.options import TextOptions
from sentispark.text.words import words_of
from tests.helpers.markup import marked_up


@given(
    st.lists(st.none() | marked_up(), max_size=12),
    st.sampled_from(["none", "english", "reference", ("Br", "amp")]),
    st.sampled_from(markup.MARKUP),
)
def test_words_are_those_of_the_cleaned_text_unless_markup_is_kept(rows, stop_words, choice):
    options = TextOptions(stop_words=stop_words, markup=choice)
    texts = pa.array(rows, pa.string())
    ready = markup.clean_markup(texts) if choice == "clean" else texts
    unchanged = TextOptions(stop_words=stop_words, markup="keep")
    words = words_of(texts, options).to_pylist()
    assert words == words_of(ready, unchanged).to_pylist() == words_of(ready, options).to_pylist()
