"""The same text gives the same ids, and so the same prediction, in training and serving, with markup or without."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pyarrow as pa
import pytest
from pyspark.ml import Pipeline, PipelineModel

from sentispark import (
    LSTMClassifier,
    ReviewEncoderModel,
    ReviewTokenizer,
    SequencePadder,
    TextPredictor,
    VocabularyModel,
)
from sentispark.dataset.dataset import open_dataset
from sentispark.errors import DatasetError, OptionError
from sentispark.jobs.predict import predict
from sentispark.jobs.train import train
from sentispark.ml.pipeline import encoder_of, load_pipeline, require_same_vocabulary
from sentispark.prepare.prepare import prepare_dataset
from sentispark.prepare.reuse import text_options_of
from sentispark.reviews.options import ReviewOptions
from sentispark.text.markup import MARKUP, clean_markup, is_blank
from sentispark.text.options import TextOptions
from tests.helpers.markup import random_texts

CORPUS = [
    "good<br />not bad, don&#39;t",
    "A&amp;T <b>bold</b>",
    "br amp 39 lt gt x27 nbsp b",
    "it&amp;#39;s Größe 日本",
]
ALL_TRAIN = ReviewOptions(validation_share=0, test_share=0)


def written(folder, texts):
    """The path of a new file of reviews with the texts."""
    path = folder / "reviews.jsonl"
    lines = [json.dumps({"reviewText": text, "overall": 1 + 4 * (number % 2)}) for number, text in enumerate(texts)]
    path.write_text("\n".join(lines))
    return str(path)


@pytest.fixture(scope="module", params=MARKUP)
def trained(request, spark, settings, tmp_path_factory):
    """The option `markup`, a dataset, and a model that was trained on it."""
    folder = tmp_path_factory.mktemp(request.param)
    options = TextOptions(markup=request.param, sequence_length=12)
    prepare_dataset(spark, [written(folder, CORPUS * 2)], str(folder / "dataset"), ALL_TRAIN, options)
    train(str(folder / "dataset"), str(folder / "model"), LSTMClassifier(**{**settings, "batchSize": 2}))
    return request.param, str(folder / "dataset"), str(folder / "model")


def sequences(frame):
    return [row.sequence for row in sorted(frame.select("id", "sequence").collect())]


def test_a_text_has_the_same_ids_wherever_it_is_encoded(spark, trained, tmp_path):
    (markup, dataset, model), folder = trained, tmp_path
    texts = [*CORPUS, *random_texts(150, seed=0)]
    file, pipeline, predictor = written(folder, texts), load_pipeline(model), TextPredictor.load(model)
    frame = spark.createDataFrame(list(enumerate(texts)), "id int, text string").coalesce(1).cache()
    predictions = pipeline.transform(frame).select("id", "sequence", "probability").collect()
    ids = [row.sequence for row in sorted(predictions)]
    words = VocabularyModel.from_words(encoder_of(open_dataset(dataset)).word_list)
    stages = Pipeline(stages=[ReviewTokenizer(markup=markup), words, SequencePadder(sequenceLength=12)]).fit(frame)
    frame.createOrReplaceTempView("marked_up")

    ready = pa.array(texts)
    ready = clean_markup(ready) if markup == "clean" else ready
    blank = is_blank(ready).to_pylist()
    distinct = {text: row for text, row, skipped in zip(ready.to_pylist(), ids, blank, strict=True) if not skipped}
    prepare_dataset(spark, [file], str(folder / "dataset"), ALL_TRAIN, TextOptions(), vocabulary=dataset)
    prepared = spark.read.parquet(f"{folder}/dataset/train").collect()
    assert sorted(row.sequence for row in prepared) == sorted(distinct.values())

    assert sequences(stages.transform(frame)) == ids
    assert sequences(pipeline.transform(spark.sql("SELECT *, length(text) AS long FROM marked_up"))) == ids
    assert sequences(streamed(pipeline.stages[0], frame, folder)) == ids

    probability = [row.probability[1] for row in sorted(predictions)]
    np.testing.assert_allclose(predictor.probability(texts), probability, rtol=0, atol=1e-6)
    tokens = [row.words[:12] for row in stages.transform(frame).sort("id").collect()]
    assert [list(one.words) for one in predictor.explain(texts[:8])] == tokens[:8]

    predict(spark, model, [file], str(folder / "predicted"))
    predicted = spark.read.parquet(f"{folder}/predicted").collect()
    by_text = dict(zip(ready.to_pylist(), probability, strict=True))
    assert sorted(row.text for row in predicted) == sorted(
        text for text, skipped in zip(ready.to_pylist(), blank, strict=True) if not skipped
    )
    np.testing.assert_allclose([row.probability - by_text[row.text] for row in predicted], 0, atol=1e-6)


def streamed(encoder, frame, folder):
    """The encoder's output for a stream of the frame's rows."""
    frame.write.parquet(f"{folder}/texts")
    stream = frame.sparkSession.readStream.schema(frame.schema).parquet(f"{folder}/texts")
    rows = encoder.transform(stream).writeStream.format("memory").queryName("encoded").outputMode("append")
    rows.trigger(availableNow=True).start().awaitTermination()
    return frame.sparkSession.table("encoded")


def test_a_dataset_with_another_markup_option_is_refused(trained):
    markup, dataset, model = trained
    other = next(choice for choice in MARKUP if choice != markup)
    words = encoder_of(open_dataset(dataset)).word_list
    encoder = ReviewEncoderModel.from_words(words, markup=other, sequenceLength=12)
    with pytest.raises(DatasetError, match="It has another markup"):
        require_same_vocabulary(PipelineModel([encoder, load_pipeline(model).stages[1]]), open_dataset(dataset))
    if markup == "clean":
        with pytest.raises(OptionError, match="'--markup' must be clean, as in the dataset whose vocabulary is used"):
            text_options_of(open_dataset(dataset), TextOptions(markup=other))


def test_stages_saved_before_the_markup_option_behave_as_before(spark, trained, model, tmp_path):
    """Encoders cleaned nothing; datasets, and so what `train` made of them, were always clean."""
    markup, dataset, path = trained
    if markup == "keep":
        pytest.skip("markup could not be kept then")
    without_markup_param(path, tmp_path / "trained")
    assert load_pipeline(str(tmp_path / "trained")).stages[0].getMarkup() == "clean"
    assert TextPredictor.load(tmp_path / "trained").probability(["good<br>"]) == pytest.approx(
        TextPredictor.load(path).probability(["good"])
    )
    encoder = ReviewEncoderModel.from_words(["good", "br"], sequenceLength=8)
    PipelineModel([encoder, model]).save(f"{tmp_path}/fitted")
    without_markup_param(tmp_path / "fitted", tmp_path / "old")
    for old in (PipelineModel.load(f"{tmp_path}/old"), load_pipeline(str(tmp_path / "old"))):
        assert old.stages[0].getMarkup() == "keep"
        assert TextPredictor.of(old).explain(["good<br>"])[0].words == ("good", "br")
    assert TextPredictor.load(tmp_path / "old").explain(["good<br>"])[0].words == ("good", "br")
    PipelineModel([ReviewTokenizer()]).save(f"{tmp_path}/tokenizer")
    without_markup_param(tmp_path / "tokenizer", tmp_path / "old_tokenizer")
    assert PipelineModel.load(f"{tmp_path}/old_tokenizer").stages[0].getMarkup() == "keep"
    without_markup_option(dataset, tmp_path / "dataset")
    assert encoder_of(open_dataset(tmp_path / "dataset")).getMarkup() == "clean"
    require_same_vocabulary(load_pipeline(path), open_dataset(tmp_path / "dataset"))
    assert text_options_of(open_dataset(tmp_path / "dataset"), TextOptions()).markup == "clean"


def without_markup_param(path, copy):
    """A saved pipeline as it was before its first stage had the Param."""
    shutil.copytree(path, copy)
    (metadata,) = copy.glob("stages/0_*/metadata/part-*")
    content = json.loads(metadata.read_text())
    for params in ("paramMap", "defaultParamMap"):
        content[params].pop("markup", None)
    metadata.write_text(json.dumps(content))
    metadata.with_name(f".{metadata.name}.crc").unlink(missing_ok=True)


def without_markup_option(path, copy):
    """A dataset as it was before there was the option."""
    shutil.copytree(path, copy)
    content = json.loads((copy / "_manifest.json").read_text())
    del content["text_options"]["markup"]
    (copy / "_manifest.json").write_text(json.dumps(content))
