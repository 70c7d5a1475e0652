"""The model's columns compared with the net applied to one row at a time; saving and loading."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from pyspark.ml import PipelineModel
from pyspark.ml.evaluation import BinaryClassificationEvaluator, MulticlassClassificationEvaluator
from pyspark.ml.linalg import Vectors, VectorUDT
from pyspark.sql import functions as F
from pyspark.sql.types import DoubleType
from sklearn import metrics as sk

import sentispark
from sentispark import LSTMClassificationModel, ReviewEncoderModel
from sentispark.errors import DatasetError, InputError, OptionError
from sentispark.evaluate.metrics import measures, tally
from tests.helpers.toy import VOCABULARY, L

OUTPUTS = ["rawPrediction", "probability", "prediction"]


def logit_by_hand(net, ids):
    """The logit of one review, padded to the full length and alone in its batch."""
    ids = ids[:L] + [0] * (L - len(ids))
    length = max((step for step, one in enumerate(ids, start=1) if one), default=0)
    with torch.inference_mode():
        return float(net(torch.tensor([ids]), torch.tensor([length]))[0])


def logits_of(model, frame):
    """The logit of each row by its id."""
    return {row.id: row.rawPrediction[1] for row in model.transform(frame).select("id", "rawPrediction").collect()}


def with_constant_logit(model, logit):
    """The model with a net that gives one logit whatever it reads."""
    state = {name: torch.zeros_like(tensor) for name, tensor in model.toTorch().state_dict().items()}
    bias = [name for name in state if name.startswith("head") and name.endswith("bias")][-1]
    state[bias] += logit
    return LSTMClassificationModel.from_trained(
        dataclasses.replace(model.trained, weights=safetensors.torch.save(state))
    )


def sentence(kind, function, *arguments):
    with pytest.raises(kind) as caught:
        function(*arguments)
    return str(caught.value)


@pytest.fixture(scope="module")
def together(model, frame):
    return logits_of(model, frame.coalesce(1))


@pytest.fixture(scope="module")
def logit(model, spark):
    def of(ids, kind="int"):
        row = spark.createDataFrame([(ids,)], f"sequence array<{kind}>")
        # Not `first`: it leaves rows unread, after which Spark does not reuse the worker.
        return model.transform(row).collect()[0].rawPrediction[1]

    return of


@pytest.fixture(scope="module")
def expected(model, frame):
    rows = model.transform(frame).collect()
    return measures(tally([row.rawPrediction[1] for row in rows], [row.label for row in rows]))


@pytest.mark.modern
class TestColumns:
    """The three columns that are added; the others do not change."""

    def test_they_come_last_and_have_spark_mls_types(self, model, frame):
        schema = model.transform(frame).schema
        assert schema.names == [*frame.columns, *OUTPUTS]
        assert [schema[name].dataType for name in OUTPUTS] == [VectorUDT(), VectorUDT(), DoubleType()]

    def test_they_are_the_nets_logit_in_three_forms(self, model, frame):
        net, seen = model.toTorch(), set()
        for row in model.transform(frame).collect():
            logit = row.rawPrediction[1]
            assert logit == pytest.approx(logit_by_hand(net, row.sequence), abs=1e-6)
            assert row.rawPrediction[0] == -logit
            assert row.probability[1] == pytest.approx(1 / (1 + math.exp(-logit)), abs=1e-12)
            assert sum(row.probability) == pytest.approx(1, abs=1e-12)
            assert row.prediction == float(row.probability[1] > row.probability[0])
            seen.add(row.prediction)
        assert seen == {0.0, 1.0}

    def test_a_tie_is_negative(self, model, frame):
        row = with_constant_logit(model, 0.0).transform(frame).collect()[0]
        assert (row.rawPrediction, row.probability, row.prediction) == (
            Vectors.dense(0, 0),
            Vectors.dense(0.5, 0.5),
            0.0,
        )

    @pytest.mark.parametrize(("logit", "expected"), [(1000.0, [0.0, 1.0]), (-1000.0, [1.0, 0.0])])
    def test_certainty_has_probabilities_0_and_1(self, model, frame, logit, expected):
        row = with_constant_logit(model, logit).transform(frame).collect()[0]
        assert (list(row.probability), row.prediction) == (expected, expected[1])

    @pytest.mark.parametrize("threshold", [0.0, 0.2, 0.5, 0.9, 1.0])
    def test_a_row_is_positive_above_the_threshold(self, model, frame, threshold):
        rows = model.copy().setThreshold(threshold).transform(frame).collect()
        assert [row.prediction for row in rows] == [float(row.probability[1] > threshold) for row in rows]
        found = model.copy().setThreshold(threshold).evaluate(frame)
        right = sum(row.prediction == row.label for row in rows)
        assert found["accuracy"] == pytest.approx(right / len(rows), abs=1e-12)
        assert found["roc_auc"] == model.evaluate(frame)["roc_auc"]

    @pytest.mark.parametrize("thresholds", [[0.5, 0.5], [0.9, 0.1], [1, 3], [0, 1], [2, 0]])
    def test_thresholds_choose_the_class_with_the_largest_ratio(self, model, frame, thresholds):
        # Spark's own rule: largest p / t, a t of 0 wins wherever p is above 0.
        of_negative, of_positive = thresholds
        for row in model.copy().setThresholds(thresholds).transform(frame).collect():
            negative, positive = row.probability
            assert row.prediction == float(positive * of_negative > negative * of_positive)

    @pytest.mark.parametrize("left_out", OUTPUTS)
    def test_an_empty_name_leaves_its_column_out(self, model, frame, left_out):
        found = model.copy({model.getParam(f"{left_out}Col"): ""}).transform(frame)
        assert found.columns == [*frame.columns, *(name for name in OUTPUTS if name != left_out)]

    def test_without_any_name_the_rows_do_not_change(self, model, frame):
        silent = model.copy({model.getParam(f"{name}Col"): "" for name in OUTPUTS})
        assert sorted(silent.transform(frame).collect()) == sorted(frame.collect())

    def test_names_can_be_chosen(self, model, frame):
        named = model.copy().setRawPredictionCol("raw").setProbabilityCol("how sure").setPredictionCol("a.b")
        assert named.transform(frame).columns == [*frame.columns, "raw", "how sure", "a.b"]
        assert model.getPredictionCol() == "prediction"

    def test_other_columns_are_untouched_whatever_their_types(self, model, spark):
        others = spark.sql(
            "SELECT id, array(2, 3) AS sequence, CAST(id AS decimal(20, 3)) AS `a.decimal`, "
            "timestamp'2020-02-29 12:00:00' AS time, date'2020-02-29' AS day, map('k', id) AS pairs, "
            "named_struct('x', id, 'y', array(id, null)) AS nested, CAST(null AS string) AS nothing, "
            "CAST('é' AS binary) AS bytes, 'text `quoted`' AS `a ``name``` FROM range(5)"
        )
        found = model.transform(others).drop(*OUTPUTS)
        assert found.schema.simpleString() == others.schema.simpleString()
        assert sorted(found.collect()) == sorted(others.collect())

    def test_columns_of_two_classifiers_can_be_in_one_dataframe(self, model, frame):
        twice = model.copy({model.getParam(f"{name}Col"): f"{name}2" for name in OUTPUTS}).transform(
            model.transform(frame)
        )
        assert twice.columns == [*frame.columns, *OUTPUTS, *(f"{name}2" for name in OUTPUTS)]
        assert all(row.rawPrediction == row.rawPrediction2 for row in twice.collect())

    def test_columns_that_a_query_does_not_name_are_not_computed_or_read(self, model, frame, tmp_path):
        others = [F.col("id").alias(f"c{number}") for number in range(20)]
        frame.select("sequence", *others).write.parquet(str(tmp_path / "wide"))
        found = model.transform(frame.sparkSession.read.parquet(str(tmp_path / "wide")))
        plans = {name: found.select(name)._jdf.queryExecution().executedPlan().toString() for name in [*OUTPUTS, "c3"]}
        assert all("ReadSchema: struct<sequence:array<int>>" in plans[name] for name in OUTPUTS)
        assert "ReadSchema: struct<c3:bigint>" in plans["c3"]
        assert ["EvalPython" in plans[name] for name in plans] == [True, True, True, False]

    @pytest.mark.parametrize("query", ["prediction = 1", "probability IS NOT NULL AND prediction < 2 AND label = 1"])
    def test_a_row_is_scored_once_in_a_filter_and_after_it(self, model, frame, query):
        found = model.transform(frame).filter(query).select("rawPrediction", "prediction")
        assert found._jdf.queryExecution().executedPlan().toString().count("EvalPython") == 1

    def test_the_column_of_sequences_must_be_there_once(self, model, frame):
        twice = frame.join(frame.select(F.col("id").alias("key"), "sequence"), F.expr("id = key"))
        assert sentence(InputError, model.transform, twice) == (
            "LSTMClassificationModel needs one column 'sequence'. The DataFrame has sequence, sequence. "
            "Rename or drop the others."
        )
        alike = frame.withColumnRenamed("id", "SEQUENCE")
        assert "The DataFrame has SEQUENCE, sequence." in sentence(InputError, model.transform, alike)

    def test_the_column_of_sequences_must_be_there(self, model, frame):
        assert sentence(InputError, model.transform, frame.drop("sequence")) == (
            "LSTMClassificationModel needs a column 'sequence'. The DataFrame has id, label."
        )

    def test_a_model_without_a_net_says_so(self, frame):
        assert sentence(InputError, LSTMClassificationModel().transform, frame) == (
            "This model holds no trained net. Fit an LSTMClassifier or load a saved model."
        )


@pytest.mark.modern
class TestOneSequence:
    """Predictions of one sequence without a job, like those of Spark ML's classifiers."""

    def test_it_is_what_transform_gives(self, model, frame):
        model = model.copy().setThreshold(0.3)
        for row in model.transform(frame.limit(20)).collect():
            assert model.predictRaw(row.sequence).toArray() == pytest.approx(row.rawPrediction.toArray(), abs=1e-6)
            found = model.predictProbability(row.sequence).toArray()
            assert found == pytest.approx(row.probability.toArray(), abs=1e-6)
            assert model.predict(row.sequence) == row.prediction

    @pytest.mark.parametrize("logit", [1000.0, -1000.0, 0.0])
    def test_certainty_does_not_overflow(self, model, logit):
        certain = with_constant_logit(model, logit)
        positive = 0.5 if logit == 0 else float(logit > 0)
        assert list(certain.predictProbability([2, 3])) == [1 - positive, positive]
        assert certain.predict([2, 3]) == float(logit > 0)


