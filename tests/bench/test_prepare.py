"""Preparations, encoders and readers are compared."""

import pytest

from sentispark.bench import prepare
from sentispark.bench.prepare import compare_encoders, compare_prepares
from sentispark.bench.readers import compare_readers
from sentispark.bench.reviews import write_many_reviews
from sentispark.dataset.dataset import open_dataset
from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews.options import ReviewOptions
from sentispark.text.options import TextOptions


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reviews")
    return write_many_reviews(folder, 600, files=3, processes=2)


def test_encoders_and_readers_are_compared_on_the_same_rows(spark, paths, tmp_path):
    assert compare_encoders(spark, paths, times=1)["ratios"]["encoder_vs_spark_ml"] > 0
    prepare_dataset(spark, paths, str(tmp_path / "dataset"), ReviewOptions(), TextOptions())
    found = compare_readers(open_dataset(str(tmp_path / "dataset")), times=1)
    assert found["ratios"]["reader_arrow"] > 0
    assert set(found["rows_per_second"]) >= {"bare", "arrow"}


def test_preparations_are_compared_and_the_output_of_the_others_is_removed(spark, paths, tmp_path, monkeypatch):
    monkeypatch.setattr(prepare, "WARM_UP_SECONDS", 0)
    prepared = []
    found = compare_prepares(
        spark,
        paths,
        tmp_path,
        prepare=lambda inputs, output: prepared.append(len(inputs)),
        rows=600,
        processes=2,
        times=1,
    )
    assert prepared == [1, 1, 1, 3] * 2  # in both turns a short one before each: with few files, with all files
    assert found["ratios"].keys() == {"prepare_vs_streaming", "prepare_vs_spark_sql"}
    assert found["seconds"].keys() == found["costs"].keys() == {"sentispark", "streaming", "spark_sql"}
    assert list(tmp_path.iterdir()) == []
