"""The reference system's streaming jobs and the same preparation in Spark SQL write the same rows."""

from collections import Counter

import pyarrow.parquet as pq
import pytest

from sentispark.bench.peers.spark_sql import prepare_by_sql
from sentispark.bench.peers.streaming import FIRST_WORD, LENGTH, PAD, prepare_by_streaming
from sentispark.bench.reviews import write_many_reviews
from sentispark.prepare.prepare import prepare_dataset
from sentispark.text.options import TextOptions


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reviews")
    return write_many_reviews(folder, 600, files=3, processes=2)


@pytest.fixture(scope="module")
def streamed(paths, tmp_path_factory):
    folder = tmp_path_factory.mktemp("streaming")
    result = prepare_by_streaming(paths, folder, processes=2)
    return folder, result


def rows_of(folder):
    table = pq.read_table(folder)
    return list(zip(table["sequence"].to_pylist(), table["label"].to_pylist(), strict=True))


def test_streaming_and_spark_sql_write_the_same_rows(spark, paths, streamed, tmp_path):
    folder, result = streamed
    by_streaming = [row for number in range(2) for row in rows_of(folder / f"encoded-{number}.parquet")]
    assert len(by_streaming) == result["rows"] == prepare_by_sql(spark, paths, str(tmp_path / "sql"))
    by_sql = rows_of(tmp_path / "sql")
    # The ids of equally frequent words are in another order, so only counts of ids are compared.
    shape = Counter((sum(token != PAD for token in sequence), label) for sequence, label in by_sql)
    assert shape == Counter((sum(token != PAD for token in sequence), label) for sequence, label in by_streaming)
    assert {len(sequence) for sequence, _ in by_sql} == {LENGTH}
    for rows in (by_sql, by_streaming):
        occurrences = Counter(token for sequence, _ in rows for token in sequence if token >= FIRST_WORD)
        assert occurrences[FIRST_WORD] == max(occurrences.values())
    assert set(result["seconds"]) == {"map", "sort", "reduce", "count words", "encode and write"}


def test_prepare_writes_about_the_number_of_rows_of_the_reference(spark, paths, streamed, tmp_path):
    result = prepare_dataset(spark, paths, str(tmp_path / "dataset"), text=TextOptions(stop_words="reference"))
    # The reference merges texts that differ only in case or punctuation, and drops those without a word.
    assert streamed[1]["rows"] <= sum(result["rows_written"].values()) <= 1.05 * streamed[1]["rows"]