class TestOneRowAtATime:
    """Law 8: a prediction does not depend on what else is in its batch or partition."""

    @pytest.mark.parametrize("partitions", [3, 16])
    def test_partitions_do_not_matter(self, model, frame, together, partitions):
        found = logits_of(model, frame.repartition(partitions))
        assert found == pytest.approx(together, abs=1e-6)

    @pytest.mark.parametrize("rows", [1, 7, 100_000])
    def test_the_prediction_batch_size_does_not_matter(self, model, frame, together, rows):
        found = logits_of(model.copy().setPredictionBatchSize(rows), frame)
        assert found == pytest.approx(together, abs=1e-6)

    @pytest.mark.parametrize("rows", [1, 7])
    def test_batches_do_not_matter(self, model, frame, together, spark, rows):
        name = "spark.sql.execution.arrow.maxRecordsPerBatch"
        before = spark.conf.get(name)
        spark.conf.set(name, rows)
        try:
            assert logits_of(model, frame) == pytest.approx(together, abs=1e-6)
        finally:
            spark.conf.set(name, before)

    def test_the_order_of_rows_does_not_matter(self, model, frame, together):
        assert logits_of(model, frame.orderBy(F.desc("id"))) == pytest.approx(together, abs=1e-6)

    def test_an_empty_dataframe_has_no_predictions(self, model, frame):
        assert model.transform(frame.limit(0)).collect() == []


