"""One suite over all stages that the package exports: they behave like Spark's own."""

from __future__ import annotations

import inspect
import itertools

import pytest
from pyspark.ml import Estimator, Pipeline, PipelineModel
from pyspark.ml.param import Params
from pyspark.sql import functions as F

import sentispark
from sentispark.errors import InputError

STAGES = {
    name: value
    for name, value in ((name, getattr(sentispark, name)) for name in sentispark.__all__)
    if inspect.isclass(value) and issubclass(value, Params)
}
# The Params that name the columns a stage reads, and those that it or its model adds.
READS = ("inputCol", "featuresCol")
ADDS = ("outputCol", "lengthCol", "rawPredictionCol", "probabilityCol", "predictionCol")

pytestmark = [pytest.mark.modern, pytest.mark.parametrize("name", STAGES)]


@pytest.fixture(scope="module")
def rows(frame):
    """The toy task with the columns that stages read by default: text, words, ids, sequence and label."""
    words = F.expr("transform(filter(sequence, id -> id > 0), id -> concat('word', id))")
    columns = {"text": F.concat_ws(" ", words), "words": words, "ids": F.col("sequence")}
    return frame.withColumns(columns).select("id", "text", "words", "ids", "sequence", "label").limit(60).cache()


@pytest.fixture(scope="module")
def example(rows, settings, model):
    """A stage of a name that can be fitted or can transform, and the columns of `rows` that it needs."""
    made = {
        "ReviewTokenizer": sentispark.ReviewTokenizer(),
        "VocabularyBuilder": sentispark.VocabularyBuilder(vocabSize=5),
        "VocabularyModel": sentispark.VocabularyModel.from_words(["word3", "word4"]),
        "SequencePadder": sentispark.SequencePadder(sequenceLength=4),
        "ReviewEncoder": sentispark.ReviewEncoder(sequenceLength=4),
        "ReviewEncoderModel": sentispark.ReviewEncoderModel.from_words(["word3"], sequenceLength=4),
        "LSTMClassifier": sentispark.LSTMClassifier(**{**settings, "maxEpochs": 1}),
        "LSTMClassificationModel": model,
    }

    def of(name):
        stage = made[name]
        read = [stage.getOrDefault(param) for param in READS if stage.hasParam(param)]
        return stage, rows.select("id", *read, *(["label"] if isinstance(stage, Estimator) else []))

    return of


def added(stage):
    return [stage.getOrDefault(param) for param in ADDS if stage.hasParam(param)]


def applied(stage, frame):
    """The DataFrame with the columns that the stage, or its model, adds."""
    return (stage.fit(frame) if isinstance(stage, Estimator) else stage).transform(frame)


def sentence(function, *arguments):
    with pytest.raises(InputError) as caught:
        function(*arguments)
    return str(caught.value)


def values(frame):
    return sorted(tuple(row) for row in frame.select("id", *sorted(set(frame.columns) - {"id"})).collect())


def test_its_constructor_takes_every_param_by_name_and_requires_none(spark, name):
    stage = STAGES[name]()
    parameters = inspect.signature(STAGES[name]).parameters
    assert set(parameters) == {param.name for param in stage.params}
    explained = stage.explainParams()
    for param in stage.params:
        capital = param.name[0].upper() + param.name[1:]
        assert param.doc
        assert f"{param.name}: {param.doc}" in explained
        assert callable(getattr(stage, f"get{capital}"))
        if stage.hasDefault(param):
            default = stage.getOrDefault(param)
            assert parameters[param.name].default == default
            assert getattr(stage, f"get{capital}")() == default
            assert getattr(stage, f"set{capital}")(default) is stage
            assert stage.isSet(param)
    assert inspect.getdoc(STAGES[name])


