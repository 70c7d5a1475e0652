"""Files to datasets, compared with a plain Python loop over the same records; the bytes do not depend on partitions."""

import dataclasses
import gzip
import html
import json
import logging
import os
import random
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark import cloudpickle

from sentispark.dataset.dataset import open_dataset
from sentispark.dataset.readers import ArrowReader
from sentispark.errors import DatasetError, InputError, OptionError
from sentispark.ownership import MARKER
from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews import tasks
from sentispark.reviews.deduplicate.digest import split_draws
from sentispark.reviews.deduplicate.distinct import split_codes
from sentispark.reviews.options import ReviewOptions
from sentispark.text.kernels import tokenize
from sentispark.text.options import TextOptions
from sentispark.text.stopwords import REFERENCE

WORDS = [
    *("it", "is", "not", "good", "bad", "don't", "I'd", "great,", "awful!", "&amp;", "<br />", "3.5", "null\0byte"),
    *("ÉCLAIR", "日本", "Ελλάδα", "שלום", "👍", "e\u0301t\u00e9", "http://a.b/c?d=1"),
]
LENGTH = 12


def unusual_reviews(rows, seed=0):
    """Records with unusual words, few enough texts for duplicates, and some unusable records."""
    rng = random.Random(seed)
    texts = [" ".join(rng.choices(WORDS, k=rng.randrange(0, 20))) for _ in range(rows // 2)]
    return [
        {"reviewText": rng.choice(texts), "overall": rng.choice([1, 2, 3, 4, 5.0, "4"] * 3 + [None, 9])}
        for _ in range(rows)
    ]


def write_lines(path, records):
    content = "".join(json.dumps(record) + "\n" for record in records).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return str(path)


def plainly_prepared(records):
    """{text: rating} of the distinct reviews, and the counts of unusable records by reason."""
    ratings, unusable = defaultdict(Counter), Counter()
    for record in records:
        text = " ".join(re.sub(r"<br />", " ", html.unescape(record["reviewText"])).split())
        if not text:
            unusable["blank text"] += 1
        elif record["overall"] is None:
            unusable["no rating"] += 1
        elif not 1 <= float(record["overall"]) <= 5:
            unusable["rating outside 1 to 5"] += 1
        else:
            ratings[text][float(record["overall"])] += 1
    modes = {text: min(found, key=lambda stars: (-found[stars], stars)) for text, found in ratings.items()}
    return modes, unusable


def rows_of(folder):
    """(words of the sequence, label) of every row; unknown words are None."""
    dataset = open_dataset(folder)
    words = dataset.word_list.words
    found = []
    for chunk in dataset.manifest.chunks:
        arrays = ArrowReader().read(dataset, chunk)
        for sequence, length, label in zip(arrays.sequence, arrays.length, arrays.label, strict=True):
            found.append((tuple(words[i - 2] if i > 1 else None for i in sequence[:length]), int(label)))
    return sorted(found, key=str)


def bytes_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file() and "quarantine" not in path.parts and path.name not in ("_manifest.json", MARKER)
    }


def manifest_in(folder):
    return (Path(folder) / "_manifest.json").read_text()


def unusable_in(folder):
    """The quarantined records, in any order."""
    files = sorted((Path(folder) / "quarantine").iterdir())
    return sorted(json.dumps(row) for file in files for row in pq.read_table(file).to_pylist())


def prepared(spark, paths, folder, *, text=None, **more):
    return prepare_dataset(spark, paths, str(folder), text=text or TextOptions(sequence_length=LENGTH), **more)


def test_a_dataset_equals_that_of_a_plain_loop(spark, tmp_path):
    records = unusual_reviews(600)
    result = prepared(spark, [write_lines(tmp_path / "a.jsonl", records)], tmp_path / "dataset")
    modes, unusable = plainly_prepared(records)
    assert result["quarantine_reasons"] == dict(sorted(unusable.items()))
    assert result["rows_read"] == 600
    assert sum(result["rows_written"].values()) == len(modes)
    assert result["duplicates_merged"] == 600 - unusable.total() - len(modes)
    known = set(open_dataset(str(tmp_path / "dataset")).word_list.words)
    expected = []
    for text, stars in modes.items():
        lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
        words = re.findall(r"[^\W_\u0300-\u036f]+(?:[\u0300-\u036f]+\w*)*(?:'[^\W_]+)*", lower)
        expected.append((tuple(word if word in known else None for word in words[:LENGTH]), int(stars >= 4)))
    assert rows_of(str(tmp_path / "dataset")) == sorted(expected, key=str)
    quarantined = spark.read.parquet(f"{tmp_path}/dataset/quarantine")
    assert Counter(row.reason for row in quarantined.collect()) == unusable
    assert sorted(path.name for path in (tmp_path / "dataset").iterdir()) == [
        *("_manifest.json", "_sentispark.json", "quarantine", "test", "train", "validation", "vocabulary.json")
    ]


def test_the_bytes_do_not_depend_on_how_reviews_are_spread_over_files(spark, tmp_path):
    records = unusual_reviews(500)
    prepared(spark, [write_lines(tmp_path / "all.jsonl", records)], tmp_path / "one")
    random.Random(1).shuffle(records)
    (tmp_path / "parts").mkdir()
    for number in range(7):
        write_lines(tmp_path / "parts" / f"{number}.jsonl{'.gz' if number % 2 else ''}", records[number::7])
    prepared(spark, [str(tmp_path / "parts")], tmp_path / "many")
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "many")