@pytest.mark.modern
class TestOddSequences:
    """Sequences that training cannot have seen are mapped to ones that it can have seen."""

    @pytest.mark.parametrize("unseen", [VOCABULARY, 100_000, 2**31 - 1, -1, -(2**31)])
    def test_an_id_outside_of_the_vocabulary_is_an_unknown_word(self, model, logit, unseen):
        assert logit([2, unseen, 3]) == pytest.approx(logit_by_hand(model.toTorch(), [2, 1, 3]), abs=1e-6)

    def test_a_longer_sequence_loses_its_end(self, model, logit):
        assert logit([4, 5, 6, 7, 8, 9, 2, 4, 3, 3, 3]) == logit([4, 5, 6, 7, 8, 9, 2, 4])

    def test_a_shorter_one_is_padded(self, model, logit):
        assert logit([2, 4, 3]) == logit([2, 4, 3, 0, 0, 0, 0, 0])

    def test_null_and_padding_alone_are_an_empty_review(self, model, logit):
        empty = logit_by_hand(model.toTorch(), [])
        for ids in (None, [], [0], [0] * L, [0] * (L + 5)):
            assert logit(ids) == pytest.approx(empty, abs=1e-6)

    def test_an_id_beyond_32_bits_and_a_missing_one_are_unknown_words(self, logit):
        assert logit([2, 2**32 + 3, None], "bigint") == logit([2, 1, 1])

    @pytest.mark.parametrize("kind", ["bigint", "smallint", "tinyint"])
    def test_any_integer_type_will_do(self, logit, kind):
        assert logit([2, 4, 3], kind) == logit([2, 4, 3])


