"""The dataset that is written from the rows of a DataFrame."""

from __future__ import annotations

from sentispark.files import Folder
from sentispark.ml.materialize import materialize


def test_missing_ids_are_unknown_words(spark, tmp_path):
    rows = [([None], 1.0), ([None, None], 0.0), (None, 1.0), ([], 0.0)]
    frame = spark.createDataFrame(rows, "sequence array<int>, label double").coalesce(1)
    columns = {"features_col": "sequence", "label_col": "label", "weight_col": None, "validation_col": None}
    dataset = materialize(frame, Folder(str(tmp_path)), **columns, validation_fraction=0.0, seed=1)
    assert (dataset.manifest.vocabulary_size, dataset.manifest.sequence_length) == (2, 2)