def test_a_copy_has_the_same_params_and_is_independent(example, name):
    stage, frame = example(name)
    param = next(stage.getParam(param) for param in ADDS if stage.hasParam(param))
    copy = stage.copy({param: "renamed"})
    assert copy.uid == stage.uid
    assert copy.getOrDefault(param) == "renamed" != stage.getOrDefault(param)
    others = {one.name for one in stage.params} - {param.name}
    assert {one for one in others if copy.isDefined(one)} == {one for one in others if stage.isDefined(one)}
    assert all(copy.getOrDefault(one) == stage.getOrDefault(one) for one in others if stage.isDefined(one))
    assert "renamed" in applied(copy, frame).columns


def test_saved_and_loaded_it_gives_the_same_output(example, name, tmp_path):
    stage, frame = example(name)
    stage.save(f"{tmp_path}/stage")
    loaded = STAGES[name].load(f"{tmp_path}/stage")
    assert loaded.uid == stage.uid
    params = [{param.name: value for param, value in one.extractParamMap().items()} for one in (stage, loaded)]
    assert params[0] == params[1]
    with pytest.raises(Exception, match="already exists"):
        stage.save(f"{tmp_path}/stage")
    loaded.write().overwrite().save(f"{tmp_path}/stage")
    assert values(applied(loaded, frame)) == values(applied(stage, frame))


def test_it_adds_its_columns_and_changes_no_other(example, name):
    stage, frame = example(name)
    before = {param.name: value for param, value in stage.extractParamMap().items()}
    found = applied(stage, frame)
    assert found.columns == [*frame.columns, *added(stage)]
    assert values(found.select(frame.columns)) == values(frame)
    assert {param.name: value for param, value in stage.extractParamMap().items()} == before


def test_a_missing_column_is_named(example, name):
    stage, frame = example(name)
    read = frame.columns[1]
    assert sentence(applied, stage, frame.drop(read)) == (
        f"{name} needs a column '{read}'. The DataFrame has {', '.join(frame.drop(read).columns)}."
    )


def test_a_column_of_another_type_is_named_before_any_work(example, name, monkeypatch):
    monkeypatch.setattr("sentispark.ml.classifier.train_with_restarts", None)
    stage, frame = example(name)
    read = frame.columns[1]
    for wrong, kind in (
        ("id", "bigint"),
        ("named_struct('a', text)", "struct<a:string>"),
        ("binary(text)", "binary"),
        ("NULL", "void"),
        ("array(NULL)", "array<void>"),
        ("array(1.5)", "array<decimal(2,1)>"),
        ("array(array(text))", "array<array<string>>"),
        ("map(text, 1)", "map<string,int>"),
    ):
        other = frame.withColumn("text", F.lit("good")).withColumn(read, F.expr(wrong))
        message = sentence(applied, stage, other.select(frame.columns))
        assert message.startswith(f"Column '{read}' must hold ")
        assert f". It holds {kind}. " in message


def test_a_clashing_column_is_named_before_any_work(example, name, monkeypatch):
    monkeypatch.setattr("sentispark.ml.classifier.train_with_restarts", None)
    stage, frame = example(name)
    params = {param: stage.getOrDefault(param) for param in ADDS if stage.hasParam(param)}
    for param, column in params.items():
        for taken in (column, column.upper()):
            assert sentence(applied, stage, frame.withColumn(taken, F.lit(1))) == (
                f"{name} adds a column '{column}', which must be new. The DataFrame has it. "
                f"Set '{param}' to another name."
            )
    for one, other in itertools.combinations(params, 2):
        same = stage.copy({stage.getParam(other): params[one]})
        assert sentence(applied, same, frame) == (
            f"{name} adds a column '{params[one]}', which must be new. '{one}' names it too. "
            f"Set '{other}' to another name."
        )


def test_it_works_within_a_pipeline_that_is_saved(example, name, tmp_path):
    stage, frame = example(name)
    fitted = Pipeline(stages=[stage]).fit(frame)
    fitted.save(f"{tmp_path}/pipeline")
    found = PipelineModel.load(f"{tmp_path}/pipeline").transform(frame)
    assert values(found) == values(fitted.transform(frame))
    assert found.columns == [*frame.columns, *added(stage)]