@pytest.mark.modern
class TestEvaluation:
    """Spark's evaluators and our own measures agree on the same predictions."""

    def test_evaluate_gives_the_measures_of_the_collected_logits(self, model, frame, expected):
        found = model.evaluate(frame.repartition(5))
        assert found.pop("log_loss") == pytest.approx(expected["log_loss"], abs=1e-8)  # other batches
        assert found == {name: value for name, value in expected.items() if name != "log_loss"}

    def test_sparks_area_under_the_curve_is_ours(self, model, frame, expected):
        found = BinaryClassificationEvaluator(numBins=0).evaluate(model.transform(frame))
        assert found == pytest.approx(expected["roc_auc"], abs=1e-3)

    @pytest.mark.parametrize(
        ("metric", "name"), [("accuracy", "accuracy"), ("logLoss", "log_loss"), ("weightedRecall", "accuracy")]
    )
    def test_sparks_other_measures_are_ours(self, model, frame, expected, metric, name):
        evaluator = MulticlassClassificationEvaluator(metricName=metric)
        labeled = model.transform(frame.withColumn("label", F.col("label").cast("double")))
        assert evaluator.evaluate(labeled) == pytest.approx(expected[name], abs=1e-9)

    def test_rows_of_one_class_are_reported(self, model, frame, caplog):
        found = model.evaluate(frame.withColumn("label", F.lit(0)))
        assert found["missing_class"] == "positive"
        assert f"None of the {found['rows']} rows is positive, so the measures do not cover that class." in caplog.text

    @pytest.mark.parametrize("threshold", [0.5, 0.7])
    def test_scikit_learn_finds_the_same_on_collected_predictions(self, model, frame, threshold):
        strict = model.copy().setThreshold(threshold)
        rows = strict.transform(frame).collect()
        label, predicted = [row.label for row in rows], [row.prediction for row in rows]
        probability, found = [row.probability[1] for row in rows], strict.evaluate(frame)
        assert found["accuracy"] == pytest.approx(sk.accuracy_score(label, predicted), abs=1e-12)
        assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(label, predicted), abs=1e-12)
        assert found["f1"]["macro"] == pytest.approx(sk.f1_score(label, predicted, average="macro"), abs=1e-12)
        assert found["f1"]["positive"] == pytest.approx(sk.f1_score(label, predicted), abs=1e-12)
        assert found["confusion"] == sk.confusion_matrix(label, predicted).tolist()
        assert found["log_loss"] == pytest.approx(sk.log_loss(label, probability), abs=1e-6)
        # Logits within one of 65,536 bins count as equal.
        assert found["roc_auc"] == pytest.approx(sk.roc_auc_score(label, probability), abs=1e-4)

    def test_without_rows_measures_are_none(self, model, frame):
        found = model.evaluate(frame.limit(0))
        assert (found["rows"], found["accuracy"], found["log_loss"]) == (0, None, None)

    def test_labels_that_are_not_0_or_1_are_counted_and_refused(self, model, spark):
        rows = [([2, 3], label) for label in (0.0, 1.0, 0.5, 2.0, None)]
        frame = spark.createDataFrame(rows, "sequence array<int>, label double")
        assert sentence(InputError, model.evaluate, frame) == (
            "Column 'label' must hold 0 or 1. 3 rows hold something else."
        )

    def test_sequences_must_be_arrays_of_whole_numbers(self, model, spark):
        words = spark.createDataFrame([(["good"], 1)], "sequence array<string>, label int")
        expected = (
            "Column 'sequence' must hold arrays of token ids. It holds array<string>. "
            "Encode texts with ReviewEncoder first."
        )
        assert sentence(InputError, model.evaluate, words) == expected
        assert sentence(InputError, model.transform, words) == expected

    def test_the_column_of_labels_must_be_there(self, model, frame):
        assert sentence(InputError, model.evaluate, frame.drop("label")) == (
            "LSTMClassificationModel needs a column 'label'. The DataFrame has id, sequence."
        )


