"""What sentispark is compared with does the work that it is said to do."""

import itertools
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from sentispark.dataset.dataset import open_dataset
from sentispark.errors import SetupError
from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews.generate import generate_reviews
from sentispark.reviews.options import ReviewOptions
from sentispark.study.alone import run_alone, started_alone
from sentispark.study.plots import draw_memory, draw_ratios, draw_stages
from sentispark.study.prepare import compare_encoders, compare_readers, write_many_reviews
from sentispark.study.spark_ways import prepare_by_sql
from sentispark.study.streaming import FIRST_WORD, LENGTH, PAD, prepare_by_streaming
from sentispark.study.turns import at_two_sizes, in_turns, median_ratio
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


def test_many_processes_write_the_reviews_that_one_generates(paths):
    lines = [line for path in paths for line in Path(path).read_text(encoding="utf-8").splitlines()]
    assert lines == list(generate_reviews(600))


def rows_of(folder):
    table = pq.read_table(folder)
    return list(zip(table["sequence"].to_pylist(), table["label"].to_pylist(), strict=True))


def test_streaming_and_spark_sql_make_the_same_rows(spark, paths, streamed, tmp_path):
    folder, result = streamed
    by_streaming = [row for number in range(2) for row in rows_of(folder / f"encoded-{number}.parquet")]
    assert len(by_streaming) == result["rows"] == prepare_by_sql(spark, paths, str(tmp_path / "sql"))
    by_sql = rows_of(tmp_path / "sql")
    # Equally frequent words have ids in another order, so rows are compared by what does not depend on that.
    shape = Counter((sum(token != PAD for token in sequence), label) for sequence, label in by_sql)
    assert shape == Counter((sum(token != PAD for token in sequence), label) for sequence, label in by_streaming)
    assert {len(sequence) for sequence, _ in by_sql} == {LENGTH}
    for rows in (by_sql, by_streaming):
        times = Counter(token for sequence, _ in rows for token in sequence if token >= FIRST_WORD)
        assert times[FIRST_WORD] == max(times.values())
    assert set(result["seconds"]) == {"map", "sort", "reduce", "count words", "encode and write"}


def test_prepare_finds_about_as_many_distinct_reviews_as_the_reference(spark, paths, streamed, tmp_path):
    result = prepare_dataset(spark, paths, str(tmp_path / "dataset"), text=TextOptions(stop_words="reference"))
    # The reference puts texts together that differ in case or punctuation alone, and drops those without a word.
    assert streamed[1]["rows"] <= sum(result["rows_written"].values()) <= 1.05 * streamed[1]["rows"]


def test_encoders_and_readers_are_compared_on_the_same_rows(spark, paths, tmp_path):
    assert compare_encoders(spark, paths, times=1)["ratios"]["encoder_vs_spark_ml"] > 0
    prepare_dataset(spark, paths, str(tmp_path / "dataset"), ReviewOptions(), TextOptions())
    found = compare_readers(open_dataset(str(tmp_path / "dataset")), times=1)
    assert found["ratios"]["reader_arrow"] > 0
    assert set(found["rows_per_second"]) >= {"bare", "arrow"}


def test_ways_run_in_turns_and_the_first_turn_does_not_count():
    done = []
    seconds = in_turns({"a": lambda: done.append("a"), "b": lambda: done.append("b") or 2.0}, times=2)
    assert done == ["a", "b"] * 3
    assert seconds["b"] == [2.0, 2.0]
    assert median_ratio({"slow": [2.0, 9.0, 4.0], "fast": [1.0, 1.0, 2.0]}, "slow", "fast") == 2


def test_what_does_not_grow_with_rows_comes_apart_from_what_a_further_row_costs():
    asked = []

    def way(paths):
        asked.append(len(paths))
        return 2 + 0.5 * len(paths)

    seconds, found = at_two_sizes({"a": way}, [f"{number}" for number in range(16)], 16_000, times=3)
    assert seconds == {"a": [10.0] * 3}
    assert found == {"a": {"fixed_seconds": pytest.approx(2), "microseconds_per_row": pytest.approx(500)}}
    assert asked == [2, 16] * 4


def test_a_process_of_its_own_gives_its_last_line_and_its_memory(tmp_path, monkeypatch):
    (tmp_path / "alone.py").write_text(
        "import json, os, sys, time\n"
        "held = b'x' * (100 << 20)\n"
        "time.sleep(1)\n"
        "print('a log line'); print(json.dumps({'cores': len(os.sched_getaffinity(0)), 'arguments': sys.argv[1:]}))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    found = run_alone("alone", ["a", "b"], cores=1)
    assert (found["cores"], found["arguments"]) == (1, ["a", "b"])
    assert found["peak_mib"]["driver"] > 100


def test_a_process_that_fails_and_cores_that_are_not_there_are_errors(tmp_path, monkeypatch):
    (tmp_path / "failing.py").write_text("import sys; sys.exit(3)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(SetupError, match="It ended with status 3"):
        run_alone("failing", [], cores=1)
    with pytest.raises(SetupError, match="'cores' must be at most"):
        run_alone("failing", [], cores=10_000)


def test_a_process_of_its_own_answers_when_it_is_asked(tmp_path, monkeypatch):
    (tmp_path / "answering.py").write_text(
        "import json, sys\n"
        "for number, line in enumerate(sys.stdin):\n"
        "    print('a log line'); print(json.dumps({'number': number, 'line': line}), flush=True)\n"
        "    number < 2 or sys.exit(4)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with started_alone("answering", [], cores=1) as alone:
        assert [alone.ask("asked") for _ in range(3)] == [{"number": number, "line": "asked\n"} for number in range(3)]
        with pytest.raises(SetupError, match="It ended with status 4"):
            alone.ask()
    with started_alone("answering", [], cores=1) as alone:
        pass
    assert alone.process.returncode == 0


def test_figures_are_written(tmp_path):
    draw_ratios({"a": 2.0, "b": 0.5}, tmp_path / "ratios.png")
    draw_stages({"read": 1.0}, {"map": 2.0, "sort": 1.0}, tmp_path / "stages.png")
    scale = [{"rows": 10, "microseconds_per_row": 2.0, "peak_mib": {"driver": 1.0, "jvm": 2.0, "worker": 3.0}}]
    draw_memory(scale, tmp_path / "scale.png")
    assert {path.name for path in tmp_path.iterdir()} == {"ratios.png", "stages.png", "scale.png"}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())


def test_polars_makes_the_rows_that_prepare_makes(spark, paths, tmp_path):
    polars_way = pytest.importorskip("sentispark.study.polars_way")
    rows, words = polars_way.prepare_by_polars(paths, str(tmp_path / "polars.parquet"))
    whole = ReviewOptions(validation_share=0, test_share=0)
    result = prepare_dataset(spark, paths, str(tmp_path / "dataset"), whole, TextOptions())
    assert rows == sum(result["rows_written"].values())
    dataset = open_dataset(str(tmp_path / "dataset"))
    assert words == list(dataset.word_list.words)
    assert (TextOptions().vocab_size, TextOptions().sequence_length) == (polars_way.WORDS, polars_way.LENGTH)
    files = [tmp_path / "dataset" / chunk.file for chunk in dataset.manifest.chunks] + [tmp_path / "polars.parquet"]
    *ours, theirs = ([str(list(row.values())) for row in pq.read_table(file).to_pylist()] for file in files)
    assert sorted(itertools.chain.from_iterable(ours)) == sorted(theirs)
