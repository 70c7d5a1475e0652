"""The estimator on the toy task: its training rows, its cache, and what it refuses."""

from __future__ import annotations

import os
import threading
import time
from multiprocessing.pool import ThreadPool

import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.evaluation import BinaryClassificationEvaluator, MulticlassClassificationEvaluator
from pyspark.ml.tuning import CrossValidator, ParamGridBuilder, TrainValidationSplit
from pyspark.sql import functions as F

from sentispark import LSTMClassifier, ReviewEncoder, clean_cache
from sentispark.dataset.dataset import open_dataset
from sentispark.dataset.write import write_dataset
from sentispark.errors import DatasetError, InputError, OptionError, SetupError, TrainingError
from sentispark.files import Folder
from sentispark.ml.callbacks import CallbackList
from sentispark.ml.materialize import materialize
from sentispark.nn.options import reference_net
from tests.helpers.toy import Row, toy_rows, write_toy


def sentence(kind, function, *arguments):
    with pytest.raises(kind) as caught:
        function(*arguments)
    return str(caught.value)


def weights(model):
    return model.trained.weights


@pytest.fixture
def no_training(monkeypatch):
    """Makes a test fail in which a rank is started."""

    def started(*_):
        raise AssertionError("training has started")

    monkeypatch.setattr("sentispark.ml.classifier.train_with_restarts", started)


@pytest.fixture(scope="module")
def dataset_path(tmp_path_factory):
    path = tmp_path_factory.mktemp("prepared") / "dataset"
    return write_toy(path, {"train": toy_rows(200, seed=1), "validation": toy_rows(60, seed=2)})


@pytest.fixture(scope="module")
def texts(frame):
    words = F.expr("concat_ws(' ', transform(filter(sequence, id -> id > 0), id -> concat('word', id)))")
    return frame.select("id", words.alias("reviewText"), F.col("label").cast("double").alias("label"))


@pytest.fixture(scope="module")
def fitted(texts, settings):
    encoder = ReviewEncoder(inputCol="reviewText", outputCol="sequence", sequenceLength=8)
    classifier = LSTMClassifier(featuresCol="sequence", **settings)
    return Pipeline(stages=[encoder, classifier]).fit(texts)


@pytest.mark.modern
class TestPipeline:
    """From text to prediction in one pipeline."""

    def test_it_learns_and_sparks_evaluators_accept_it(self, fitted, texts):
        predicted = fitted.transform(texts).cache()
        assert BinaryClassificationEvaluator().evaluate(predicted) > 0.95
        assert MulticlassClassificationEvaluator(metricName="accuracy").evaluate(predicted) > 0.85
        assert predicted.columns == [*texts.columns, "sequence", "length", "rawPrediction", "probability", "prediction"]

    def test_saved_and_loaded_it_gives_the_same_output(self, fitted, texts, tmp_path):
        fitted.save(f"{tmp_path}/pipeline")
        loaded = PipelineModel.load(f"{tmp_path}/pipeline")
        columns = ["id", "reviewText", "probability", "prediction"]
        expected, found = (one.transform(texts).select(columns).orderBy("id").collect() for one in (fitted, loaded))
        assert found == expected
        assert loaded.stages[-1].summary == fitted.stages[-1].summary


