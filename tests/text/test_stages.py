"""The text stages compared with the kernels, a Counter and Spark's CountVectorizer; saved, loaded and repartitioned."""

import datetime
import decimal
import itertools
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import CountVectorizer
from pyspark.ml.linalg import SparseVector, Vectors, VectorUDT
from pyspark.sql import types as T

from sentispark.errors import InputError, OptionError, SentisparkError
from sentispark.spark.causes import collected
from sentispark.text import kernels
from sentispark.text.encoder import ReviewEncoder, ReviewEncoderModel
from sentispark.text.markup import clean_markup
from sentispark.text.padding import SequencePadder
from sentispark.text.stopwords import ENGLISH, REFERENCE
from sentispark.text.tokenizer import ReviewTokenizer
from sentispark.text.vocabulary import VocabularyBuilder, VocabularyModel

TEXTS = [
    "This is not good, it isn't good at all.",
    "Good! Good? GOOD…",
    None,
    "",
    " \t\n ",
    "?!",
    "I would get this product again; great.Love it",
    "don’t won't 'tis rock'n'roll o''clock",
    "naïve café ΣΊΣΥΦΟΣ 日本語 👍🏽 x\u0301",
    "a\u00a0b\u2003c",
    "nul\0byte <br /> &amp;",
    "word " * 300,
    "x" * 5000,
    "the the a a and",
]
# The choices of stop words, with the words that each removes and the cleaning that it implies.
STOP_WORDS = {
    "none": ((), "words"),
    "english": (ENGLISH, "words"),
    "reference": (REFERENCE, "reference"),
    ("Good", "THE"): (("good", "the"), "words"),
}


def three_stages(**params):
    return Pipeline(
        stages=[
            ReviewTokenizer(stopWords=params.get("stopWords", "none")),
            VocabularyBuilder(vocabSize=params.get("vocabSize", 20_000), minCount=params.get("minCount", 1)),
            SequencePadder(
                sequenceLength=params.get("sequenceLength", 100),
                truncate=params.get("truncate", "tail"),
            ),
        ]
    )


def rows_by_id(frame, *columns):
    return [tuple(row[name] for name in columns) for row in sorted(frame.collect(), key=lambda row: row["id"])]


def error_of(kind, function, *arguments, **named):
    with pytest.raises(kind) as caught:
        function(*arguments, **named)
    assert isinstance(caught.value, SentisparkError)
    return str(caught.value)


@pytest.fixture(scope="module")
def reviews(spark):
    return spark.createDataFrame(list(enumerate(TEXTS)), "id int, text string").repartition(3).cache()


@pytest.fixture(scope="module")
def encoder_model(reviews):
    return ReviewEncoder(sequenceLength=8).fit(reviews)


def texts_frame(spark, *texts):
    return spark.createDataFrame(list(enumerate(texts)), "id int, text string")


@pytest.mark.modern
@pytest.mark.parametrize(("stop_words", "truncate"), list(zip(STOP_WORDS, ["tail", "head"] * 2, strict=True)), ids=str)
def test_stages_encoder_and_kernels_agree_row_by_row(reviews, stop_words, truncate):
    params = {"stopWords": stop_words, "vocabSize": 7, "minCount": 2, "sequenceLength": 4, "truncate": truncate}
    pipeline_model = three_stages(**params).fit(reviews)
    encoder_model = ReviewEncoder(**params).fit(reviews)
    by_stages = pipeline_model.transform(reviews)
    staged = rows_by_id(by_stages, "words", "ids", "sequence", "length")

    left_out, cleaning = STOP_WORDS[stop_words]
    words = kernels.tokenize(
        clean_markup(pa.array(TEXTS, pa.string())),
        cleaning=cleaning,
        stop_words=pa.array(left_out, pa.string()) if left_out else None,
    )
    counts = Counter(word for row in words.to_pylist() for word in row)
    frequent = sorted((word for word in counts if counts[word] >= 2), key=lambda word: (-counts[word], word))[:7]
    ids = kernels.encode(words, pa.array(frequent, pa.string()))
    sequence, length = kernels.pad(ids, 4, truncate=truncate)

    assert pipeline_model.stages[1].vocabulary == encoder_model.vocabulary == frequent
    assert staged == list(zip(words.to_pylist(), ids.to_pylist(), sequence.tolist(), length.tolist(), strict=True))
    assert rows_by_id(encoder_model.transform(reviews), "sequence", "length") == [row[2:] for row in staged]