def test_the_reference_system_s_cleaning_and_stop_words(spark, tmp_path):
    records = [{"reviewText": f"I would NOT get this-product number{n}; don't!", "overall": 1} for n in range(40)]
    records += [{**record, "reviewText": record["reviewText"] + "!", "overall": 5} for record in records]
    text = TextOptions(stop_words="reference", sequence_length=LENGTH)
    prepared(spark, [write_lines(tmp_path / "a.jsonl", records)], tmp_path / "dataset", text=text)
    assert {row for row, _ in rows_of(str(tmp_path / "dataset"))} == {("thisproduct", "number")}
    assert {"i", "would", "not", "get", "don't"} <= set(REFERENCE)


def test_texts_and_words_of_any_size(spark, tmp_path):
    records = [{"reviewText": f"row {number} good", "overall": 5} for number in range(50)]
    records += [
        {"reviewText": "word " * 2_000_000 + "end", "overall": 1},  # 10 MB
        {"reviewText": "x" * 10_000_000, "overall": 1},
        {"reviewText": "<" * 100_000 + "&" * 100_000 + " bad", "overall": 2},
    ]
    result = prepared(spark, [write_lines(tmp_path / "a.jsonl", records)], tmp_path / "dataset")
    assert sum(result["rows_written"].values()) == 53
    assert (("word",) * LENGTH, 0) in rows_of(str(tmp_path / "dataset"))


