"""Texts to sequences in one pass: tokenizer, vocabulary and padder without intermediate columns."""

from __future__ import annotations

import functools

import pyarrow as pa
from pyspark.ml import Estimator
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame

from sentispark.spark.columns import with_columns
from sentispark.spark.params import ColumnStage, options_from, params_from, require_new_columns
from sentispark.spark.schema import TEXTS, require_column
from sentispark.text.kernels import encode, truncate_lists
from sentispark.text.options import LEGACY_PARAMS, TextOptions
from sentispark.text.padding import HasLengthCol, padded_columns, sequence_fields
from sentispark.text.stopwords import stop_word_array
from sentispark.text.vocabulary import WordListModel, most_frequent_words
from sentispark.text.wordlist import WordList
from sentispark.text.words import all_words_of, words_of

__all__ = ["ReviewEncoder", "ReviewEncoderModel", "token_ids"]


def token_ids(texts: pa.Array, word_list: WordList, options: TextOptions) -> pa.ListArray:
    """The token ids of each text, list<int32>, cut to the sequence length and not padded."""
    ids = encode(words_of(texts, options), word_list.array)
    return truncate_lists(ids, options.sequence_length, truncate=options.truncate)


class _Columns(ColumnStage, HasLengthCol):
    """Shared by the encoder and its model: texts in, sequences and lengths out."""

    @property
    def options(self) -> TextOptions:
        """How this stage turns texts into sequences."""
        options: TextOptions = options_from(self, TextOptions)
        return options


@params_from(TextOptions, inputCol="text", outputCol="sequence", lengthCol="length")
class ReviewEncoder(
    _Columns, Estimator["ReviewEncoderModel"], DefaultParamsReadable["ReviewEncoder"], DefaultParamsWritable
):
    """Learns the vocabulary of a column of texts; its model turns texts into sequences in one pass.

    Equal, row by row, to `ReviewTokenizer` → `VocabularyBuilder` → `SequencePadder`, and several times as fast.
    """

    def _fit(self, dataset: DataFrame) -> ReviewEncoderModel:
        require_column(dataset, self.getInputCol(), TEXTS, stage=self)
        require_new_columns(dataset, "outputCol", "lengthCol", stage=self)
        options = self.options
        words = most_frequent_words(
            dataset,
            self.getInputCol(),
            functools.partial(all_words_of, options=options),
            vocab_size=options.vocab_size,
            min_count=options.min_count,
            stop_words=stop_word_array(options.stop_words),
        )
        return self._fitted(ReviewEncoderModel.from_words(words))


@params_from(TextOptions, inputCol="text", outputCol="sequence", lengthCol="length")
class ReviewEncoderModel(_Columns, WordListModel):
    """Adds an array<int> column of sequences, all `sequenceLength` long, and an int column of their lengths."""

    before = LEGACY_PARAMS

    def _transform(self, dataset: DataFrame) -> DataFrame:
        require_column(dataset, self.getInputCol(), TEXTS, stage=self)
        require_new_columns(dataset, "outputCol", "lengthCol", stage=self)
        word_list, options = self.word_list, self.options

        def kernel(texts: pa.Array) -> list[pa.Array]:
            ids = encode(words_of(texts, options), word_list.array)
            return padded_columns(ids, options.sequence_length, options.truncate)

        return with_columns(
            dataset, self.getInputCol(), sequence_fields(self.getOutputCol(), self.getLengthCol()), kernel
        )