def test_a_review_that_can_be_encoded_by_hand(spark):
    model = ReviewEncoder(sequenceLength=4, vocabSize=2).fit(texts_frame(spark, "good, good, not good; not bad", None))
    assert model.vocabulary == ["good", "not"]
    encoded = model.transform(texts_frame(spark, "Not so good!", "bad", "good not good not good", "", None))
    assert rows_by_id(encoded, "sequence", "length") == [
        ([3, 1, 2, 0], 3),
        ([1, 0, 0, 0], 1),
        ([2, 3, 2, 3], 4),
        ([0, 0, 0, 0], 0),
        ([0, 0, 0, 0], 0),
    ]
    assert [row.id for row in encoded.where("text IS NULL").collect()] == [4]


def test_the_vocabulary_is_the_most_frequent_words_with_ties_in_alphabetical_order(spark):
    rng = np.random.default_rng(0)
    words = [f"w{number}" for number in range(60)] + ["Ä".lower(), "é", "日本"]
    texts = [" ".join(rng.choice(words, size=12)) for _ in range(80)]
    counts = Counter(word for text in texts for word in text.split())
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    assert len(set(counts.values())) < len(counts)  # there are ties
    frame = texts_frame(spark, *texts).repartition(3).cache()
    for vocab_size, min_count in [(10_000, 1), (20, 1), (10_000, 15)]:
        model = ReviewEncoder(vocabSize=vocab_size, minCount=min_count).fit(frame)
        assert model.vocabulary == [word for word in ranked if counts[word] >= min_count][:vocab_size]


def test_without_ties_the_vocabulary_is_that_of_sparks_count_vectorizer(spark):
    texts = [" ".join(f"w{number:02d}" for number in range(start, 30)) for start in range(30)]  # w00 once, w29 30 times
    words = ReviewTokenizer().transform(texts_frame(spark, *texts)).repartition(3).cache()
    ours = VocabularyBuilder(vocabSize=12).fit(words)
    theirs = CountVectorizer(inputCol="words", outputCol="counts", vocabSize=12).fit(words)
    assert ours.vocabulary == theirs.vocabulary == [f"w{number}" for number in range(29, 17, -1)]


def test_english_stop_words_keep_negations(spark):
    frame = texts_frame(spark, "It was not good, but it wasn't bad, nor would I say no", "the and of")
    tokenizer = ReviewTokenizer(stopWords="english")
    assert rows_by_id(tokenizer.transform(frame), "words") == [
        (["not", "good", "but", "wasn't", "bad", "nor", "would", "say", "no"],),
        ([],),
    ]


def test_the_reference_stop_words_imply_the_reference_cleaning(spark):
    frame = texts_frame(spark, "It was NOT good.Love 4 ever, would get this product", "don't\tstop l8r")
    assert rows_by_id(ReviewTokenizer(stopWords="reference", markup="keep").transform(frame), "words") == [
        (["goodlove", "ever"],),
        (["don'tstop", "lr"],),
    ]


def test_a_list_of_stop_words_removes_these_words_in_any_case(spark):
    tokenizer = ReviewTokenizer(stopWords=["Good", "ZU"])
    assert rows_by_id(tokenizer.transform(texts_frame(spark, "GOOD goods good zu gut")), "words") == [
        (["goods", "gut"],)
    ]


def test_truncate_names_the_end_that_is_cut_off(spark):
    frame = spark.createDataFrame([(0, [5, 6, 7]), (1, [8]), (2, []), (3, None)], "id int, ids array<int>")
    rows = {
        truncate: rows_by_id(SequencePadder(sequenceLength=2, truncate=truncate).transform(frame), "sequence", "length")
        for truncate in ("tail", "head")
    }
    assert rows["tail"] == [([5, 6], 2), ([8, 0], 1), ([0, 0], 0), ([0, 0], 0)]
    assert rows["head"] == [([6, 7], 2), ([8, 0], 1), ([0, 0], 0), ([0, 0], 0)]


def test_a_null_id_is_an_unknown_word_and_an_id_of_more_than_32_bits_is_an_error(spark):
    frame = spark.sql("SELECT array(5L, NULL, 6L) AS ids, array(5L, 4294967296L) AS large")
    padder = SequencePadder(sequenceLength=4)
    assert padder.transform(frame).first().sequence == [5, 1, 6, 0]
    with pytest.raises(InputError, match=r"^SequencePadder needs token ids that fit into 32 bits\. Some do not\."):
        collected(padder.setInputCol("large").transform(frame))


def test_null_words_have_no_ids(spark):
    frame = spark.createDataFrame([(0, ["b", "a", "b"]), (1, None), (2, [])], "id int, words array<string>")
    assert rows_by_id(VocabularyBuilder().fit(frame).transform(frame), "ids") == [([2, 3, 2],), ([],), ([],)]


