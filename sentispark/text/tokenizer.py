"""Texts to words, as a Spark ML stage."""

from __future__ import annotations

from pyspark.ml import Transformer
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame
from pyspark.sql.types import ArrayType, StringType, StructField

from sentispark.spark.arrow import with_columns
from sentispark.spark.params import ColumnStage, params_from, require_columns, require_new_columns
from sentispark.text.kernels import spelled_out, tokenize
from sentispark.text.options import TextOptions
from sentispark.text.stopwords import cleaning_for, stop_word_array

__all__ = ["ReviewTokenizer"]


@params_from(TextOptions, only=["stop_words"], inputCol="text", outputCol="words")
class ReviewTokenizer(ColumnStage, Transformer, DefaultParamsReadable, DefaultParamsWritable):
    """Lower-case words of any script, contractions kept whole, stop words left out.

    Reads a string column and adds an array<string> column; a null text has no words.

    Examples
    --------
    >>> ReviewTokenizer(inputCol="reviewText", outputCol="words", stopWords="english")  # doctest: +SKIP
    """

    def _words_field(self) -> StructField:
        return StructField(self.getOutputCol(), ArrayType(StringType()))

    def _transform(self, dataset: DataFrame) -> DataFrame:
        require_columns(dataset, self.getInputCol(), stage=self)
        require_new_columns(dataset, "outputCol", stage=self)
        stop_words = self.getStopWords()
        cleaning, left_out = cleaning_for(stop_words), stop_word_array(stop_words)
        return with_columns(
            dataset,
            [self.getInputCol()],
            [self._words_field()],
            lambda texts: [spelled_out(tokenize(texts, cleaning=cleaning, stop_words=left_out))],
        )
