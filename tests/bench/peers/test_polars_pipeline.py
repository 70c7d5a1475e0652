"""The preparation in Polars writes the rows of `prepare`."""

import itertools

import pyarrow.parquet as pq
import pytest

from sentispark.bench.reviews import write_many_reviews
from sentispark.dataset.dataset import open_dataset
from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews.options import ReviewOptions
from sentispark.text.options import TextOptions


def test_polars_writes_the_rows_and_the_vocabulary_of_prepare(spark, tmp_path):
    paths = write_many_reviews(tmp_path, 600, files=3, processes=2)
    pipeline = pytest.importorskip("sentispark.bench.peers.polars_pipeline")
    rows, words = pipeline.prepare_by_polars(paths, str(tmp_path / "polars.parquet"))
    whole = ReviewOptions(validation_share=0, test_share=0)
    result = prepare_dataset(spark, paths, str(tmp_path / "dataset"), whole, TextOptions())
    assert rows == sum(result["rows_written"].values())
    dataset = open_dataset(str(tmp_path / "dataset"))
    assert words == list(dataset.word_list.words)
    assert (TextOptions().vocab_size, TextOptions().sequence_length) == (pipeline.WORDS, pipeline.LENGTH)
    files = [tmp_path / "dataset" / chunk.file for chunk in dataset.manifest.chunks] + [tmp_path / "polars.parquet"]
    *ours, theirs = ([str(list(row.values())) for row in pq.read_table(file).to_pylist()] for file in files)
    assert sorted(itertools.chain.from_iterable(ours)) == sorted(theirs)