OTHER_COLUMNS = {
    "a_byte": (T.ByteType(), 7),
    "an_int": (T.IntegerType(), -3),
    "a_long": (T.LongType(), 2**62),
    "a_double": (T.DoubleType(), 0.1),
    "a_bool": (T.BooleanType(), True),
    "a_string": (T.StringType(), "日本\0"),
    "bytes": (T.BinaryType(), bytearray(b"\0\xff")),
    "a_decimal": (T.DecimalType(20, 3), decimal.Decimal("12345678901234567.891")),
    "a_date": (T.DateType(), datetime.date(1582, 10, 4)),
    "a_timestamp": (T.TimestampType(), datetime.datetime(2018, 10, 1, 12, 30, 0, 123_456)),
    "a_local_timestamp": (T.TimestampNTZType(), datetime.datetime(2018, 10, 1, 12, 30, 0, 123_456)),
    "an_interval": (T.DayTimeIntervalType(), datetime.timedelta(days=1, microseconds=1)),
    "an_array": (T.ArrayType(T.StringType()), ["a", None]),
    "a_nested_array": (T.ArrayType(T.ArrayType(T.LongType(), containsNull=False)), [[1], [], None]),
    "a_map": (T.MapType(T.StringType(), T.IntegerType()), {"a": 1, "b": None}),
    "a_struct": (T.StructType([T.StructField("x", T.IntegerType()), T.StructField("y", T.StringType())]), (1, "y")),
    "a_vector": (VectorUDT(), Vectors.dense([0.5, -1.0])),
    "a_sparse_vector": (VectorUDT(), SparseVector(4, {1: 2.0})),
}


@pytest.mark.modern
def test_all_other_columns_pass_through_untouched_whatever_their_type(spark, encoder_model):
    schema = T.StructType(
        [
            T.StructField("id", T.IntegerType(), nullable=False),
            *(T.StructField(name, kind) for name, (kind, _) in OTHER_COLUMNS.items()),
            T.StructField("text", T.StringType(), metadata={"origin": "shop"}),
        ]
    )
    values = [value for _, value in OTHER_COLUMNS.values()]
    frame = spark.createDataFrame([(0, *values, "Good"), (1, *[None] * len(values), None)], schema)
    encoded = encoder_model.transform(frame)
    assert encoded.columns == [*frame.columns, "sequence", "length"]
    assert encoded.schema.fields[:-2] == frame.schema.fields
    assert rows_by_id(encoded, *frame.columns) == rows_by_id(frame, *frame.columns)


@pytest.mark.parametrize("column", ["review text", "review.text", "a`b"])
def test_columns_may_have_any_name(spark, column):
    frame = spark.createDataFrame([("good good bad",)], T.StructType([T.StructField(column, T.StringType())]))
    encoder = ReviewEncoder(inputCol=column, outputCol="the sequence", lengthCol="l.e", sequenceLength=3)
    assert [tuple(row) for row in encoder.fit(frame).transform(frame).collect()] == [("good good bad", [2, 2, 3], 3)]


@pytest.mark.parametrize("column", ["with space", "with.dot", "a`b"])
def test_other_columns_may_have_any_name(spark, encoder_model, column):
    schema = T.StructType([T.StructField("text", T.StringType()), T.StructField(column, T.IntegerType())])
    encoded = encoder_model.transform(spark.createDataFrame([("good", 7)], schema))
    assert [(row.text, row[column]) for row in encoded.collect()] == [("good", 7)]


def test_the_output_does_not_depend_on_the_partitioning(reviews, encoder_model):
    expected = rows_by_id(encoder_model.transform(reviews), "text", "sequence", "length")
    for frame in (reviews.coalesce(1), reviews.orderBy("text").repartition(5)):
        assert rows_by_id(encoder_model.transform(frame), "text", "sequence", "length") == expected
        assert ReviewEncoder().fit(frame).vocabulary == encoder_model.vocabulary


def test_a_rows_output_does_not_depend_on_other_rows(reviews, encoder_model):
    together = rows_by_id(encoder_model.transform(reviews.coalesce(1)), "sequence", "length")
    backwards = reviews.coalesce(1).sortWithinPartitions("id", ascending=False)
    assert rows_by_id(encoder_model.transform(backwards), "sequence", "length") == together
    for alone in (1, 7):
        frame = reviews.where(f"id = {alone}").coalesce(1)
        assert rows_by_id(encoder_model.transform(frame), "sequence", "length") == [together[alone]]