class TestTraining:
    """The same rows give the same net, wherever they come from."""

    def test_a_dataset_and_its_path_give_the_same_net(self, spark, dataset_path, settings):
        classifier = LSTMClassifier(**{**settings, "maxEpochs": 1})
        by_path, opened = classifier.fit(dataset_path), classifier.fit(open_dataset(dataset_path))
        assert weights(by_path) == weights(opened)
        assert by_path.summary.history[-1]["validation"]["rows"] == 60

    def test_a_dataframe_gives_the_net_of_the_dataset_that_is_made_of_it(self, model, frame, settings, tmp_path):
        columns = {"features_col": "sequence", "label_col": "label", "weight_col": None, "validation_col": None}
        written = materialize(frame, Folder(str(tmp_path)), **columns, validation_fraction=0.25, seed=0)
        assert weights(LSTMClassifier(**settings).fit(written.folder.url)) == weights(model)

    def test_the_partitions_of_the_dataframe_do_not_matter(self, model, frame, settings):
        again = LSTMClassifier(validationFraction=0.25, **settings).fit(frame.repartition(5).orderBy(F.desc("id")))
        assert weights(again) == weights(model)
        assert again.uid != model.uid

    @pytest.mark.distributed
    def test_two_workers_train_together(self, frame, settings):
        trained = LSTMClassifier(numWorkers=2, **settings).fit(frame)
        assert trained.summary.run["workers"] == 2
        assert sum(trained.summary.history[-1]["batch_sizes"]) == 20
        assert len(trained.summary.history[-1]["batch_sizes"]) == 2
        assert trained.evaluate(frame)["roc_auc"] > 0.9

    def test_the_model_has_the_columns_of_its_estimator(self, frame, settings):
        renamed = frame.withColumnRenamed("sequence", "my.ids").withColumnRenamed("label", "good?")
        classifier = LSTMClassifier(featuresCol="my.ids", labelCol="good?", predictionCol="guess", probabilityCol="")
        trained = classifier.setParams(**settings).fit(renamed)
        assert trained.transform(renamed).columns == ["id", "my.ids", "good?", "rawPrediction", "guess"]
        assert trained.evaluate(renamed)["rows"] == 400

    def test_longer_rows_are_cut_if_a_length_is_set(self, frame, settings):
        rare = frame.withColumn("sequence", F.expr("IF(id = 5, array_repeat(2, 30000), sequence)"))
        short = LSTMClassifier(maxSequenceLength=3, **settings).fit(rare)
        assert short.trained.sequence_length == 3
        cut = rare.withColumn("sequence", F.slice("sequence", 1, 3))
        assert weights(short) == weights(LSTMClassifier(**settings).fit(cut))

    def test_labels_of_another_type_are_the_same_labels(self, model, frame, settings):
        boolean = frame.withColumn("label", F.col("label").cast("boolean"))
        assert weights(LSTMClassifier(validationFraction=0.25, **settings).fit(boolean)) == weights(model)


class TestValidation:
    """Which rows are used for validation."""

    def test_the_rows_that_a_column_marks(self, frame, settings):
        marked = frame.withColumn("held", F.when(F.col("id") >= 360, True).when(F.col("id") >= 100, False))
        trained = LSTMClassifier(validationIndicatorCol="held", **settings).fit(marked)
        assert trained.summary.history[-1]["validation"]["rows"] == 40  # null is not true

    def test_a_share_of_the_rows_by_their_content(self, model):
        held = model.summary.history[-1]["validation"]["rows"]
        assert 70 <= held <= 130  # 100 on average; 30 is more than 3 standard deviations

    def test_no_rows_by_default(self, frame, settings):
        trained = LSTMClassifier(**{**settings, "maxEpochs": 1}).fit(frame)
        assert trained.summary.history[0]["validation"] is None

    def test_a_column_that_marks_all_rows_leaves_none_to_train_on(self, frame, no_training):
        classifier = LSTMClassifier(validationIndicatorCol="held")
        assert sentence(InputError, classifier.fit, frame.withColumn("held", F.lit(True))) == (
            "Training needs at least one row that is not used for validation. There is none."
        )


class TestWeights:
    """How a column of weights is used."""

    def test_rows_of_weight_0_are_not_learned(self, frame, settings):
        wrong = frame.withColumn("label", 1 - F.col("label")).withColumn("weight", F.lit(0.0))
        both = frame.withColumn("weight", F.lit(2.0)).union(wrong)
        trained = LSTMClassifier(weightCol="weight", **settings).fit(both)
        assert trained.evaluate(frame)["roc_auc"] > 0.9

    @pytest.mark.parametrize("weight", ["-1.0", "null", "double('nan')", "double('inf')"])
    def test_weights_that_are_negative_or_not_finite_are_counted(self, frame, no_training, weight):
        weighted = frame.withColumn("weight", F.expr(f"IF(id < 3, {weight}, 1.0)"))
        assert sentence(InputError, LSTMClassifier(weightCol="weight").fit, weighted) == (
            "Column 'weight' must hold finite numbers of at least 0. 3 rows do not."
        )

    def test_weights_that_are_all_0_are_refused(self, frame, no_training):
        classifier = LSTMClassifier(weightCol="weight")
        assert sentence(InputError, classifier.fit, frame.withColumn("weight", F.lit(0))) == (
            "Column 'weight' must not be 0 in all training rows. It is."
        )