class TestScales:
    """Ratings of any scale become labels; ratings off the given scale are an error."""

    @staticmethod
    def prepared(spark, tmp_path, ratings, *, texts=None, vocabulary=None, **options):
        texts = texts or [f"review {number} of these" for number in range(len(ratings))]
        records = [{"reviewText": text, "overall": one} for text, one in zip(texts, ratings, strict=True)]
        file = write_lines(tmp_path / "a.jsonl", records)
        reviews = ReviewOptions(**{"validation_share": 0, "test_share": 0, **options})
        text = TextOptions(sequence_length=LENGTH)
        return prepare_dataset(spark, [file], str(tmp_path / "dataset"), reviews, text, vocabulary=vocabulary)

    @pytest.mark.parametrize(
        ("scale", "ratings", "positives"),
        [
            ("0-1", [0, 1, 1, True, False], 3),
            ("1-2", ["1", "2", "2"], 2),
            ("-1-1", [-1, 0, 1], 1),
            ("1-10", [1, 6, 7, 10], 2),
            ("0-100", [0, 74.5, 75, 100], 2),
            ("negative,positive", ["Negative", "positive", "positive "], 2),
            ("bad,ok,good", ["good", "ok", "bad", "good"], 2),
            ("0,4", [0, 4, 4.0], 2),
        ],
    )
    def test_labels_are_those_of_the_scale(self, spark, tmp_path, scale, ratings, positives):
        result = self.prepared(spark, tmp_path, ratings, rating_scale=scale)
        assert result["rows_written"]["train"] == result["rows_read"] == len(ratings)
        assert result["positive_share"] == round(positives / len(ratings), 4)

    def test_ratings_that_are_neither_are_left_out_after_merging_and_counted(self, spark, tmp_path):
        records = unusual_reviews(600)
        file = write_lines(tmp_path / "a.jsonl", records)
        options = ReviewOptions(negative_to=2)
        result = prepare_dataset(spark, [file], str(tmp_path / "dataset"), options, TextOptions(sequence_length=LENGTH))
        modes, unusable = plainly_prepared(records)
        left_out = [text for text, stars in modes.items() if 2 < stars < 4]
        assert result["rows_left_out"] == len(left_out) > 0
        written = rows_of(str(tmp_path / "dataset"))
        assert Counter(label for _, label in written) == Counter(
            int(stars >= 4) for text, stars in modes.items() if text not in left_out
        )
        assert (
            result["rows_read"]
            == 600
            == result["rows_quarantined"] + result["duplicates_merged"] + len(left_out) + len(written)
        )
        assert result["rows_quarantined"] == unusable.total()

    @pytest.mark.parametrize(
        ("options", "ratings", "words"),
        [
            ({}, [0, 1] * 5, r"Of 10, 5 are not: 0 \(5\)\. Try '--rating-scale 0-1'\."),
            ({}, [0] + [1] * 19, r"All 19 are negative on the scale 1-5 .* Try '--rating-scale 0-1'\."),
            ({}, [True, False], r"Try '--rating-scale 0-1'\."),
            ({}, [1, 2, 2], r"All 3 are negative .*; the ratings are 2 \(2\), 1 \(1\)\. Try '--rating-scale 1-2'\."),
            ({}, [-1, 1, 1], r"Try '--rating-scale=-1-1'\."),
            ({}, [1, 5, 8, 10], r"Of 4, 2 are not: 10 \(1\), 8 \(1\)\. Try '--rating-scale 1-10'\."),
            ({}, [1, 55, 100], r"Try '--rating-scale 0-100'\."),
            ({}, ["good", "bad"], r"Try '--rating-scale bad,good'\."),
            ({}, ["warm", "kalt"], r"List these words from negative to positive, .*: kalt, warm\."),
            ({}, [5] * 3, r"All 3 are positive .* Check the rating column"),
            ({}, [1, 2, 3, 4, 5] * 2 + [9, 9], r"Of 12, 2 are not: 9 \(2\)"),
            ({"rating_scale": "1-10"}, [1, 3, 5], r"Try '--rating-scale 1-5'\."),
            ({"rating_scale": "bad,good"}, [1, 5], r"Try '--rating-scale 1-5'\."),
            ({"negative_to": 2}, [3, 3.5], r"All 2 texts are neither\. Check '--negative-to'"),
            ({"positive_from": 6}, [1, 5], r"'--positive-from' must be a rating of the scale 1-5\. Got 6\."),
            ({"positive_from": 1}, [1, 5], r"'--positive-from' must be above the lowest rating"),
            ({"negative_to": 4}, [1, 5], r"'--negative-to' must be below the lowest positive rating \(4\)\. Got 4\."),
        ],
    )
    def test_ratings_off_the_scale_are_an_error_that_suggests_a_scale(self, spark, tmp_path, options, ratings, words):
        with pytest.raises((InputError, OptionError), match=words):
            self.prepared(spark, tmp_path, ratings, **options)
        assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]

    def test_a_training_split_of_one_class_is_an_error(self, spark, tmp_path):
        texts = [f"review {number} of these" for number in range(40)]
        array = pa.array(texts)
        options = ReviewOptions(test_share=0.5, validation_share=0)
        trains = split_codes(split_draws(tokenize(array), array), options) == 0
        ratings = [5 if one else 1 for one in trains]
        rows = rf"It holds 0 and {trains.sum()}\."
        with pytest.raises(InputError, match=r"training split must hold negative and positive reviews\. " + rows):
            self.prepared(spark, tmp_path, ratings, texts=texts, test_share=0.5)

    def test_rows_of_one_class_are_a_warning_with_an_earlier_vocabulary(self, spark, tmp_path, first, caplog):
        result = self.prepared(spark, tmp_path, [5, 4], vocabulary=first[1])
        assert sum(result["rows_written"].values()) == 2
        assert "All 2 are positive" in caplog.text