@pytest.mark.modern
@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("spark.sql.execution.arrow.maxRecordsPerBatch", "1"),
        ("spark.sql.execution.arrow.maxRecordsPerBatch", "0"),  # all rows of a partition
        ("spark.sql.execution.arrow.useLargeVarTypes", "true"),
    ],
)
def test_arrow_settings_do_not_change_the_output(spark, reviews, encoder_model, setting, value):
    pipeline = three_stages(sequenceLength=8).fit(reviews)
    expected = rows_by_id(encoder_model.transform(reviews), "sequence", "length")
    before = spark.conf.get(setting)
    spark.conf.set(setting, value)
    try:
        assert rows_by_id(encoder_model.transform(reviews.coalesce(1)), "sequence", "length") == expected
        assert rows_by_id(pipeline.transform(reviews.coalesce(1)), "sequence", "length") == expected
        assert ReviewEncoder().fit(reviews.coalesce(1)).vocabulary == encoder_model.vocabulary
        assert three_stages().fit(reviews.coalesce(1)).stages[1].vocabulary == encoder_model.vocabulary
    finally:
        spark.conf.set(setting, before)


@pytest.fixture(scope="module")
def stages(reviews, encoder_model):
    """Every stage of this package with non-default Params, and a DataFrame to transform."""
    words = ReviewTokenizer().transform(reviews)
    return {
        "tokenizer": (ReviewTokenizer(stopWords=["Good", "is"], outputCol="w"), reviews),
        "builder": (VocabularyBuilder(vocabSize=4, minCount=2, outputCol="i"), words),
        "vocabulary": (VocabularyModel.from_words(["good", "日本語", "isn't"], outputCol="i"), words),
        "padder": (
            SequencePadder(sequenceLength=2, truncate="head", lengthCol="n"),
            encoder_model.transform(reviews).withColumnRenamed("sequence", "ids"),
        ),
        "encoder": (ReviewEncoder(stopWords="english", vocabSize=4, sequenceLength=3, lengthCol="n"), reviews),
        "encoder model": (encoder_model, reviews),
        "pipeline": (three_stages(sequenceLength=3), reviews),
        "pipeline model": (PipelineModel([ReviewTokenizer(), VocabularyModel.from_words(["good"])]), reviews),
    }


@pytest.mark.modern
@pytest.mark.parametrize(
    "name",
    ["tokenizer", "builder", "vocabulary", "padder", "encoder", "encoder model", "pipeline", "pipeline model"],
)
def test_a_saved_and_loaded_stage_gives_the_same_output(stages, tmp_path, name):
    stage, frame = stages[name]
    stage.save(f"{tmp_path}/saved stage")
    loaded = type(stage).load(f"{tmp_path}/saved stage")
    assert loaded.uid == stage.uid
    if not isinstance(stage, (Pipeline, PipelineModel)):
        assert {param.name: value for param, value in loaded.extractParamMap().items()} == {
            param.name: value for param, value in stage.extractParamMap().items()
        }
    one, other = (
        (made.fit(frame) if hasattr(made, "fit") else made).transform(frame).drop("text") for made in (stage, loaded)
    )
    assert one.schema == other.schema
    assert sorted(one.collect(), key=lambda row: row["id"]) == sorted(other.collect(), key=lambda row: row["id"])


def test_nothing_that_is_saved_is_a_pickle(encoder_model, tmp_path):
    encoder_model.save(f"{tmp_path}/model")
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".crc"]
    assert all(path.name in ("_SUCCESS", "vocabulary.json") or path.read_text().startswith("{") for path in files)


def test_saving_to_an_existing_path_needs_overwrite(encoder_model, tmp_path):
    encoder_model.save(f"{tmp_path}/model")
    with pytest.raises(Exception, match="already exists"):
        encoder_model.save(f"{tmp_path}/model")
    VocabularyModel.from_words(["other"]).write().overwrite().save(f"{tmp_path}/model")
    assert VocabularyModel.load(f"{tmp_path}/model").vocabulary == ["other"]


def test_params_given_to_fit_and_transform_apply_to_that_call_only(spark):
    frame = texts_frame(spark, "b a a c")
    encoder = ReviewEncoder(sequenceLength=2)
    model = encoder.fit(frame, {encoder.vocabSize: 1, encoder.sequenceLength: 4})
    assert model.vocabulary == ["a"]
    assert rows_by_id(model.transform(frame), "sequence") == [([1, 2, 2, 1],)]
    assert rows_by_id(model.transform(frame, {model.truncate: "head", model.sequenceLength: 1}), "sequence") == [([1],)]
    assert (encoder.getVocabSize(), encoder.getSequenceLength(), model.getSequenceLength()) == (20_000, 2, 4)


