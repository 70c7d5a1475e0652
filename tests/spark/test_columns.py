"""Columns that kernels add: how often they are computed, what is read and moved for them, and what does not change."""

from __future__ import annotations

import functools
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, LongType, StringType, StructField

from sentispark.spark.columns import with_columns
from sentispark.spark.params import names_of

pytestmark = pytest.mark.modern


class Log:
    """Counts the rows that kernels process, in files, as kernels run in other processes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, name: str, rows: int) -> None:
        with (self._folder / name).open("a") as file:
            file.write(f"{rows}\n")

    def rows(self, name: str) -> int:
        """The rows that a kernel has processed since the last call."""
        file = self._folder / name
        seen = sum(map(int, file.read_text().split())) if file.exists() else 0
        file.unlink(missing_ok=True)
        return seen


@pytest.fixture
def log(tmp_path):
    return Log(tmp_path)


def add(values, log, name, more):
    log.add(name, len(values))
    return [pc.add(values, pa.scalar(number, pa.int64())) for number in more]


def plus(frame, column, names, log, **options):
    """Columns of the given column plus 1, plus 2, …"""
    kernel = functools.partial(add, log=log, name=names[0], more=range(1, len(names) + 1))
    return with_columns(frame, column, [StructField(name, LongType()) for name in names], kernel, **options)


def echo(frame, column, kind):
    return with_columns(frame, column, [StructField("echo", kind)], lambda values: [values])


def plan(frame):
    return frame._jdf.queryExecution().executedPlan().toString()


ROWS = 7


@pytest.fixture
def once(spark, log):
    return plus(spark.range(ROWS), "id", ["one", "also"], log)


@pytest.fixture
def expensive(spark, log):
    return plus(spark.range(ROWS).withColumn("parity", F.col("id") % 2), "id", ["one"], log, deterministic=False)


class TestComputation:
    def test_columns_of_columns(self, once, log):
        both = plus(once, "one", ["two"], log)
        assert both.columns == ["id", "one", "also", "two"]
        assert sorted(map(tuple, both.collect())) == [(n, n + 1, n + 2, n + 2) for n in range(ROWS)]

    @pytest.mark.parametrize("selected", [["id", "one", "also", "two"], ["two"], ["one", "two"], ["id"]])
    def test_each_kernel_processes_a_row_once_and_only_if_a_query_needs_it(self, once, log, selected):
        both = plus(once, "one", ["two"], log, deterministic=False)
        both.select(*selected).collect()
        assert log.rows("one") == ROWS * (selected != ["id"])
        assert log.rows("two") == ROWS * ("two" in selected)

    @pytest.mark.parametrize(
        "query",
        [
            lambda frame: frame.filter("one > 3"),
            lambda frame: frame.filter("one > 3 AND parity = 0").select("one"),
            lambda frame: frame.withColumn("twice", F.col("one") * 2).filter("twice > 3").withColumn("x", F.col("one")),
            lambda frame: frame.groupBy("one").count().filter("count > 0"),
            lambda frame: frame.groupBy("parity").agg(F.avg("one"), F.max("one")),
            lambda frame: frame.orderBy(F.desc("one")).limit(3),
            lambda frame: frame.selectExpr("one AS a", "one AS b", "one + one AS c").filter("a = b"),
            lambda frame: frame.dropDuplicates(["one"]),
            lambda frame: frame.repartition(3, "one").sortWithinPartitions("one"),
            lambda frame: frame.join(frame.sparkSession.range(3).withColumnRenamed("id", "one"), "one"),
            lambda frame: frame.select(F.explode(F.array("one", "id"))).distinct(),
            lambda frame: frame.alias("a").select("a.one", "a.*").filter("a.one is not null"),
        ],
    )
    def test_an_expensive_kernel_processes_each_row_once_in_any_query(self, expensive, log, query):
        query(expensive).collect()
        assert log.rows("one") == ROWS

    def test_it_processes_each_row_once_when_they_are_written_or_cached(self, expensive, log, tmp_path):
        expensive.write.parquet(str(tmp_path / "written"))
        assert log.rows("one") == ROWS
        cached = expensive.cache()
        try:
            for _ in range(2):
                cached.filter("one > 2").count()
            assert log.rows("one") == ROWS
        finally:
            cached.unpersist()

    def test_changes_between_two_kernels_are_applied(self, once, log):
        both = plus(once.selectExpr("one * 10 AS ten", "id"), "ten", ["eleven"], log)
        expected = [(10 * n + 10, n, 10 * n + 11) for n in range(ROWS)]
        assert sorted(map(tuple, both.collect())) == expected
        assert sorted(map(tuple, both.select("eleven").collect())) == [(row[2],) for row in expected]

    def test_a_replaced_column_of_the_same_name_is_read(self, once, log):
        both = plus(once.drop("one").withColumn("one", F.lit(100).cast("long")), "one", ["two"], log)
        assert {row.two for row in both.collect()} == {101}

    def test_a_dataframe_cached_between_two_kernels_is_read_from_the_cache(self, once, log):
        once.cache()
        try:
            assert once.count() == ROWS
            log.rows("one")
            both = plus(once, "one", ["two"], log)
            assert "InMemoryTableScan" in plan(both)
            assert sorted(row.two for row in both.collect()) == [n + 2 for n in range(ROWS)]
            assert log.rows("one") == 0
        finally:
            once.unpersist()

    def test_one_visit_to_python_serves_all_columns(self, once, log):
        assert plan(plus(once, "one", ["two"], log, deterministic=False)).count("EvalPython") == 1

    def test_a_dataframe_without_rows_or_with_empty_partitions(self, spark, log):
        assert plus(spark.range(0), "id", ["one"], log).collect() == []
        few = plus(spark.range(2).repartition(5), "id", ["one"], log)
        assert sorted(row.one for row in few.collect()) == [1, 2]

    def test_in_a_stream(self, spark, log, tmp_path):
        spark.range(ROWS).write.parquet(str(tmp_path / "in"))
        stream = spark.readStream.schema("id long").parquet(str(tmp_path / "in"))
        both = plus(plus(stream, "id", ["one"], log), "one", ["two"], log, deterministic=False)
        query = both.writeStream.format("memory").queryName("made").trigger(availableNow=True).start()
        query.awaitTermination()
        assert sorted(map(tuple, spark.table("made").collect())) == [(n, n + 1, n + 2) for n in range(ROWS)]
        assert (log.rows("one"), log.rows("two")) == (ROWS, ROWS)


class TestReading:
    @pytest.fixture
    def wide(self, spark, tmp_path):
        columns = [F.concat(F.lit("text "), "id").alias(f"c{number}") for number in range(30)]
        spark.range(ROWS).select("id", *columns).write.parquet(str(tmp_path / "wide"))
        return spark.read.parquet(str(tmp_path / "wide"))

    @pytest.mark.parametrize("deterministic", [True, False])
    def test_columns_that_a_query_does_not_name_are_not_read(self, wide, log, deterministic):
        made = plus(wide, "id", ["one"], log, deterministic=deterministic)
        assert "ReadSchema: struct<id:bigint>" in plan(made.select("one"))
        assert "ReadSchema: struct<c7:string>" in plan(made.select("c7"))

    def test_a_filter_on_another_column_reaches_the_files(self, wide, log):
        made = plus(wide, "id", ["one"], log)
        assert "EqualTo(c3,text 3)" in plan(made.filter("c3 = 'text 3'"))


class TestOtherColumns:
    def test_columns_of_the_input_still_resolve(self, spark, log):
        frame = spark.range(5).withColumn("other", F.col("id") * 2)
        made = plus(frame, "id", ["one"], log)
        assert sorted(row.one for row in made.filter(frame.id > 2).collect()) == [4, 5]
        assert made.drop(frame.other).columns == ["id", "one"]
        assert made.select(frame["other"], made["one"]).columns == ["other", "one"]
        again = plus(made, "one", ["two"], log)
        assert again.select(made["one"], frame["id"]).columns == ["one", "id"]

    def test_a_dataframe_can_be_joined_and_united_with_itself(self, spark, log):
        made = plus(spark.range(3), "id", ["one"], log, deterministic=False)
        pairs = made.alias("a").join(made.alias("b"), F.col("a.one") == F.col("b.id")).select("a.id", "b.one")
        assert sorted(map(tuple, pairs.collect())) == [(0, 2), (1, 3)]
        assert made.union(made).count() == 6

    def test_types_that_arrow_cannot_carry(self, spark, log):
        frame = spark.sql(
            "SELECT id, make_ym_interval(1, 2) AS months, make_interval(1, 2, 3) AS calendar, "
            "make_dt_interval(1) AS days, map(array(id), named_struct('x', null)) AS pairs, null AS nothing, "
            "named_struct('a', id, 'a', id) AS twice FROM range(3)"
        )
        made = plus(frame, "id", ["one"], log)
        assert names_of(made) == [*names_of(frame), "one"]
        assert sorted(row.one for row in made.select("one").collect()) == [1, 2, 3]
        shown = "string(months) || string(calendar) || string(days) || string(pairs) || string(twice)"
        assert sorted(map(tuple, made.selectExpr("id", shown).collect())) == sorted(
            map(tuple, frame.selectExpr("id", shown).collect())
        )

    def test_columns_of_one_name(self, spark, log):
        left = spark.range(3).withColumn("same", F.lit("left")).alias("left")
        frame = left.join(
            spark.range(3).select(F.col("id").alias("key"), F.lit("right").alias("same")), F.expr("id = key")
        )
        made = plus(frame, "id", ["one"], log)
        assert made.columns == ["id", "same", "key", "same", "one"]
        assert sorted(map(tuple, made.collect())) == [(n, "left", n, "right", n + 1) for n in range(3)]

    @pytest.mark.parametrize("name", ["a.b", "a`b", "_sentispark_recipes", "id + 1", "ä ö", "`x`.y", "*"])
    def test_a_column_may_have_any_name(self, spark, log, name):
        frame = spark.range(3).withColumnRenamed("id", name)
        made = plus(plus(frame, name, [f"{name}1"], log), f"{name}1", [f"{name}2"], log)
        assert made.columns == [name, f"{name}1", f"{name}2"]
        assert sorted(map(tuple, made.collect())) == [(n, n + 1, n + 2) for n in range(3)]


class TestKernelInput:
    @pytest.mark.parametrize("element", ["bigint", "int", "smallint", "tinyint"])
    def test_lists_of_numbers(self, spark, element):
        rows = [([1, 2, 3],), (None,), ([],), ([4, None, 120],), ([None],)]
        frame = spark.createDataFrame(rows, f"ids array<{element}>").coalesce(1)
        kind = frame.schema["ids"].dataType
        assert [row.echo for row in echo(frame, "ids", kind).collect()] == [row[0] for row in rows]

    def test_texts_and_lists_of_them(self, spark):
        texts = ["", "é 😀", None, "a\x00b"]
        frame = spark.createDataFrame(
            [(text, [text, "x"]) for text in texts] + [(None, None)], "text string, words array<string>"
        )
        frame = frame.coalesce(1)
        assert [row.echo for row in echo(frame, "text", StringType()).collect()] == [*texts, None]
        words = [row.echo for row in echo(frame, "words", ArrayType(StringType())).collect()]
        assert words == [*([text, "x"] for text in texts), None]

    def test_invalid_utf8_arrives_as_spark_itself_reads_it(self, spark):
        frame = spark.sql("SELECT CAST(x'61ff62' AS string) AS text, array(CAST(x'80' AS string), 'b') AS words")
        assert [row.echo for row in echo(frame, "text", StringType()).collect()] == ["a\ufffdb"]
        assert [row.echo for row in echo(frame, "words", ArrayType(StringType())).collect()] == [["\ufffd", "b"]]

    @pytest.mark.parametrize("rows", [1, 3])
    def test_the_size_of_batches_does_not_matter(self, spark, log, once, rows):
        name = "spark.sql.execution.arrow.maxRecordsPerBatch"
        before = spark.conf.get(name)
        spark.conf.set(name, rows)
        try:
            both = plus(once, "one", ["two"], log)
            assert sorted(map(tuple, both.collect())) == [(n, n + 1, n + 2, n + 2) for n in range(ROWS)]
            assert log.rows("one") == ROWS
        finally:
            spark.conf.set(name, before)

    def test_strings_of_the_large_kind(self, spark, log):
        name = "spark.sql.execution.arrow.useLargeVarTypes"
        before = spark.conf.get(name, "false")
        spark.conf.set(name, "true")
        try:
            frame = spark.createDataFrame([("a", ["b", "c"])], "text string, words array<string>")
            assert echo(frame, "text", StringType()).collect()[0].echo == "a"
            assert echo(frame, "words", ArrayType(StringType())).collect()[0].echo == ["b", "c"]
        finally:
            spark.conf.set(name, before)