@pytest.fixture(scope="module")
def first(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reuse")
    file = write_lines(folder / "a.jsonl", unusual_reviews(300))
    return file, str(folder / "dataset"), prepared(spark, [file], folder / "dataset")


class TestReuse:
    """A finished dataset or an old vocabulary is reused."""

    def test_a_finished_dataset_of_the_same_files_and_options_is_reused(self, spark, first, caplog):
        file, dataset, result = first
        before = bytes_of(dataset)
        with caplog.at_level(logging.INFO, "sentispark"):
            again = prepared(spark, [file], dataset)
        assert (result["reused"], again["reused"]) == (False, True)
        assert f"{dataset} already holds the dataset of these files and options" in caplog.messages
        changing = {"seconds", "stage_seconds", "reused"}
        assert {k: v for k, v in again.items() if k not in changing} == {
            k: v for k, v in result.items() if k not in changing
        }
        assert bytes_of(dataset) == before

    @pytest.mark.parametrize("text", [TextOptions(sequence_length=LENGTH + 1), TextOptions(vocab_size=7)])
    def test_a_dataset_of_other_options_is_not_reused(self, spark, first, text):
        with pytest.raises(DatasetError, match="already exists"):
            prepared(spark, [first[0]], first[1], text=text)

    def test_a_dataset_of_other_or_changed_files_is_not_reused(self, spark, first, tmp_path):
        other = write_lines(tmp_path / "a.jsonl", unusual_reviews(300, seed=1))
        with pytest.raises(DatasetError, match="already exists"):
            prepared(spark, [other], first[1])
        prepared(spark, [other], tmp_path / "dataset")
        write_lines(Path(other), unusual_reviews(301, seed=1))
        with pytest.raises(DatasetError, match="already exists"):
            prepared(spark, [other], tmp_path / "dataset")

    def test_overwrite_replaces_a_finished_dataset(self, spark, first):
        assert prepared(spark, [first[0]], first[1], overwrite=True)["reused"] is False

    def test_new_reviews_are_encoded_with_the_old_vocabulary(self, spark, first, tmp_path):
        file = write_lines(tmp_path / "new.jsonl", [{"reviewText": "not good but unheardof", "overall": 5}])
        result = prepared(spark, [file], tmp_path / "dataset", text=TextOptions(), vocabulary=first[1])
        assert sum(result["rows_written"].values()) == 1
        old, new = open_dataset(first[1]), open_dataset(str(tmp_path / "dataset"))
        assert new.word_list == old.word_list
        assert new.manifest.text_options == old.manifest.text_options
        assert rows_of(str(tmp_path / "dataset")) == [(("not", "good", None, None), 1)]

    def test_an_option_other_than_the_old_dataset_s_is_an_error(self, spark, first, tmp_path):
        text = TextOptions(sequence_length=7)
        with pytest.raises(OptionError, match=rf"'--sequence-length' must be {LENGTH}, as in the dataset whose"):
            prepared(spark, [first[0]], tmp_path / "dataset", text=text, vocabulary=first[1])

    def test_the_dataset_of_a_vocabulary_must_exist(self, spark, first, tmp_path):
        with pytest.raises(DatasetError, match=r"must be a dataset\. Nothing is there\."):
            prepared(spark, [first[0]], tmp_path / "dataset", vocabulary=str(tmp_path / "none"))


# Runs at the start of the driver and of every worker.
KILLED = """
import os
from sentispark.files import Folder
write = Folder.write

def killed(folder, name, content):
    write(folder, name, content)
    if f"{folder.url}/{name}".endswith(os.environ["KILLED_AFTER"]):
        os.kill(int(open(os.environ["KILLED_PID_FILE"]).read()), 9)

Folder.write = killed
"""
PREPARE = """
import os, sys
open(os.environ["KILLED_PID_FILE"], "w").write(str(os.getpid()))
from sentispark import TextOptions, prepare_dataset
from sentispark.reviews import tasks
from sentispark.spark.session import get_spark
tasks._SMALLEST = 1000
prepare_dataset(get_spark(master="local[3]"), *sys.argv[1:], text=TextOptions(vocab_size=9, min_count=1))
"""


class TestContinuing:
    """A run given again after the driver was killed goes on from the passes that were finished."""

    STAGES = ("read, clean and merge", "count words", "encode and write")

    @pytest.mark.parametrize(
        ("last", "left"),
        [
            ("0000000/dropped.npy", 3),
            ("train/chunk-000000.parquet", 1),
        ],
    )
    def test_the_bytes_are_those_of_an_undisturbed_run(self, spark, tmp_path, caplog, monkeypatch, last, left):
        """The run that was killed read with three tasks, the others with two."""
        monkeypatch.setattr(tasks, "_SMALLEST", 1000)
        file = write_lines(tmp_path / "a.jsonl", unusual_reviews(300))
        text = TextOptions(vocab_size=9, min_count=1)
        prepared(spark, [file], tmp_path / "expected", text=text)
        out = tmp_path / "out"
        self.kill(file, out, last, tmp_path)
        assert [path.name.split("-")[0] for path in tmp_path.iterdir() if "draft" in path.name] == ["_out.draft"]
        with caplog.at_level(logging.INFO, "sentispark"):
            result = prepared(spark, [file], out, text=text)
        assert list(result["stage_seconds"]) == list(self.STAGES[3 - left :])
        assert ("by a run that was killed; this one continues it" in caplog.text) == (left < 3)
        assert bytes_of(out) == bytes_of(tmp_path / "expected")
        assert manifest_in(out) == manifest_in(tmp_path / "expected")
        assert unusable_in(out) == unusable_in(tmp_path / "expected")
        assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("_")]

    @staticmethod
    def kill(file, out, last, folder):
        """Prepare in a process of its own, which is killed once it, or a task, has written a file of some name."""
        (folder / "python").mkdir()
        (folder / "python" / "sitecustomize.py").write_text(KILLED)
        environ = {"PYTHONPATH": f"{folder}/python{os.pathsep}{Path(__file__).parents[2]}", "KILLED_AFTER": last}
        process = subprocess.run(
            [sys.executable, "-c", PREPARE, file, str(out)],
            env={**os.environ, **environ, "KILLED_PID_FILE": str(folder / "pid")},
            check=False,
            capture_output=True,
            text=True,
        )
        assert process.returncode == -9, process.stderr