def test_the_params_of_an_estimator_are_its_models(spark):
    frame = texts_frame(spark, "b a a c")
    encoder, builder = ReviewEncoder(sequenceLength=2), VocabularyBuilder()
    model = encoder.fit(frame, {encoder.minCount: 1})
    assert (model.uid, model.copy().uid) == (encoder.uid, encoder.uid)
    assert "mine" in model.transform(frame, {encoder.outputCol: "mine"}).columns
    words = ReviewTokenizer().transform(frame)
    assert "mine" in builder.fit(words).transform(words, {builder.outputCol: "mine"}).columns


def test_a_copy_of_a_model_has_the_vocabulary_and_its_own_params(encoder_model):
    copy = encoder_model.copy({encoder_model.sequenceLength: 3})
    assert copy.vocabulary == encoder_model.vocabulary
    assert copy.uid == encoder_model.uid
    assert (copy.getSequenceLength(), encoder_model.getSequenceLength()) == (3, 8)


@pytest.mark.parametrize(
    ("stage", "column"),
    [
        (ReviewTokenizer(inputCol="review"), "review"),
        (VocabularyBuilder(), "words"),
        (VocabularyModel.from_words(["good"]), "words"),
        (SequencePadder(), "ids"),
        (ReviewEncoder(inputCol="Text "), "Text "),
        (ReviewEncoderModel.from_words(["good"], inputCol="t"), "t"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else value,
)
def test_the_error_of_a_missing_column_names_the_existing_ones(reviews, stage, column):
    work = stage.fit if hasattr(stage, "fit") else stage.transform
    assert error_of(InputError, work, reviews) == (
        f"{type(stage).__name__} needs a column '{column}'. The DataFrame has id, text."
    )


@pytest.mark.parametrize(("texts", "min_count"), [(["?!", None, ""], 1), (["good bad"], 2)])
def test_a_column_without_words_cannot_give_a_vocabulary(spark, texts, min_count):
    frame = texts_frame(spark, *texts)
    assert error_of(InputError, ReviewEncoder(minCount=min_count).fit, frame) == (
        f"Column 'text' must hold a word that occurs at least {min_count} times. None does. "
        "Check the column or lower the minimum count."
    )


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("vocabSize", 0, "a whole number of at least 1"),
        ("vocabSize", True, "a whole number of at least 1"),
        ("vocabSize", "100", "a whole number of at least 1"),
        ("minCount", -1, "a whole number of at least 1"),
        ("sequenceLength", 1.5, "a whole number of at least 1"),
        ("truncate", "middle", "one of tail, head"),
        ("stopWords", "french", "none, english, reference, or a list of words"),
        ("stopWords", ["a", 1], "none, english, reference, or a list of words"),
    ],
)
def test_an_invalid_param_is_an_error_wherever_it_is_set(name, value, rule):
    sentence = f"'{name}' must be {rule}. Got {value!r}."
    encoder = ReviewEncoder()
    assert error_of(OptionError, ReviewEncoder, **{name: value}) == sentence
    assert error_of(OptionError, encoder.setParams, **{name: value}) == sentence
    assert error_of(OptionError, getattr(encoder, f"set{name[0].upper()}{name[1:]}"), value) == sentence
    assert not encoder.isSet(name)


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        ("vocabsize", " Did you mean 'vocabSize'?"),
        ("sequence_length", " Did you mean 'sequenceLength'?"),
        ("color", ""),
    ],
)
def test_an_unknown_param_is_an_error_with_a_hint_if_one_is_similar(wrong, hint):
    sentence = f"'{wrong}' is not a Param of ReviewEncoder.{hint}"
    assert error_of(OptionError, ReviewEncoder, **{wrong: 1}) == sentence
    assert error_of(OptionError, ReviewEncoder().setParams, **{wrong: 1}) == sentence


def test_stages_share_no_params():
    for one, other in itertools.combinations([ReviewEncoder(), ReviewEncoder(vocabSize=5), ReviewEncoder()], 2):
        one.setMinCount(3)
        assert other.getMinCount() == 1
        one.clear(one.minCount)
        assert one.uid != other.uid


def test_numpy_numbers_and_tuples_are_converted():
    encoder = ReviewEncoder(vocabSize=np.int64(7), stopWords=("a", "the"))
    assert type(encoder.getVocabSize()) is int
    assert encoder.getStopWords() == ["a", "the"]


def test_null_words_are_not_counted_and_have_the_unknown_id(spark):
    frame = spark.createDataFrame([(["a", None, None],)], "words array<string>")
    model = VocabularyBuilder().fit(frame)
    assert model.vocabulary == ["a"]
    assert model.transform(frame).collect()[0].ids == [2, 1, 1]