def entries(folder):
    return sorted(file.name for file in folder.iterdir())


class TestOneClass:
    """Rows of one class are accepted, with a warning."""

    @pytest.mark.parametrize(
        ("labels", "words"),
        [
            (
                (0, 0),
                "All 2 training rows are negative: the model cannot tell them from positive ones. Check the labels.",
            ),
            (
                (1, 1),
                "All 2 training rows are positive: the model cannot tell them from negative ones. Check the labels.",
            ),
            ((0, 1), None),
        ],
    )
    def test_a_warning_is_logged(self, spark, tmp_path, labels, words, monkeypatch, caplog):
        monkeypatch.setattr("sentispark.ml.classifier.train_with_restarts", lambda *_: None)
        path = write_toy(tmp_path / "dataset", {"train": [Row([2, 3], label) for label in labels]})
        LSTMClassifier()._train(open_dataset(path), CallbackList(()))
        assert caplog.messages == ([words] if words else [])


class TestCache:
    """The rows that a fit writes for its ranks are reused by the next fit on the same rows, and only by such fits."""

    @pytest.fixture
    def classifier(self, settings, tmp_path):
        return LSTMClassifier(cacheDir=str(tmp_path), **{**settings, "maxEpochs": 1})

    @pytest.fixture
    def writes(self, monkeypatch):
        """The calls that write rows."""
        calls = []

        def counted(*arguments, **options):
            calls.append(arguments)
            return write_dataset(*arguments, **options)

        monkeypatch.setattr("sentispark.ml.materialize.write_dataset", counted)
        return calls

    def test_the_same_rows_are_written_once(self, classifier, frame, writes, tmp_path):
        first, second = (classifier.fit(rows) for rows in (frame, frame.repartition(3)))
        assert weights(first) == weights(second)
        assert len(writes) == len(entries(tmp_path)) == 1

    @pytest.mark.parametrize(
        "other",
        [
            lambda classifier, frame: classifier.fit(frame.filter("id != 7")),
            lambda classifier, frame: classifier.fit(frame.withColumn("label", F.expr("IF(id = 7, 1 - label, label)"))),
            lambda classifier, frame: classifier.fit(
                frame.withColumn("sequence", F.expr("IF(id = 7, array(2), sequence)"))
            ),
            lambda classifier, frame: classifier.copy().setWeightCol("w").fit(frame.withColumn("w", F.lit(1.0))),
            lambda classifier, frame: classifier.copy().setSeed(3).fit(frame),
            lambda classifier, frame: classifier.copy().setValidationFraction(0.1).fit(frame),
            lambda classifier, frame: classifier.fit(frame.union(frame.filter("id = 7"))),
        ],
    )
    def test_other_rows_are_other_entries(self, classifier, frame, writes, other):
        classifier.fit(frame)
        other(classifier, frame)
        assert len(writes) == 2

    def test_a_damaged_entry_is_written_again(self, classifier, frame, writes, tmp_path):
        first = classifier.fit(frame)
        next(tmp_path.glob("rows-*/train/*.parquet")).unlink()
        assert weights(classifier.fit(frame)) == weights(first)
        assert len(writes) == 2

    def test_other_files_in_the_folder_stay(self, classifier, frame, tmp_path):
        mine = ["mine", "net-experiments", "rows-2023", "rows-raw.parquet", f"rows-{'0' * 16}", f"rows-{'1' * 16}"]
        for name in mine:
            (tmp_path / name).mkdir() if name.startswith("rows-2") else (tmp_path / name).write_text("kept")
        (tmp_path / mine[-1]).unlink()
        (tmp_path / mine[-1]).symlink_to(tmp_path / "rows-2023")
        classifier.fit(frame)
        assert clean_cache(str(tmp_path)) == 1
        assert entries(tmp_path) == sorted(mine)

    def test_an_entry_of_another_user_is_used_and_is_not_removed(
        self, classifier, frame, writes, tmp_path, monkeypatch
    ):
        write = Folder.write

        def denied(folder, *content):
            if "/rows-" in folder.url:
                raise PermissionError(13, "Permission denied")
            write(folder, *content)

        expected = weights(classifier.fit(frame))
        long_ago = time.time() - 8 * 86_400
        for file in tmp_path.rglob("*"):
            os.utime(file, (long_ago, long_ago))
        monkeypatch.setattr(Folder, "write", denied)
        monkeypatch.setattr(Folder, "remove", denied)
        assert weights(classifier.fit(frame)) == expected
        assert len(writes) == 1
        assert clean_cache(str(tmp_path)) == 0

    def test_a_fit_removes_entries_that_have_been_unused_for_long(self, classifier, frame, tmp_path):
        classifier.fit(frame)
        old, long_ago = entries(tmp_path)[0], time.time() - 8 * 86_400
        for file in tmp_path.rglob("*"):
            os.utime(file, (long_ago, long_ago))
        classifier.fit(frame.filter("id != 7"))
        assert old not in entries(tmp_path)
        assert len(entries(tmp_path)) == 1

    def test_an_entry_in_use_stays(self, classifier, frame, tmp_path):
        classifier.fit(frame)
        before = time.time() - 5 * 86_400
        for file in tmp_path.rglob("*"):
            os.utime(file, (before, before))
        classifier.fit(frame)
        assert clean_cache(str(tmp_path), days=4) == 0

    def test_two_fits_write_the_same_rows_at_once(self, classifier, frame, tmp_path, monkeypatch):
        both = threading.Barrier(2, timeout=60)

        def together(*arguments, **options):
            both.wait()
            manifest = write_dataset(*arguments, **options)
            both.wait()
            return manifest

        with monkeypatch.context() as patched:
            patched.setattr("sentispark.ml.materialize.write_dataset", together)
            with ThreadPool(2) as pool:
                first, second = pool.map(classifier.fit, [frame, frame])
        assert weights(first) == weights(second) == weights(classifier.fit(frame))
        assert [open_dataset(str(tmp_path / entry)).manifest.rows("train") for entry in entries(tmp_path)] == [400, 400]

    def test_an_entry_that_another_fit_is_writing_stays(self, classifier, frame, tmp_path):
        classifier.fit(frame)
        name = entries(tmp_path)[0].rpartition("-")[0]
        halves = [tmp_path / f"{name}-0{number}" for number in range(2)]  # listed before the complete one
        for half in halves:
            half.mkdir()
        (halves[0] / "_manifest.json.draft").write_text("{")
        classifier.fit(frame)
        assert all(half.exists() for half in halves)
        assert len(entries(tmp_path)) == 3

    def test_two_fits_may_clean_at_the_same_time(self, classifier, frame, tmp_path, monkeypatch):
        classifier.fit(frame)
        remove = Folder.remove

        def removed_twice(folder):
            remove(folder)
            raise FileNotFoundError(folder.url)

        monkeypatch.setattr(Folder, "remove", removed_twice)
        clean_cache(str(tmp_path))
        assert entries(tmp_path) == []

    def test_in_local_mode_it_needs_no_folder(self, frame, settings):
        LSTMClassifier(**{**settings, "maxEpochs": 1}).fit(frame)
        assert clean_cache() >= 1
        assert clean_cache() == 0

    @pytest.mark.timeout(120)
    def test_a_failed_training_leaves_complete_rows(self, classifier, frame, writes, tmp_path):
        wild = {"optimizer": "sgd", "learningRate": 1e30, "gradientClip": "none"}
        message = sentence(TrainingError, classifier.copy().setParams(**wild).fit, frame)
        assert message.endswith("] The loss of epoch 1 is nan. Lower the learning rate or clip gradients.")
        classifier.fit(frame)
        assert len(writes) == len(entries(tmp_path)) == 1

    def test_refused_rows_leave_no_entry(self, classifier, frame, tmp_path):
        sentence(InputError, classifier.fit, frame.withColumn("label", F.lit(2)))
        assert entries(tmp_path) == []

    def test_no_rows_stay_in_sparks_memory(self, spark, frame, classifier):
        context = spark.sparkContext._jsc.sc()
        before = context.getPersistentRDDs().size()
        classifier.fit(frame)
        assert context.getPersistentRDDs().size() == before