@pytest.mark.modern
class TestSaving:
    """Law 7: saved and loaded, a model gives the same output; nothing in its folder can run code."""

    @pytest.fixture
    def path(self, model, tmp_path):
        model.save(f"{tmp_path}/model")
        return tmp_path / "model"

    def same(self, loaded, model, frame):
        assert logits_of(loaded, frame) == logits_of(model, frame)
        assert loaded.summary == model.summary
        assert loaded.uid == model.uid
        found, expected = (
            {param.name: value for param, value in one.extractParamMap().items()} for one in (loaded, model)
        )
        assert found == expected

    def test_alone(self, model, frame, path):
        loaded = LSTMClassificationModel.load(str(path))
        self.same(loaded, model, frame)
        assert [entry["epoch"] for entry in loaded.summary.history] == [1, 2, 3]
        assert loaded.summary.history[0]["validation"]["rows"] > 0

    def test_within_a_pipeline(self, model, frame, tmp_path):
        PipelineModel([model]).save(f"{tmp_path}/pipeline")
        (loaded,) = PipelineModel.load(f"{tmp_path}/pipeline").stages
        self.same(loaded, model, frame)

    def test_its_params_are_saved_with_it(self, model, tmp_path):
        model.copy().setPredictionCol("mine").save(f"{tmp_path}/model")
        assert LSTMClassificationModel.load(f"{tmp_path}/model").getPredictionCol() == "mine"

    def test_the_folder_holds_only_json_and_safetensors(self, path):
        files = {str(file.relative_to(path)): file for file in path.rglob("*") if file.is_file()}
        ours = {name for name in files if not Path(name).name.startswith((".", "_"))}
        (metadata,) = (name for name in ours if name.startswith("metadata/part-00000"))
        assert ours == {metadata, "net.json", "history.json", "weights.safetensors"}
        for name in ours - {"weights.safetensors"}:
            json.loads(files[name].read_text())
        content = files["weights.safetensors"].read_bytes()
        json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])

    def test_an_existing_model_is_replaced_only_with_overwrite(self, model, frame, path):
        other = with_constant_logit(model, 3.0)
        with pytest.raises(Exception, match="already exists"):
            other.save(str(path))
        self.same(LSTMClassificationModel.load(str(path)), model, frame)
        other.write().overwrite().save(str(path))
        assert set(logits_of(LSTMClassificationModel.load(str(path)), frame).values()) == {3.0}

    def test_a_stage_of_another_class_is_refused_by_name(self, path):
        message = sentence(DatasetError, ReviewEncoderModel.load, str(path))
        assert message == (
            f"'{path}' must hold a saved sentispark.text.encoder.ReviewEncoderModel. "
            "It holds a sentispark.ml.model.LSTMClassificationModel."
        )

    def test_a_newer_format_is_refused(self, path):
        net = json.loads((path / "net.json").read_text())
        (path / "net.json").write_text(json.dumps({**net, "format_version": 3}))
        assert sentence(DatasetError, LSTMClassificationModel.load, str(path)) == (
            f"'{path}' must be of format version 2 or earlier. It is of 3. "
            "Use the version of sentispark that wrote it, or a newer one."
        )

    @pytest.mark.parametrize("content", [None, "", "{", "[]", '{"class": "x"}'])
    def test_missing_or_damaged_metadata_are_refused(self, path, content):
        part = next((path / "metadata").glob("part-*"))
        part.unlink() if content is None else part.write_text(content)
        assert sentence(DatasetError, LSTMClassificationModel.load, str(path)).startswith(f"'{path}' must be a saved")

    def test_it_records_the_versions_that_made_it(self, model):
        run = model.summary.run
        assert run["versions"]["sentispark"] == sentispark.__version__
        assert run["vocabulary_fingerprint"] is None  # it was fitted on sequences alone

    def test_a_damaged_folder_is_not_loaded(self, path):
        (path / "net.json").write_text("{}")
        assert sentence(DatasetError, LSTMClassificationModel.load, str(path)).startswith(
            f"'{path}' must hold a trained net. It is damaged:"
        )


