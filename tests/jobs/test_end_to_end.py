"""Prepare → train → evaluate → predict → load, in one process, on a cluster and from the shell."""

import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest
from pyspark.ml import PipelineModel

import sentispark
from sentispark.errors import DatasetError, InputError, OptionError
from sentispark.jobs import cli
from sentispark.jobs.evaluate import evaluate
from sentispark.jobs.predict import predict
from sentispark.jobs.train import train
from sentispark.ml.classifier import LSTMClassifier
from sentispark.ml.pipeline import load_pipeline
from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews.generate import write_reviews
from sentispark.reviews.options import ReviewOptions
from sentispark.spark.java import ensure_java
from sentispark.text.options import TextOptions

pytestmark = pytest.mark.endtoend

REAL = Path(__file__).parents[3] / "shared" / "data" / "amazon2014_Musical_Instruments_5.jsonl.gz"
ROWS = 2_000
SMALL_NET = {"embeddingSize": 16, "hiddenSize": 8, "wideSize": 500, "maxEpochs": 1, "batchSize": 64, "balance": "off"}


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """Some real reviews if they are available, generated ones otherwise."""
    path = tmp_path_factory.mktemp("reviews") / "reviews.jsonl.gz"
    if REAL.exists():
        with gzip.open(REAL, "rt") as lines, gzip.open(path, "wt") as slice_:
            slice_.writelines(line for _, line in zip(range(ROWS), lines, strict=False))
    else:
        write_reviews(str(path), ROWS)
    return str(path)


@pytest.fixture(scope="module")
def prepared(spark, reviews, tmp_path_factory):
    dataset = str(tmp_path_factory.mktemp("prepared") / "dataset")
    return dataset, prepare_dataset(spark, reviews, dataset, text=TextOptions(vocab_size=500, sequence_length=40))


@pytest.fixture(scope="module")
def trained(prepared, tmp_path_factory):
    model = str(tmp_path_factory.mktemp("trained") / "model")
    return model, train(prepared[0], model, LSTMClassifier(numWorkers=2, **SMALL_NET))


