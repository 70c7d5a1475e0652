"""The predictor without Spark, and a stream, give the predictions that the pipeline gives for a table."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.feature import SQLTransformer
from pyspark.sql import functions as F

from sentispark import (
    LSTMClassifier,
    ReviewEncoder,
    ReviewTokenizer,
    SequencePadder,
    TextPredictor,
    VocabularyModel,
)
from sentispark.errors import DatasetError, InputError
from sentispark.ml.explain import Explanation

TEXTS = [
    "word2 word3 word4",
    "word3 word2",
    "",
    None,
    "Größe 😀 someone knew",
    "WORD2, word5 word3 word6 word7 word8 word9",
]


@pytest.fixture(scope="module")
def fitted(frame, settings):
    words = F.expr("concat_ws(' ', transform(filter(sequence, id -> id > 0), id -> concat('word', id)))")
    texts = frame.select(words.alias("text"), "label")
    encoder = ReviewEncoder(inputCol="text", outputCol="sequence", sequenceLength=6, stopWords=["word9"])
    return Pipeline(stages=[encoder, LSTMClassifier(**settings)]).fit(texts)


@pytest.fixture(scope="module")
def expected(fitted, spark):
    rows = fitted.transform(spark.createDataFrame([(text,) for text in TEXTS], "text string").coalesce(1)).collect()
    return [row.probability[1] for row in rows], [row.prediction for row in rows]


@pytest.fixture(scope="module")
def folder(fitted, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "pipeline"
    fitted.save(str(path))
    return path


def test_its_predictions_are_those_of_the_pipeline(fitted, folder, expected):
    for predictor in (TextPredictor.of(fitted), TextPredictor.load(str(folder))):
        np.testing.assert_allclose(predictor.probability(TEXTS), expected[0], rtol=0, atol=1e-6)
        assert predictor.predict(TEXTS).tolist() == expected[1]
        assert predictor.probability([]).shape == (0,)


def test_a_stream_gets_the_predictions_of_a_table(fitted, spark, tmp_path):
    table = spark.createDataFrame([(number, text) for number, text in enumerate(TEXTS * 3)], "id int, text string")
    table.repartition(4).write.parquet(f"{tmp_path}/texts")
    stream = spark.readStream.schema(table.schema).option("maxFilesPerTrigger", 1).parquet(f"{tmp_path}/texts")
    predicted = fitted.transform(stream).select("id", "rawPrediction", "prediction")
    query = (
        predicted.writeStream.format("parquet")
        .option("checkpointLocation", f"{tmp_path}/checkpoint")
        .trigger(availableNow=True)
        .start(f"{tmp_path}/predicted")
    )
    query.awaitTermination()
    found = {row.id: row for row in spark.read.schema(predicted.schema).parquet(f"{tmp_path}/predicted").collect()}
    for row in fitted.transform(table).collect():
        assert found[row.id].prediction == row.prediction
        assert found[row.id].rawPrediction[1] == pytest.approx(row.rawPrediction[1], abs=1e-6)
    assert len(found) == len(TEXTS) * 3


@pytest.mark.parametrize("param", [{"threshold": 0.9}, {"thresholds": [1.0, 9.0]}])
def test_it_uses_the_threshold_of_the_model(fitted, tmp_path, param):
    strict = fitted.copy()
    strict.stages[-1].setParams(**param)
    strict.save(f"{tmp_path}/strict")
    for predictor in (TextPredictor.of(strict), TextPredictor.load(f"{tmp_path}/strict")):
        assert predictor.threshold == pytest.approx(0.9)
        assert predictor.predict(TEXTS).tolist() == (predictor.probability(TEXTS) > predictor.threshold).tolist()


@pytest.mark.endtoend
def test_it_does_not_start_spark(folder, expected):
    program = (
        "import json, sys; from sentispark import TextPredictor; from pyspark import SparkContext; "
        "found = TextPredictor.load(sys.argv[1]).probability(json.loads(sys.argv[2])).tolist(); "
        "assert SparkContext._active_spark_context is None and SparkContext._gateway is None; print(json.dumps(found))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder), json.dumps(TEXTS)], capture_output=True, text=True, check=True
    )
    np.testing.assert_allclose(json.loads(done.stdout), expected[0], rtol=0, atol=1e-6)


def test_the_contribution_of_a_word_is_the_fall_of_the_logit_without_it(fitted):
    predictor = TextPredictor.of(fitted)

    def logit(text):
        probability = predictor.probability([text])[0]
        return math.log(probability / (1 - probability))

    whole, empty = predictor.explain(["Word2 word3, someone (b)", None])
    assert whole.words == ("word2", "word3", "someone", "b")
    without = [logit("someone word3 someone b"), logit("word2 someone someone b")]
    np.testing.assert_allclose(whole.contributions[:2], logit("word2 word3 someone b") - np.array(without), atol=1e-5)
    np.testing.assert_allclose(whole.contributions[2:], [0, 0], atol=1e-5)  # unknown anyway
    assert whole.probability == pytest.approx(predictor.probability(["Word2 word3, someone (b)"])[0], abs=1e-6)
    assert (empty.words, empty.contributions.shape) == ((), (0,))


def test_a_notebook_shows_words_escaped():
    shown = Explanation(("<script>", "good", "bad"), np.array([0.0, 1.0, -9.0]), 0.75)._repr_html_()
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown
    assert 'rgba(46, 160, 67, 0.50)" title="+1.000">good<' in shown
    assert 'rgba(218, 54, 51, 1.00)" title="-9.000">bad<' in shown


@pytest.mark.parametrize("texts", ["good", b"good"])
def test_a_single_text_in_place_of_a_list_is_refused(fitted, texts):
    with pytest.raises(InputError, match="Put it in a list"):
        TextPredictor.of(fitted).predict(texts)


@pytest.mark.parametrize(
    "as_", [list, tuple, iter, pd.Series, pa.array, np.array, lambda texts: pa.chunked_array([texts[:2], texts[2:]])]
)
def test_texts_may_be_in_any_sequence_or_array(fitted, expected, as_):
    np.testing.assert_allclose(TextPredictor.of(fitted).probability(as_(TEXTS)), expected[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize("missing", [None, math.nan, np.float64("nan"), pd.NA, pd.NaT])
def test_a_missing_value_is_read_as_an_empty_text(fitted, missing):
    found = TextPredictor.of(fitted).probability(["", missing])
    assert found[0] == found[1]
    assert TextPredictor.of(fitted).probability(pd.Series(["word2", missing])).shape == (2,)


def test_a_lone_surrogate_is_not_part_of_a_word(fitted):
    found = TextPredictor.of(fitted).explain(["word2 \ud83d word3\udc00", "word2 word3"])
    assert found[0].words == found[1].words


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["good", 3], "'texts' must hold texts. Item 1 is a int: '3'."),
        ([["good"]], "'texts' must hold texts. Item 0 is a list: \"['good']\"."),
        ([b"good"], "'texts' must hold texts. Item 0 is a bytes: \"b'good'\"."),
        (7, "'texts' must be a list of texts. Got a int."),
        ({"a": "good"}, "'texts' must be a list of texts. Got a dict."),
        (pd.DataFrame({"text": ["good"]}), "'texts' must be a list of texts. Got a DataFrame."),
    ],
)
def test_values_that_are_not_texts_are_refused(fitted, texts, expected):
    with pytest.raises(InputError) as caught:
        TextPredictor.of(fitted).predict(texts)
    assert str(caught.value) == expected


def test_three_stages_give_the_predictions_of_their_encoder(fitted, expected, tmp_path):
    encoder, model = fitted.stages
    stages = [
        ReviewTokenizer(stopWords=["word9"]),
        VocabularyModel.from_words(encoder.vocabulary),
        SequencePadder(sequenceLength=6),
    ]
    predictor = TextPredictor.of(PipelineModel([SQLTransformer(statement="SELECT * FROM __THIS__"), *stages, model]))
    np.testing.assert_allclose(predictor.probability(TEXTS), expected[0], rtol=0, atol=1e-6)
    PipelineModel([*stages, model]).save(f"{tmp_path}/three")
    loaded = TextPredictor.load(f"{tmp_path}/three")
    np.testing.assert_allclose(loaded.probability(TEXTS), expected[0], rtol=0, atol=1e-6)


def test_a_stage_that_does_not_read_the_output_of_the_one_before_is_refused(fitted, tmp_path):
    encoder, model = fitted.stages
    crossed = PipelineModel([encoder, model.copy({model.featuresCol: "title_sequence"})])
    crossed.save(f"{tmp_path}/crossed")
    for make in (lambda: TextPredictor.of(crossed), lambda: TextPredictor.load(f"{tmp_path}/crossed")):
        with pytest.raises(InputError, match=r"before it, 'sequence'\. The next one reads 'title_sequence'\. Set"):
            make()


@pytest.mark.parametrize(("stage", "name"), [(0, "inputCol"), (0, "outputCol"), (1, "featuresCol"), (1, "threshold")])
def test_a_saved_stage_that_lacks_a_param_is_damaged(folder, tmp_path, stage, name):
    shutil.copytree(folder, tmp_path / "pipeline")
    (part,) = (tmp_path / "pipeline" / "stages").glob(f"{stage}_*/metadata/part-*")
    metadata = json.loads(part.read_text())
    for params in ("paramMap", "defaultParamMap"):
        metadata[params].pop(name, None)
    part.write_text(json.dumps(metadata))
    with pytest.raises(DatasetError, match=rf"must be a stage that sentispark saved\. It is damaged: .*'{name}'"):
        TextPredictor.load(f"{tmp_path}/pipeline")


def test_a_pipeline_with_other_stages_at_its_end_is_refused(fitted):
    encoder, model = fitted.stages
    for pipeline, found in (
        (model, "LSTMClassificationModel"),
        (PipelineModel([model]), "LSTMClassificationModel"),
        (PipelineModel([encoder]), "ReviewEncoderModel"),
        (PipelineModel([SequencePadder(), model]), "SequencePadder, LSTMClassificationModel"),
        (PipelineModel([]), "empty"),
    ):
        with pytest.raises(InputError, match=rf"'pipeline' must end with an encoder .* It is {found}\."):
            TextPredictor.of(pipeline)


def test_a_folder_without_a_pipeline_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"must hold an encoder and a classifier\. It holds neither"):
        TextPredictor.load(tmp_path)


def test_one_text_takes_a_few_milliseconds(fitted):
    predictor, took = TextPredictor.of(fitted), []
    for _ in range(50):
        started = time.perf_counter()
        predictor.predict(["word2 word3 and what else there is to say"])
        took.append(time.perf_counter() - started)
    assert np.median(took) < 0.05  # far above what the documentation promises, as test machines are busy
