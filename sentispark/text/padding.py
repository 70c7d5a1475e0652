"""Token ids to sequences of equal length, as a Spark ML stage."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from pyspark.ml import Transformer
from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.util import DefaultParamsReadable, DefaultParamsWritable
from pyspark.sql import DataFrame
from pyspark.sql.types import ArrayType, IntegerType, StructField

from sentispark.errors import InputError
from sentispark.spark.columns import with_columns
from sentispark.spark.params import ColumnStage, options_from, params_from, require_new_columns
from sentispark.spark.schema import IDS, require_column
from sentispark.text.kernels import list_offsets, pad
from sentispark.text.options import TextOptions

__all__ = ["HasLengthCol", "SequencePadder", "padded_columns", "sequence_fields"]


class HasLengthCol(Params):
    """The Param that names the column of sequence lengths without padding."""

    lengthCol = Param(
        Params._dummy(),
        "lengthCol",
        "name of the column of the sequence length without padding",
        TypeConverters.toString,
    )

    def getLengthCol(self) -> str:
        """The name of the column of lengths."""
        return self.getOrDefault(self.lengthCol)

    def setLengthCol(self, value: str) -> HasLengthCol:
        """Name the column of lengths."""
        return self._set(lengthCol=value)


def sequence_fields(sequence: str, length: str) -> list[StructField]:
    """The Spark types of the columns that `padded_columns` returns."""
    return [StructField(sequence, ArrayType(IntegerType())), StructField(length, IntegerType())]


def padded_columns(ids: pa.ListArray, sequence_length: int, truncate: str) -> list[pa.Array]:
    """The columns `sequence` (list<int32>, each list of length L) and `length` (int32) from lists of token ids."""
    offsets = list_offsets(np.arange(len(ids) + 1) * sequence_length)
    sequence, length = pad(ids, sequence_length, truncate=truncate)
    return [pa.ListArray.from_arrays(offsets, pa.array(sequence.ravel())), pa.array(length)]


@params_from(
    TextOptions, only=["sequence_length", "truncate"], inputCol="ids", outputCol="sequence", lengthCol="length"
)
class SequencePadder(
    ColumnStage, HasLengthCol, Transformer, DefaultParamsReadable["SequencePadder"], DefaultParamsWritable
):
    """Truncates and pads a column of token ids to `sequenceLength`, and adds a column of lengths without padding.

    A null id becomes that of unknown words. Ids that exceed 32 bits are an error.
    """

    def _transform(self, dataset: DataFrame) -> DataFrame:
        require_column(dataset, self.getInputCol(), IDS, stage=self)
        require_new_columns(dataset, "outputCol", "lengthCol", stage=self)
        options: TextOptions = options_from(self, TextOptions)
        return with_columns(
            dataset,
            self.getInputCol(),
            sequence_fields(self.getOutputCol(), self.getLengthCol()),
            lambda ids: padded_columns(_narrow(ids), options.sequence_length, options.truncate),
        )


def _narrow(ids: pa.ListArray) -> pa.ListArray:
    """Token ids as list<int32>. Raises `InputError` if an id exceeds 32 bits."""
    try:
        return ids.cast(pa.list_(pa.int32()))
    except pa.ArrowInvalid as error:
        raise InputError(
            "SequencePadder needs token ids that fit into 32 bits. Some do not. Encode texts with ReviewEncoder."
        ) from error