class TestManyFits:
    """`fitMultiple`: a model for each param map, equal to that of its own fit, from rows that are written once."""

    def test_each_model_is_that_of_a_fit_of_its_own(self, frame, settings, monkeypatch):
        classifier = LSTMClassifier(**{**settings, "maxEpochs": 1})
        maps = [{classifier.learningRate: rate} for rate in (0.01, 0.02)] + [{classifier.validationFraction: 0.2}]
        expected = [weights(classifier.fit(frame, changes)) for changes in maps]
        calls = []

        def counted(*arguments, **options):
            calls.append(options)
            return materialize(*arguments, **options)

        monkeypatch.setattr("sentispark.ml.classifier.materialize", counted)
        found = dict(classifier.fitMultiple(frame, maps))
        assert [weights(found[index]) for index in range(3)] == expected
        assert [options["validation_fraction"] for options in calls] == [0.0, 0.2]

    def test_a_dataset_is_used_unchanged(self, dataset_path, settings):
        classifier = LSTMClassifier(**{**settings, "maxEpochs": 1})
        found = dict(classifier.fitMultiple(dataset_path, [{}, {classifier.maxEpochs: 2}]))
        assert [len(found[index].summary.history) for index in range(2)] == [1, 2]
        assert weights(found[0]) == weights(classifier.fitDataset(dataset_path))

    def test_threads_share_the_iterator(self, dataset_path, settings):
        classifier = LSTMClassifier(**{**settings, "maxEpochs": 1})
        fits = classifier.fitMultiple(dataset_path, [{classifier.seed: seed} for seed in range(3)])
        with ThreadPool(2) as pool:
            found = pool.map(lambda _: next(fits), range(3))
        assert sorted(index for index, _ in found) == [0, 1, 2]
        assert len({weights(model) for _, model in found}) == 3


