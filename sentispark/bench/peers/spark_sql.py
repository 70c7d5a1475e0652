"""The preparation of the 2019 reference system as a user of Spark SQL would write it."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from sentispark.bench.peers.streaming import FIRST_WORD, LENGTH, PAD, UNKNOWN, WORDS
from sentispark.text.stopwords import REFERENCE

__all__ = ["prepare_by_sql"]


def prepare_by_sql(spark: SparkSession, paths: Sequence[str], output: str) -> int:
    """JSON lines to sequences and labels in Parquet, with the reference system's cleaning.

    Returns
    -------
    int
        The number of rows written.
    """
    reduced = _distinct_texts(spark, paths).persist()
    try:
        words = reduced.select(F.explode("words").alias("word")).groupBy("word").count()
        top = words.orderBy(F.desc("count"), "word").limit(WORDS).collect()
        ids = spark.createDataFrame([(row.word, FIRST_WORD + n) for n, row in enumerate(top)], "word string, id int")
        _encoded(reduced, ids).orderBy(F.xxhash64("text")).select("sequence", "label").write.parquet(output)
        return reduced.count()
    finally:
        reduced.unpersist()


def _distinct_texts(spark: SparkSession, paths: Sequence[str]) -> DataFrame:
    """`text`, `words` and `label` of each distinct text; its rating is the mode, the lower of equally frequent ones."""
    lines = spark.read.schema("reviewText string, overall double").json(list(paths))
    letters = F.lower(F.regexp_replace("reviewText", "[^a-zA-Z' ]", ""))
    words = F.filter(F.split(letters, " "), lambda word: (word != "") & ~word.isin(*REFERENCE))
    mapped = lines.where("overall BETWEEN 1 AND 5").select(F.array_join(words, " ").alias("text"), "overall")
    counted = mapped.where("text <> ''").groupBy("text", "overall").count()
    modes = counted.groupBy("text").agg(F.max_by("overall", F.col("count") * 8 - F.col("overall")).alias("overall"))
    label = (F.col("overall") >= 4).cast("int").alias("label")
    return modes.select("text", F.split("text", " ").alias("words"), label)


def _encoded(reduced: DataFrame, ids: DataFrame) -> DataFrame:
    """`text`, `label` and `sequence`, truncated and padded."""
    first = F.slice("words", 1, LENGTH)
    exploded = reduced.select("text", "label", F.posexplode(first).alias("position", "word"))
    known = exploded.join(F.broadcast(ids), "word", "left").select(
        "text", "label", F.struct("position", F.coalesce("id", F.lit(UNKNOWN)).alias("id")).alias("at")
    )
    lists = known.groupBy("text", "label").agg(F.sort_array(F.collect_list("at")).alias("at"))
    padding = F.array_repeat(F.lit(PAD), LENGTH)
    sequence = F.slice(F.concat(F.col("at.id"), padding), 1, LENGTH)
    return lists.select("text", "label", sequence.cast("array<smallint>").alias("sequence"))
