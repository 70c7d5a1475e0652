"""Words to a vocabulary and to token ids, as a Spark ML Estimator and its Model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from pyspark.ml import Estimator, Model
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame
from pyspark.sql.types import ArrayType, IntegerType, StructField

from sentispark.errors import InputError
from sentispark.files import Folder
from sentispark.spark.arrow import map_batches, plainly_named
from sentispark.spark.causes import collected
from sentispark.spark.columns import with_columns
from sentispark.spark.exchange import PACKED, groups_of, packed, unpacked
from sentispark.spark.params import ColumnStage, options_from, params_from, quoted, require_new_columns
from sentispark.spark.persistence import FilesReadable, FilesWritable
from sentispark.spark.schema import WORDS, require_column
from sentispark.text.hashing import byte_hashes
from sentispark.text.kernels import COUNTS, count_words, encode, most_frequent
from sentispark.text.markup import bytes_of
from sentispark.text.options import TextOptions
from sentispark.text.wordlist import FILE_NAME, WordList

__all__ = [
    "VocabularyBuilder",
    "VocabularyModel",
    "WordListModel",
    "most_frequent_words",
    "packed_counts",
    "top_words",
]

# A task's counts are sent in at least this many packets.
_GROUPS = groups_of(64)


def most_frequent_words(
    dataset: DataFrame,
    column: str,
    words: Callable[[pa.Array], pa.ListArray],
    *,
    vocab_size: int,
    min_count: int,
    stop_words: pa.Array | None = None,
) -> WordList:
    """The most frequent words of a column, ties in alphabetical (code point) order.

    Only partial counts are shuffled, and only the resulting words are sent to the driver.

    Parameters
    ----------
    dataset : DataFrame
    column : str
    words : callable
        From the column's Arrow array to a list<string> array of the same length.
    vocab_size : int
        The most words to return.
    min_count : int
        The least number of occurrences of a word.
    stop_words : string array, optional
        Words to leave out.

    Raises
    ------
    InputError
        If no word is left.
    """

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return packed_counts((words(batch.column(0)) for batch in batches), stop_words=stop_words)

    counts = map_batches(plainly_named(dataset.select(quoted(column))), run, PACKED)
    return top_words(counts, vocab_size=vocab_size, min_count=min_count, source=f"Column '{column}'")


def packed_counts(words: Iterable[pa.ListArray], *, stop_words: pa.Array | None = None) -> Iterator[pa.RecordBatch]:
    """Count words, and pack the counts for `top_words`: all counts of a word go to the same group."""

    def grouped() -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        for table in count_words(words, stop_words=stop_words):
            for batch in table.to_batches():
                group = byte_hashes(*bytes_of(batch.column("word"))) % np.uint64(_GROUPS.groups)
                yield group.astype(np.int64), batch

    return packed(grouped(), _GROUPS)


def top_words(counts: DataFrame, *, vocab_size: int, min_count: int, source: str) -> WordList:
    """The most frequent words by the partial counts of `packed_counts`; see `most_frequent_words`.

    Raises
    ------
    InputError
        If no word is left. The message names `source`.
    """

    def best(batches: Iterable[pa.RecordBatch]) -> pa.Table:
        tables = (pa.Table.from_batches([batch]) for batch in unpacked(batches, COUNTS))
        return most_frequent(tables, vocab_size=vocab_size, min_count=min_count)

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        # One value per partition, to avoid a row and a Python object for each word.
        words = best(batches).combine_chunks().to_batches()
        yield pa.RecordBatch.from_pydict(
            {"packet": pa.array([batch.serialize().to_pybytes() for batch in words], pa.binary())}
        )

    # Spark chooses the number of partitions by size; all counts of a word are in the same partition in any case.
    found = collected(map_batches(counts.repartition("key"), run, "packet binary"))
    top = best([pa.RecordBatch.from_pylist([row.asDict() for row in found], pa.schema([("packet", pa.binary())]))])
    if not len(top):
        raise InputError(
            f"{source} must hold a word that occurs at least {min_count} times. None does. "
            "Check the column or lower the minimum count."
        )
    return WordList(tuple(top["word"].to_numpy().tolist()))  # ten times faster than `to_pylist`


class _Columns(ColumnStage):
    """Shared by the builder and its model: words in, token ids out."""

    def _ids_field(self) -> StructField:
        return StructField(self.getOutputCol(), ArrayType(IntegerType()))


Fitted = TypeVar("Fitted", bound="WordListModel")


class WordListModel(Model, FilesWritable, FilesReadable):
    """A model with a vocabulary."""

    word_list: WordList = WordList(())

    @classmethod
    def from_words(cls: type[Fitted], words: WordList | Sequence[str], **params: Any) -> Fitted:
        """A model with a given vocabulary, most frequent word first, and Params by name."""
        model = cls(**params)
        model.word_list = words if isinstance(words, WordList) else WordList(tuple(words))
        return model

    @property
    def vocabulary(self) -> list[str]:
        """The words; the word at index i has token id i + 2."""
        return list(self.word_list.words)

    def _save_files(self, folder: Folder) -> None:
        folder.write(FILE_NAME, self.word_list.to_json())

    def _load_files(self, folder: Folder) -> None:
        self.word_list = WordList.from_json(folder.read(FILE_NAME), source=folder.path(FILE_NAME))


@params_from(TextOptions, only=["vocab_size", "min_count"], inputCol="words", outputCol="ids")
class VocabularyBuilder(
    _Columns, Estimator["VocabularyModel"], DefaultParamsReadable["VocabularyBuilder"], DefaultParamsWritable
):
    """Learns the most frequent words of an array<string> column. Ties are in alphabetical order."""

    def _fit(self, dataset: DataFrame) -> VocabularyModel:
        require_column(dataset, self.getInputCol(), WORDS, stage=self)
        require_new_columns(dataset, "outputCol", stage=self)
        options: TextOptions = options_from(self, TextOptions)
        words = most_frequent_words(
            dataset,
            self.getInputCol(),
            lambda column: column,
            vocab_size=options.vocab_size,
            min_count=options.min_count,
        )
        return self._fitted(VocabularyModel.from_words(words))


@params_from(TextOptions, only=["vocab_size", "min_count"], inputCol="words", outputCol="ids")
class VocabularyModel(_Columns, WordListModel):
    """Adds an array<int> column of token ids: 1 for unknown words, 2 and up for words of the vocabulary."""

    def _transform(self, dataset: DataFrame) -> DataFrame:
        require_column(dataset, self.getInputCol(), WORDS, stage=self)
        require_new_columns(dataset, "outputCol", stage=self)
        vocabulary = self.word_list.array
        return with_columns(dataset, self.getInputCol(), [self._ids_field()], lambda words: [encode(words, vocabulary)])