@pytest.mark.usefixtures("no_training")
class TestRefusals:
    """Rows that cannot be trained on are refused in one sentence before a rank starts."""

    @pytest.mark.parametrize(
        ("label", "shown"), [("2", "2"), ("-id", "-1, -7"), ("null", "null"), ("0.5", "0.5"), ("double('nan')", "nan")]
    )
    def test_labels_other_than_0_and_1_are_counted_and_shown(self, frame, label, shown):
        labeled = frame.withColumn("label", F.expr(f"IF(id IN (1, 7), {label}, 1)"))
        assert sentence(InputError, LSTMClassifier().fit, labeled) == (
            f"Column 'label' must hold 0 or 1. 2 rows hold something else: {shown}."
        )

    def test_negative_ids(self, frame):
        negative = frame.withColumn("sequence", F.expr("IF(id = 5, array(2, -3), sequence)"))
        assert sentence(InputError, LSTMClassifier().fit, negative) == (
            "Column 'sequence' must hold token ids from 0 to 4194303, as each has a word vector. It does not. "
            "Encode texts with ReviewEncoder."
        )

    @pytest.mark.parametrize("largest", [2**22, 2_000_000_000, 2**31, 2**40])
    def test_an_id_that_would_need_a_huge_net(self, frame, largest):
        ids = f"IF(id = 5, array(2L, {largest}L), cast(sequence AS array<bigint>))"
        huge = frame.withColumn("sequence", F.expr(ids))
        assert "must hold token ids from 0 to 4194303" in sentence(InputError, LSTMClassifier().fit, huge)

    def test_a_row_that_would_make_all_others_long(self, frame):
        long = frame.withColumn("sequence", F.expr("IF(id = 5, array_repeat(2, 10001), sequence)"))
        assert sentence(InputError, LSTMClassifier().fit, long) == (
            "Column 'sequence' must hold at most 10000 token ids a row, as all rows are padded to the longest. "
            "One has 10001. Set 'maxSequenceLength' to cut longer rows."
        )

    @pytest.mark.parametrize(
        ("param", "kind", "must"),
        [
            ("labelCol", "string", "numbers or booleans"),
            ("labelCol", "array<int>", "numbers or booleans"),
            ("weightCol", "string", "numbers"),
            ("weightCol", "boolean", "numbers"),
            ("validationIndicatorCol", "string", "booleans"),
            ("validationIndicatorCol", "int", "booleans"),
        ],
    )
    def test_a_column_of_another_type(self, frame, param, kind, must):
        other = frame.withColumn("other", F.expr("array(1)" if kind == "array<int>" else f"cast(label AS {kind})"))
        classifier = LSTMClassifier(**{param: "other"})
        for fit in (classifier.fit, lambda rows: next(classifier.fitMultiple(rows, [{}]))):
            message = sentence(InputError, fit, other)
            assert message.startswith(f"Column 'other' must hold {must}. It holds {kind}. ")

    def test_no_rows(self, frame):
        assert sentence(InputError, LSTMClassifier().fit, frame.limit(0)) == (
            "Training needs at least one row that is not used for validation. There is none."
        )

    @pytest.mark.parametrize(
        ("param", "column"),
        [
            ("featuresCol", "tokens"),
            ("labelCol", "stars"),
            ("weightCol", "weight"),
            ("validationIndicatorCol", "held"),
        ],
    )
    def test_a_missing_column(self, frame, param, column):
        assert sentence(InputError, LSTMClassifier(**{param: column}).fit, frame) == (
            f"LSTMClassifier needs a column '{column}'. The DataFrame has id, sequence, label."
        )

    def test_a_batch_smaller_than_the_workers(self, frame):
        assert sentence(OptionError, LSTMClassifier(numWorkers=2, batchSize=1).fit, frame) == (
            "'batchSize' must be at least the number of workers (2). Got 1. Raise batchSize or lower numWorkers."
        )

    def test_balancing_one_class(self, frame):
        classifier = LSTMClassifier(positiveWeight="balanced")
        assert sentence(OptionError, classifier.fit, frame.withColumn("label", F.lit(1))) == (
            "'positiveWeight' must be a number if only one class has training rows. Got 'balanced'."
        )

    @pytest.mark.parametrize("kind", ["a path", "a dataset", "a DataFrame"])
    def test_a_folder_that_executors_cannot_see(self, kind, frame, dataset_path, tmp_path, monkeypatch):
        monkeypatch.setattr("sentispark.cluster.preflight.shares_this_machine", lambda spark: False)
        monkeypatch.setattr("sentispark.cluster.preflight.hosts_without", lambda *_: ["node-3"])
        given = {"a path": dataset_path, "a dataset": open_dataset(Folder(str(dataset_path))), "a DataFrame": frame}
        classifier = LSTMClassifier(cacheDir=str(tmp_path))
        assert "node-3 cannot see" in sentence(SetupError, classifier.fit, given[kind])
        assert list(tmp_path.iterdir()) == []

    def test_a_path_without_a_dataset(self, spark, tmp_path):
        assert sentence(DatasetError, LSTMClassifier().fit, f"{tmp_path}/none") == (
            f"'{tmp_path}/none' must be a dataset. Nothing is there. Run 'sentispark prepare' first."
        )


