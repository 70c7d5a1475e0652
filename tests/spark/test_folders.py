"""Paths as Spark resolves them, and back."""

import os

import pytest

from sentispark.errors import InputError, SetupError
from sentispark.files import Folder
from sentispark.spark.folders import spark_folder, spark_folders, spark_path


@pytest.fixture
def hadoop(spark):
    """A way to set Hadoop's settings for one test."""
    settings, before = spark.sparkContext._jsc.hadoopConfiguration(), {}

    def change(**values):
        for name, value in values.items():
            name = name.replace("__", ".")
            before.setdefault(name, settings.get(name))
            settings.set(name, value)

    yield change
    for name, value in before.items():
        settings.unset(name) if value is None else settings.set(name, value)


@pytest.mark.modern
@pytest.mark.parametrize("name", ["reviews_10:30.jsonl", "a::b", "c:d/e", "100%", "modèle", "[x]", "a b", "{}"])
def test_local_names_may_contain_characters_with_a_meaning_in_urls(spark, tmp_path, name):
    absolute, relative = spark_folders([f"{tmp_path}/{name}", name])
    assert absolute.url == spark_folder(f"file:{tmp_path}/{name}").url == f"{tmp_path}/{name}"
    assert relative.url == f"{spark_folder('.').url.removesuffix('/.')}/{name}"


def test_a_path_that_java_cannot_represent_is_refused(spark, tmp_path):
    system = spark.sparkContext._jvm.java.lang.System
    assert spark_path(Folder(f"{tmp_path}/modèle")) == f"file:{tmp_path}/modèle"
    before = system.setProperty("sun.jnu.encoding", "ANSI_X3.4-1968")  # as in a JVM that was started with LC_ALL=C
    try:
        assert spark_path(Folder(f"{tmp_path}/model")) == f"file:{tmp_path}/model"
        with pytest.raises(
            SetupError, match=r"modèle' must be a path that Spark's Java can represent.*LC_ALL=C\.UTF-8"
        ):
            spark_path(Folder(f"{tmp_path}/modèle"))
    finally:
        system.setProperty("sun.jnu.encoding", before)
    with pytest.raises(
        SetupError, match=r"caf\?' must be a path that Spark's Java can represent.*cannot\. Rename it\.$"
    ):
        spark_path(Folder(f"{tmp_path}/" + os.fsdecode(b"caf\xe9")))


@pytest.mark.parametrize("path", ["", " ", "file:"])
def test_an_empty_path_is_refused(spark, path):
    with pytest.raises(InputError, match="A path must name a file or a folder"):
        spark_folder(path)


def test_the_parent_of_a_link_is_the_parent_of_its_target(spark, tmp_path):
    (tmp_path / "disk" / "deep").mkdir(parents=True)
    (tmp_path / "link").symlink_to("disk/deep")
    assert spark_folder(f"{tmp_path}/link/../out").url == f"{tmp_path}/disk/out"
    assert spark_folder(f"{tmp_path}/link/out").url == f"{tmp_path}/link/out"


def test_an_unknown_scheme_is_refused_only_when_it_is_used(spark):
    folder = spark_folder("foo://bucket/x")
    with pytest.raises(SetupError, match=r"^'foo://bucket/x' is on a file system that cannot be reached .*foo"):
        folder.exists()


def test_a_local_path_keeps_its_scheme_where_another_file_system_is_the_default(spark, hadoop, tmp_path):
    hadoop(fs__defaultFS="viewfs://cluster/", **{"fs__viewfs__mounttable__cluster__link__/data": tmp_path.as_uri()})
    assert spark_folder("/data/x:y").url == "viewfs://cluster/data/x:y"
    assert spark_folder("x").url.startswith("viewfs://cluster/user/")
    for path in (f"file:{tmp_path}/out", f"file://{tmp_path}/out"):
        assert spark_folder(path).url == f"{tmp_path}/out"
    spark.range(3).write.parquet(spark_path(spark_folder(f"file:{tmp_path}/out")))
    assert (tmp_path / "out" / "_SUCCESS").exists()
    assert spark.read.parquet(spark_path(Folder(f"{tmp_path}/out"))).count() == 3


@pytest.mark.parametrize("scheme", ["s3", "s3a", "s3n"])
def test_a_path_on_s3_gets_the_scheme_that_hadoop_knows(spark, hadoop, scheme):
    with pytest.raises(SetupError, match=rf"^'{scheme}://b/x' is .* Spark does not support: .*hadoop-aws"):
        spark_path(Folder(f"{scheme}://b/x"))
    hadoop(fs__s3a__impl="org.apache.hadoop.fs.http.HttpFileSystem")
    assert spark_path(Folder(f"{scheme}://b/x")) == "s3a://b/x"
