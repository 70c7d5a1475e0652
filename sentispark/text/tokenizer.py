"""Texts to words, as a Spark ML stage."""

from __future__ import annotations

from pyspark.ml import Transformer
from pyspark.sql import DataFrame
from pyspark.sql.types import ArrayType, StringType, StructField

from sentispark.spark.columns import with_columns
from sentispark.spark.params import ColumnStage, options_from, params_from, require_new_columns
from sentispark.spark.persistence import FilesReadable, FilesWritable
from sentispark.spark.schema import TEXTS, require_column
from sentispark.text.kernels import as_string_lists
from sentispark.text.options import LEGACY_PARAMS, TextOptions
from sentispark.text.words import words_of

__all__ = ["ReviewTokenizer"]


@params_from(TextOptions, only=["markup", "stop_words"], inputCol="text", outputCol="words")
class ReviewTokenizer(ColumnStage, Transformer, FilesWritable, FilesReadable):
    """Splits texts into lower-case words of any script; contractions stay one word; markup and stop words are removed.

    Reads a string column and adds an array<string> column. A null text has no words.

    Examples
    --------
    >>> ReviewTokenizer(inputCol="reviewText", outputCol="words", stopWords="english")  # doctest: +SKIP
    """

    before = LEGACY_PARAMS

    def _words_field(self) -> StructField:
        return StructField(self.getOutputCol(), ArrayType(StringType()))

    def _transform(self, dataset: DataFrame) -> DataFrame:
        require_column(dataset, self.getInputCol(), TEXTS, stage=self)
        require_new_columns(dataset, "outputCol", stage=self)
        options = options_from(self, TextOptions)
        return with_columns(
            dataset,
            self.getInputCol(),
            [self._words_field()],
            lambda texts: [as_string_lists(words_of(texts, options))],
        )