def test_more_workers_than_slots_are_refused(dataset_path, spark):
    assert sentence(SetupError, LSTMClassifier(numWorkers=3).fit, dataset_path) == (
        "'numWorkers' must be at most the number of tasks that run at once (2). Got 3. "
        "Add executors or cores, or lower numWorkers."
    )


@pytest.mark.usefixtures("spark")
class TestParams:
    """Params are set, copied and passed as Spark ML's are."""

    def test_the_reference_systems_net_can_be_set(self, frame):
        from sentispark.nn.options import NetOptions
        from sentispark.spark.params import options_from

        classifier = LSTMClassifier(
            embeddingSize=100,
            hiddenSize=32,
            numLayers=2,
            bidirectional=False,
            dropout=0.5,
            embeddingDropout=0.0,
            pooling="padded_last",
            headLayers=[32],
            wideSize=0,
            positiveWeight=0.2,
            optimizer="sgd",
            learningRate=0.1,
        )
        assert options_from(classifier, NetOptions) == reference_net()
        trained = classifier.setParams(maxEpochs=1, reader="arrow").fit(frame)
        assert trained.trained.options == reference_net()
        assert trained.summary.run["options"]["positive_weight"] == 0.2
        # An embedding of 12 × 100, two LSTM layers, a hidden layer of 32 and the output.
        lstm = 4 * 32 * (100 + 32 + 2) + 4 * 32 * (32 + 32 + 2)
        assert trained.toTorch().parameter_count == 12 * 100 + lstm + 32 * 33 + 33

    @pytest.mark.parametrize(
        ("name", "value", "rule"),
        [
            ("numWorkers", 0, "a whole number of at least 1"),
            ("batchSize", 2.5, "a whole number of at least 1"),
            ("validationFraction", 1.0, "a number of at least 0 and below 1"),
            ("pooling", "sum", "one of last, max, mean, max_mean, padded_last"),
            ("headLayers", [8, -1], "a list, each entry a whole number of at least 1"),
            ("positiveWeight", "even", "a number above 0 or balanced"),
            ("cacheDir", 3, "a string or none"),
        ],
    )
    def test_a_value_against_its_rule_is_refused_when_it_is_set(self, name, value, rule):
        expected = f"'{name}' must be {rule}. Got {value!r}."
        assert sentence(OptionError, lambda: LSTMClassifier(**{name: value})) == expected
        setter = getattr(LSTMClassifier(), f"set{name[0].upper()}{name[1:]}")
        assert sentence(OptionError, setter, value) == expected

    def test_an_unknown_name_gets_a_hint(self):
        assert sentence(OptionError, lambda: LSTMClassifier(epochs=3)) == (
            "'epochs' is not a Param of LSTMClassifier. Did you mean 'maxEpochs'?"
        )

    def test_a_copy_has_its_own_params(self):
        classifier = LSTMClassifier(maxEpochs=5)
        other = classifier.copy({classifier.maxEpochs: 7})
        assert (classifier.getMaxEpochs(), other.getMaxEpochs()) == (5, 7)

    def test_saved_and_loaded_it_has_the_same_params(self, tmp_path):
        classifier = LSTMClassifier(headLayers=[4, 2], positiveWeight="balanced", gradientClip=2, weightCol="w")
        classifier.save(f"{tmp_path}/classifier")
        loaded = LSTMClassifier.load(f"{tmp_path}/classifier")
        expected, found = (
            {param.name: one.getOrDefault(param) for param in one.params if one.isDefined(param)}
            for one in (classifier, loaded)
        )
        assert found == expected

    def test_a_param_map_holds_for_one_fit(self, dataset_path, settings):
        classifier = LSTMClassifier(**settings)
        assert len(classifier.fit(dataset_path, {classifier.maxEpochs: 1}).summary.history) == 1
        assert classifier.getMaxEpochs() == 3