@pytest.mark.parametrize(
    ("preset", "record", "lowest"),
    [
        ("amazon2014", {"reviewText": "good", "overall": 5.0}, 1),
        ("amazon2018", {"reviewText": "good", "overall": 5.0}, 1),
        ("amazon2023", {"text": "good", "rating": 5.0, "title": "x"}, 1),
        ("finefoods", {"Text": "good", "Score": 5}, 1),
        ("imdb", {"review": "good", "sentiment": "positive"}, "negative"),
        ("tripadvisor", {"Review": "good", "Rating": 5}, 1),
        ("yelp", {"text": "good", "stars": 5.0}, 1),
    ],
)
def test_a_preset_sets_the_fields_and_the_scale_of_its_release(spark, tmp_path, preset, record, lowest):
    options = ReviewOptions(preset=preset, validation_share=0, test_share=0)
    text, rating = options.columns
    file = write_lines(tmp_path / "a.jsonl", [record, {text: "bad", rating: lowest}])
    result = prepare_dataset(spark, [file], str(tmp_path / "dataset"), options, TextOptions())
    assert (result["rows_written"]["train"], result["positive_share"]) == (2, 0.5)


def test_given_fields_take_precedence_over_the_preset(spark, tmp_path):
    file = write_lines(tmp_path / "a.jsonl", [{"body": "good", "stars": 5.0}])
    assert ReviewOptions(preset="yelp", text_col="body").columns == ("body", "stars")
    with pytest.raises(InputError, match=r"must have a column 'text'\. Found body, stars\."):
        prepare_dataset(spark, [file], str(tmp_path / "dataset"), ReviewOptions(preset="yelp"), TextOptions())