def test_non_ascii_paths_work_in_an_ascii_locale(trained, prepared, tmp_path):
    here = tmp_path / "dossier é"
    shutil.copytree(prepared[0], here / "jeu é")
    shutil.copytree(trained[0], here / "modèle é")
    (here / "textes é.jsonl").write_text('{"reviewText": "très bien"}\n' * 3)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYSPARK_"))}
    for arguments in (
        ["evaluate", "modèle é", "jeu é", "--split", "test"],
        ["predict", "modèle é", "textes é.jsonl", "--output", "prédictions"],
    ):
        command = [sys.executable, "-m", "sentispark", *arguments, "--master", "local[1]", "--quiet"]
        done = subprocess.run(
            command, cwd=here, env={**environ, "LC_ALL": "C"}, capture_output=True, encoding="utf-8", check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["rows"] == 3
    assert sorted(os.listdir(here)) == ["jeu é", "modèle é", "prédictions", "textes é.jsonl"]


@pytest.mark.modern
def test_prepare_accounts_for_every_record(prepared):
    result = prepared[1]
    assert result["rows_read"] == ROWS
    accounted = result["rows_quarantined"] + result["duplicates_merged"] + sum(result["rows_written"].values())
    assert accounted == ROWS
    assert sum(result["quarantine_reasons"].values()) == result["rows_quarantined"]
    assert result["vocabulary_size"] == 500
    assert result["sequence_length"] == 40


@pytest.mark.modern
def test_train_reports_each_epoch(trained):
    result = trained[1]
    assert result["workers"] == 2
    assert result["reader"] in ("petastorm", "arrow")
    (epoch,) = result["epochs"]
    assert epoch["batch_sizes"] == [32, 32]
    assert epoch["validation"]["rows"] > 0


@pytest.mark.modern
def test_evaluate_uses_the_test_split(spark, prepared, trained):
    result = evaluate(spark, trained[0], prepared[0])
    assert result["rows"] == prepared[1]["rows_written"]["test"]
    assert 0 <= result["accuracy"] <= 1


@pytest.mark.modern
def test_predictions_are_those_of_the_saved_pipeline(spark, reviews, trained, tmp_path):
    output = str(tmp_path / "predictions")
    result = predict(spark, trained[0], [reviews], output)
    written = spark.read.parquet(output)
    assert result["rows"] == written.count() == ROWS - result["rows_quarantined"]
    again = PipelineModel.load(trained[0]).transform(
        written.select("text", "prediction").withColumnRenamed("prediction", "p")
    )
    assert again.where("p <> prediction").count() == 0


def test_extra_fields_are_copied_next_to_their_predictions(spark, trained, tmp_path):
    few = tmp_path / "few.jsonl"
    lines = [{"id.x": number, "reviewText": f"text <br/> {number}", "more": None} for number in range(5)]
    few.write_text("".join(json.dumps(line) + "\n" for line in [*lines, {"id.x": 5}]))
    output = str(tmp_path / "predictions")
    result = predict(spark, trained[0], [str(few)], output, keep_cols=["id.x", "more"])
    assert (result["rows"], result["rows_quarantined"]) == (5, 1)
    written = spark.read.parquet(output)
    assert written.columns == ["id.x", "more", "text", "probability", "prediction"]
    assert sorted((row["id.x"], row.more, row.text) for row in written.collect()) == [
        (str(number), None, f"text {number}") for number in range(5)
    ]


@pytest.mark.parametrize(
    ("keep_cols", "words"),
    [
        (
            ["prediction"],
            r"must not name a column that the output already has \(text, probability, prediction\)\. Got 'pred",
        ),
        (["Probability"], r"must not name a column that the output already has .* Got 'Probability'\."),
        (["id", "ID"], r"must name each field once, ignoring case\. Got 'id' and 'ID'\."),
        (["id", "id"], r"must name each field once"),
        (["id", ""], r"must not contain an empty name\."),
        (
            ["nobody"],
            r"At least one file must have a column 'nobody'\. Found id, length, reviewText\. Correct .keep_cols.",
        ),
    ],
)
def test_extra_fields_that_cannot_be_copied_are_reported_before_anything_is_written(
    spark, trained, tmp_path, keep_cols, words
):
    (tmp_path / "few.jsonl").write_text('{"reviewText": "good", "id": 1, "length": 7}\n')
    with pytest.raises(InputError, match=words):
        predict(spark, trained[0], [f"{tmp_path}/few.jsonl"], f"{tmp_path}/predictions", keep_cols=keep_cols)
    assert [path.name for path in tmp_path.iterdir()] == ["few.jsonl"]


def test_column_names_of_a_pipeline_change_neither_predictions_nor_measures(
    spark, reviews, prepared, trained, tmp_path
):
    (tmp_path / "few.jsonl").write_text('{"reviewText": "good", "length": 7}\n{"reviewText": "bad, not good"}\n')
    pipeline = load_pipeline(trained[0])
    encoder, model = pipeline.stages
    encoder.setInputCol("reviewText").setOutputCol("ids").setLengthCol("n")
    model.setFeaturesCol("ids").setLabelCol("stars").setProbabilityCol("").setRawPredictionCol("")
    model.setPredictionCol("p").setThreshold(0.0)
    pipeline.save(f"{tmp_path}/other")

    def predicted(path, name):
        predict(spark, path, [f"{tmp_path}/few.jsonl"], f"{tmp_path}/{name}", keep_cols=["length"])
        return sorted(map(tuple, spark.read.parquet(f"{tmp_path}/{name}").collect()), key=str)

    usual, other = predicted(trained[0], "of-usual"), predicted(f"{tmp_path}/other", "of-other")
    assert [row[:3] for row in other] == [row[:3] for row in usual]
    assert {(row[0], row[3]) for row in other} == {("7", 1), (None, 1)}  # the threshold is the model's own
    roc_aucs = [evaluate(spark, path, prepared[0])["roc_auc"] for path in (trained[0], f"{tmp_path}/other")]
    assert roc_aucs[0] == roc_aucs[1]

    model.setFeaturesCol("sequence")
    PipelineModel([encoder, model]).save(f"{tmp_path}/apart")
    with pytest.raises(DatasetError, match=r"must read the output of the encoder, 'ids'\. It reads 'sequence'\."):
        predict(spark, f"{tmp_path}/apart", [f"{tmp_path}/few.jsonl"], f"{tmp_path}/of-apart")
    assert not (tmp_path / "of-apart").exists()


def test_an_existing_output_is_kept_without_overwrite(spark, reviews, prepared):
    before = sorted(path.name for path in Path(prepared[0]).iterdir())
    with pytest.raises(DatasetError, match="already exists"):
        prepare_dataset(spark, [reviews], prepared[0], ReviewOptions(), TextOptions())
    assert sorted(path.name for path in Path(prepared[0]).iterdir()) == before


def test_inputs_are_never_replaced(spark, reviews, prepared, trained, tmp_path):
    here = Path(shutil.copytree(prepared[0], tmp_path / "all"))
    shutil.copy(reviews, here / "raw.jsonl.gz")
    model = str(shutil.copytree(trained[0], tmp_path / "model"))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    (tmp_path / "link").symlink_to(here)
    never, overwrite = LSTMClassifier(numWorkers=1, **SMALL_NET), {"overwrite": True}
    never.fit = None
    options = ReviewOptions(), TextOptions()
    contains, same, inside = "contains the input", "is the same as the input", "is inside the input"
    for output, problem in [
        ("all", contains),
        ("link", contains),
        ("link/../all/", contains),
        ("all/raw.jsonl.gz", same),
    ]:
        with pytest.raises(InputError, match=problem):
            prepare_dataset(spark, [f"{here}/raw.*"], f"{tmp_path}/{output}", *options, **overwrite)
    for output, problem in [("all", same), ("link", same), ("all/train", inside), ("", contains)]:
        with pytest.raises(InputError, match=problem):
            prepare_dataset(spark, [reviews], f"{tmp_path}/{output}", *options, vocabulary=str(here), **overwrite)
        with pytest.raises(InputError, match=problem):
            train(str(here), f"{tmp_path}/{output}", never, **overwrite)
    for output, problem in [("model", same), ("model/stages", inside), ("", contains), ("all", contains)]:
        with pytest.raises(InputError, match=problem):
            predict(spark, model, [f"{here}/raw.jsonl.gz"], f"{tmp_path}/{output}", **overwrite)
    with pytest.raises(DatasetError, match=r"it holds 'raw.jsonl.gz', which sentispark did not write"):
        train(prepared[0], str(here), never, **overwrite)
    assert {
        path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and "link" not in path.parts
    } == before


def test_predictions_are_replaced_and_spark_reads_nothing_else_in_their_folder(spark, reviews, trained, tmp_path):
    output = str(tmp_path / "out:1")
    for _ in range(2):
        result = predict(spark, trained[0], [reviews], output, overwrite=True)
    assert spark.read.parquet(f"file:{output}").count() == result["rows"]
    Path(output, "notes.txt").touch()
    with pytest.raises(DatasetError, match=r"it holds 'notes.txt'"):
        predict(spark, trained[0], [reviews], output, overwrite=True)


def test_an_input_without_usable_records_leaves_nothing_behind(spark, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"reviewText": "fine"}\n{"overall": 5}\n{"broken\n')
    with pytest.raises(
        InputError, match=r"None of its 3 records is usable \(broken record: 1, no rating: 1, no text: 1\)"
    ):
        prepare_dataset(spark, [str(bad)], str(tmp_path / "dataset"), ReviewOptions(), TextOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["bad.jsonl"]


def test_an_input_with_hardly_any_usable_records_leaves_nothing_behind(spark, trained, tmp_path):
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"reviewText": "good stuff", "overall": 5}\n' + "no json\n" * 18 + '{"overall": 5}\n')
    text, output = TextOptions(), str(tmp_path / "output")
    options = ReviewOptions(validation_share=0, test_share=0)
    sentence = (
        r"^At most 0\.9 of the records may be unusable\. 19 of 20 are \(broken record: 18, no text: 1\)\. Check .* "
        r"A record with 'broken record': no json$"
    )
    with pytest.raises(InputError, match=sentence):
        prepare_dataset(spark, [str(bad)], output, options, text)
    with pytest.raises(InputError, match=sentence):
        predict(spark, trained[0], [str(bad)], output)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.jsonl"]
    assert predict(spark, trained[0], [str(bad)], output, max_quarantined=1)["rows"] == 1
    bad.write_text(bad.read_text() + "".join(f'{{"reviewText": "bad {word}", "overall": 1}}\n' for word in "ab"))
    assert prepare_dataset(spark, [str(bad)], output, options, text, overwrite=True)["rows_quarantined"] == 19


def test_a_model_is_not_evaluated_on_a_dataset_with_another_vocabulary(spark, reviews, trained, tmp_path):
    other = str(tmp_path / "other")
    prepare_dataset(spark, [reviews], other, ReviewOptions(), TextOptions(vocab_size=300, sequence_length=40))
    with pytest.raises(DatasetError, match="another vocabulary"):
        evaluate(spark, trained[0], other)


def test_ten_rows_are_enough_for_all_commands(spark, tmp_path):
    few = tmp_path / "few.jsonl"
    texts = [("good " * n, 5) if n % 2 else ("bad " * n, 1) for n in range(1, 11)]
    few.write_text("".join(json.dumps({"reviewText": text, "overall": stars}) + "\n" for text, stars in texts))
    dataset, model = str(tmp_path / "dataset"), str(tmp_path / "model")
    result = prepare_dataset(
        spark, [str(few)], dataset, ReviewOptions(validation_share=0, test_share=0), TextOptions(sequence_length=5)
    )
    assert result["rows_written"] == {"train": 10, "validation": 0, "test": 0}
    trained = train(dataset, model, LSTMClassifier(numWorkers=2, **SMALL_NET))
    assert trained["epochs"][0]["validation"] is None
    assert evaluate(spark, model, dataset, split="train")["rows"] == 10
    with pytest.raises(
        OptionError, match=r"must name a split with rows \(train 10, validation 0, test 0\). Got 'test'"
    ):
        evaluate(spark, model, dataset)


ON_A_CLUSTER = """
import json, sys
from sentispark import LSTMClassifier, get_spark
from sentispark.jobs import cli
from sentispark.jobs.evaluate import evaluate
from sentispark.jobs.predict import predict
from sentispark.prepare.prepare import prepare_dataset
from sentispark.jobs.train import train
from sentispark.reviews.options import ReviewOptions
from sentispark.spark.java import ensure_java
from sentispark.text.options import TextOptions

reviews, out = sys.argv[1:]
spark = get_spark(master="local-cluster[2,1,1024]")
assert spark.sparkContext.master.startswith("local-cluster")
text = TextOptions(vocab_size=500, sequence_length=40)
prepared = prepare_dataset(spark, [reviews], f"{out}/dataset", ReviewOptions(), text)
net = dict(embeddingSize=16, hiddenSize=8, wideSize=500, maxEpochs=1, batchSize=64, balance="off")
trained = train(f"{out}/dataset", f"{out}/model", LSTMClassifier(numWorkers=2, **net))
evaluated = evaluate(spark, f"{out}/model", f"{out}/dataset")
predicted = predict(spark, f"{out}/model", [reviews], f"{out}/predictions")
print(json.dumps([prepared, trained, evaluated, predicted]))
"""


def test_a_cluster_of_two_executors_has_the_results_of_one_process(spark, reviews, prepared, trained, tmp_path):
    command = [sys.executable, "-c", ON_A_CLUSTER, reviews, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    on_cluster, on_cluster_trained, evaluated, predicted = json.loads(done.stdout.splitlines()[-1])
    ignored = ("seconds", "stage_seconds", "output")
    assert {k: v for k, v in on_cluster.items() if k not in ignored} == {
        k: v for k, v in prepared[1].items() if k not in ignored
    }
    assert on_cluster_trained["epochs"][0]["train_loss"] == trained[1]["epochs"][0]["train_loss"]
    assert evaluated == evaluate(spark, trained[0], prepared[0])
    assert predicted["rows"] + predicted["rows_quarantined"] == ROWS
    for name in ("train/chunk-000000.parquet", "vocabulary.json", "_manifest.json"):
        assert (tmp_path / "dataset" / name).read_bytes() == (Path(prepared[0]) / name).read_bytes()


def test_the_demo_command_ends_with_one_line_of_json(tmp_path):
    command = [sys.executable, "-m", "sentispark", "demo", "--quiet", "--rows", "1500", "--master", "local[2]"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = done.stdout.splitlines()
    result = json.loads(line)
    assert list(result) == ["prepare", "train", "evaluate", "predict", "report"]
    assert (tmp_path / result["report"]).read_bytes().startswith(b"\x89PNG")
    for step in ("prepare", "train", "predict"):
        assert (tmp_path / result[step]["output"]).exists()


def test_spark_submit_runs_a_job(reviews, tmp_path):
    submit = Path(pyspark.__file__).parent / "bin" / "spark-submit"
    job = Path(sentispark.__file__).parent / "jobs" / "prepare.py"
    command = [str(submit), "--master", "local[2]", str(job), reviews, "--output", "dataset", "--vocab-size", "500"]
    environment = {**os.environ, "PYSPARK_PYTHON": sys.executable}
    ensure_java(environment, pyspark.__version__)
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, cwd=tmp_path, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1])["rows_read"] == ROWS


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["prepare", "nowhere.jsonl", "--output", "out"], "'nowhere.jsonl' must match at least one file."),
        (["train", "nowhere", "--output", "out"], "/nowhere' must be a dataset. Nothing is there."),
    ],
)
def test_bad_input_ends_with_one_sentence(spark, arguments, sentence, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main([*arguments, "--quiet"]) == 1
    assert sentence in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_without_its_vocabulary_is_refused_before_the_training(prepared, tmp_path):
    dataset = shutil.copytree(prepared[0], tmp_path / "dataset")
    (dataset / "vocabulary.json").unlink()
    never = LSTMClassifier(numWorkers=1, **SMALL_NET)
    never.fit = None
    with pytest.raises(DatasetError, match=r"vocabulary.json' is missing\. Prepare the dataset again\."):
        train(str(dataset), str(tmp_path / "model"), never)


@pytest.mark.modern
def test_a_foreign_class_in_a_saved_pipeline_is_not_imported(spark, trained, tmp_path):
    model = Path(shutil.copytree(trained[0], tmp_path / "model"))
    (metadata,) = model.glob("stages/1_*/metadata/part-*")
    (metadata.parent / f".{metadata.name}.crc").unlink(missing_ok=True)
    metadata.write_text(metadata.read_text().replace("sentispark.ml.model.LSTMClassificationModel", "this.Zen"))
    with pytest.raises(DatasetError, match=r"must hold an encoder and a classifier. It holds .*this\.Zen"):
        load_pipeline(str(model))
    assert "this" not in sys.modules


def test_a_pipelines_metadata_cannot_lead_out_of_its_folder(spark, trained, tmp_path):
    model = Path(shutil.copytree(trained[0], tmp_path / "model"))
    hidden = model / "hidden"
    shutil.copytree(next(model.glob("stages/1_*")), hidden)
    for metadata in (hidden / "metadata").glob("*part-*"):
        metadata.unlink()
    (hidden / "metadata" / "part-00000").write_text('{"class": "this.Zen", "uid": "x"}')
    (metadata,) = model.glob("metadata/part-*")
    (metadata.parent / f".{metadata.name}.crc").unlink(missing_ok=True)
    content = json.loads(metadata.read_text())
    content["paramMap"]["stageUids"] = ["x/../../hidden", content["paramMap"]["stageUids"][1]]
    metadata.write_text(json.dumps(content))
    stages = [type(stage).__name__ for stage in load_pipeline(str(model)).stages]
    assert stages == ["ReviewEncoderModel", "LSTMClassificationModel"]
    assert "this" not in sys.modules


def test_unknown_params_in_a_saved_stage_are_reported(spark, trained, tmp_path):
    model = Path(shutil.copytree(trained[0], tmp_path / "model"))
    (metadata,) = model.glob("stages/0_*/metadata/part-*")
    (metadata.parent / f".{metadata.name}.crc").unlink(missing_ok=True)
    content = json.loads(metadata.read_text())
    metadata.write_text(json.dumps({**content, "paramMap": {**content["paramMap"], "colour": "red"}}))
    with pytest.raises(DatasetError, match=r"must hold the Params of a .*ReviewEncoderModel\. It does not: .*colour"):
        load_pipeline(str(model))


@pytest.mark.parametrize("name", ["with blank", "run[1]", "50%", "{a}"])
def test_folder_names_may_have_special_characters(spark, prepared, trained, tmp_path, name):
    dataset = shutil.copytree(prepared[0], tmp_path / name)
    assert evaluate(spark, trained[0], str(dataset)) == evaluate(spark, trained[0], prepared[0])


def test_an_interrupted_command_ends_with_one_line(monkeypatch, spark, capsys, tmp_path):
    def interrupted(*_):
        try:
            raise KeyboardInterrupt
        finally:
            raise ValueError("cleaning up failed, as the JVM was interrupted too")

    monkeypatch.setattr("sentispark.jobs.train.run", interrupted)
    assert cli.main(["train", "dataset", "--output", str(tmp_path / "model"), "--quiet"]) == 130
    assert capsys.readouterr().err == "sentispark train: interrupted; the output was not written.\n"