class TestParams:
    """A model's Params are set, copied and passed as Spark ML's are."""

    def test_a_param_map_holds_for_one_transform(self, model, frame):
        assert "mine" in model.transform(frame, {model.predictionCol: "mine"}).columns
        assert "mine" not in model.transform(frame).columns

    def test_params_of_its_estimator_address_its_own(self, classifier, model, frame, tmp_path):
        model.write().overwrite().save(str(tmp_path / "model"))
        for one in (model, model.copy(), LSTMClassificationModel.load(str(tmp_path / "model"))):
            assert one.uid == classifier.uid
            params = {classifier.threshold: 0.0, classifier.predictionCol: "mine", classifier.maxEpochs: 7}
            assert {row.mine for row in one.transform(frame, params).collect()} == {1.0}
            assert {row.prediction for row in one.transform(frame).collect()} == {0.0, 1.0}
            assert one.extractParamMap(params)[one.threshold] == 0.0
            assert one.getOrDefault(classifier.threshold) == 0.5
            assert one.isSet(classifier.threshold) == one.isSet("threshold")
        stages = PipelineModel([model]).transform(frame, {classifier.threshold: 1.0})
        assert {row.prediction for row in stages.select("prediction").collect()} == {0.0}

    def test_a_copy_predicts_the_same(self, model, frame):
        assert logits_of(model.copy(), frame) == logits_of(model, frame)

    def test_an_unknown_name_gets_a_hint(self):
        assert sentence(OptionError, lambda: LSTMClassificationModel(predictionColumn="p")) == (
            "'predictionColumn' is not a Param of LSTMClassificationModel. Did you mean 'predictionCol'?"
        )

    def test_it_has_two_classes(self, model):
        assert model.numClasses == 2

    def test_the_torch_module_gives_the_logits(self, model, frame):
        net, (row, *_) = model.toTorch(), model.transform(frame).collect()
        assert not net.training
        assert logit_by_hand(net, row.sequence) == pytest.approx(row.rawPrediction[1], abs=1e-6)
        assert np.isfinite(net.parameter_count)