@pytest.mark.endtoend
def test_files_and_dataset_may_be_on_s3(s3):
    records = unusual_reviews(100)
    fs = fsspec.filesystem("s3")
    for number in range(2):
        lines = "".join(json.dumps(record) + "\n" for record in records[number::2])
        fs.pipe(f"{s3}/reviews/{number}.jsonl.gz", gzip.compress(lines.encode()))
    command = [sys.executable, "-m", "sentispark", "prepare", f"{s3}/reviews", "--output", f"{s3}/dataset", "--quiet"]
    done = subprocess.run([*command, "--master", "local[2]"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    result = json.loads(done.stdout)
    assert result["rows_read"] == 100
    manifest = open_dataset(f"{s3}/dataset").manifest
    assert {split: manifest.rows(split) for split in result["rows_written"]} == result["rows_written"]
    assert {path.split("/")[2] for path in fs.find(f"{s3}/dataset")} >= {"_manifest.json", "vocabulary.json", "train"}


def test_functions_sent_to_tasks_do_not_grow_with_files_and_tasks(spark, tmp_path, monkeypatch):
    monkeypatch.setattr(tasks, "_SMALLEST", 1000)
    sizes = defaultdict(list)
    for files in (2, 16):
        folder = tmp_path / f"{files}"
        folder.mkdir()
        for number in range(files):
            write_lines(folder / f"{number}.jsonl", unusual_reviews(30, seed=number))
        with monkeypatch.context() as patch:
            function = type(spark.range(1)).mapInArrow

            def recorded(frame, run, *arguments, files=files, function=function, **named):
                sizes[files].append(len(cloudpickle.dumps(run)))
                return function(frame, run, *arguments, **named)

            patch.setattr(type(spark.range(1)), "mapInArrow", recorded)
            prepare_dataset(
                spark, [str(folder)], str(tmp_path / f"{files}-dataset"), ReviewOptions(), TextOptions(vocab_size=5)
            )
    assert all(abs(few - many) < 100 for few, many in zip(sizes[2], sizes[16], strict=True)), dict(sizes)


def test_replaced_characters_are_counted_and_the_likely_encoding_is_logged(spark, tmp_path, caplog):
    reviews = "".join(f"un café nº {number} très “bon”,{1 + number % 5}\n" for number in range(60))
    (tmp_path / "a.csv").write_bytes(f"text,stars\nplain,5\n{reviews}".encode("cp1252"))
    options = ReviewOptions(text_col="text", rating_col="stars", validation_share=0.0, test_share=0.0)
    with caplog.at_level(logging.WARNING):
        result = prepare_dataset(spark, f"{tmp_path}/a.csv", f"{tmp_path}/out-a", options, TextOptions(min_count=1))
    assert (result["rows_with_replaced"], result["characters_replaced"]) == (60, 60 * 5)
    assert "a.csv' looks like cp1252. Use --encoding cp1252." in caplog.text
    caplog.clear()
    options = dataclasses.replace(options, encoding="cp1252")
    result = prepare_dataset(spark, f"{tmp_path}/a.csv", f"{tmp_path}/out-b", options, TextOptions(min_count=1))
    assert (result["rows_with_replaced"], result["characters_replaced"], result["rows_read"]) == (0, 0, 61)
    assert "looks like" not in caplog.text


def test_a_release_without_a_header_and_with_another_scale(spark, tmp_path):
    rows = "".join(f'"{1 + number % 2}","title","text {number}\\nover ""two"" lines"\n' for number in range(40))
    (tmp_path / "train.csv").write_text(rows)
    options = ReviewOptions(preset="amazon_polarity", validation_share=0.0, test_share=0.0)
    result = prepare_dataset(spark, f"{tmp_path}/train.csv", f"{tmp_path}/out", options, TextOptions(min_count=1))
    assert (result["rows_read"], result["rows_quarantined"], result["positive_share"]) == (40, 0, 0.5)
    words = set(open_dataset(tmp_path / "out").word_list.words)
    assert {"over", "two", "lines"} <= words
    assert "nover" not in words