class TestTuning:
    """Spark's own searches tune it like any classifier."""

    def test_train_validation_split_finds_the_setting_that_learns(self, frame, settings):
        classifier = LSTMClassifier(**settings)
        grid = ParamGridBuilder().addGrid(classifier.learningRate, [1e-6, 0.03]).build()
        search = TrainValidationSplit(
            estimator=classifier, estimatorParamMaps=grid, evaluator=BinaryClassificationEvaluator(), seed=1
        )
        found = search.fit(frame)
        assert found.bestModel.summary.run["options"]["learning_rate"] == 0.03
        assert found.validationMetrics[0] < found.validationMetrics[1]

    def test_cross_validator_evaluates_every_fold(self, frame, settings):
        classifier = LSTMClassifier(**{**settings, "maxEpochs": 1})
        search = CrossValidator(
            estimator=classifier,
            estimatorParamMaps=[{}],
            evaluator=BinaryClassificationEvaluator(),
            numFolds=2,
            seed=1,
        )
        assert 0 <= search.fit(frame).avgMetrics[0] <= 1

    def test_cross_validator_finds_the_same_with_two_fits_at_once(self, frame, settings):
        classifier = LSTMClassifier(**settings)
        grid = ParamGridBuilder().addGrid(classifier.learningRate, [1e-6, 0.03]).build()
        search = CrossValidator(
            estimator=classifier,
            estimatorParamMaps=grid,
            evaluator=BinaryClassificationEvaluator(),
            numFolds=2,
            seed=1,
        )
        one, two = (search.copy().setParallelism(parallelism).fit(frame) for parallelism in (1, 2))
        # Spark adds up the area under the curve in the order in which partitions arrive.
        assert one.avgMetrics == pytest.approx(two.avgMetrics, rel=1e-12)
        assert two.bestModel.summary.run["options"]["learning_rate"] == 0.03
        assert two.avgMetrics[0] < two.avgMetrics[1]
