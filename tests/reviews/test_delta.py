"""Delta tables, compared with what deltalake reads, and logs made by hand."""

import json
import os
import sys
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import given
from hypothesis import strategies as st

from sentispark.errors import InputError, SetupError
from sentispark.reviews.delta import log_files
from sentispark.reviews.find import find_files
from sentispark.reviews.formats.table import format_of
from sentispark.reviews.parse import read_piece
from sentispark.reviews.pieces import Piece
from sentispark.reviews.records import Fields
from tests.helpers.delta import add, beginning, remove, write_log, write_review, write_sidecar

FIELDS = Fields("reviewText", "overall", ("shop",))


def rows_of(*paths):
    """(text, rating, shop) of all records, sorted."""
    files = dict.fromkeys(file for path in paths for file in find_files(str(path)))
    pieces = [Piece(file.path, format_of(file.path), 0, file.size, partition=file.partition) for file in files]
    batches = [batch for piece in pieces for batch in read_piece(piece, FIELDS)]
    return sorted((row["text"], row["stars"], *row["extra"]) for batch in batches for row in batch.to_pylist())


def texts_of(*paths):
    return [text for text, *_ in rows_of(*paths)]


def write(table, texts, *, mode="append", stars=5, shops=None, **named):
    columns = {"reviewText": texts, "overall": pa.array([stars] * len(texts), pa.int64())}
    write_deltalake(str(table), pa.table(columns | ({"shop": shops} if shops else {})), mode=mode, **named)


def live_uris(table):
    """The live files of a table according to deltalake."""
    return sorted(DeltaTable(str(table)).file_uris())


class TestTablesThatDeltalakeWrote:
    """Each kind of change, and what is live after it."""

    def test_appended_overwritten_and_deleted_rows(self, tmp_path):
        write(tmp_path / "t", ["a", "b"])
        write(tmp_path / "t", ["c"])
        assert texts_of(tmp_path / "t") == ["a", "b", "c"]
        DeltaTable(str(tmp_path / "t")).delete("reviewText = 'a'")
        assert texts_of(tmp_path / "t") == ["b", "c"]
        write(tmp_path / "t", ["d"], mode="overwrite")
        assert texts_of(tmp_path / "t") == ["d"]
        assert [file.path for file in find_files(str(tmp_path))] == live_uris(tmp_path / "t")

    def test_a_checkpoint_without_the_commits_before_it(self, tmp_path):
        for number in range(3):
            write(tmp_path, [f"review {number}"])
        DeltaTable(str(tmp_path)).create_checkpoint()
        write(tmp_path, ["later"])
        for version in range(3):
            (tmp_path / f"_delta_log/{version:020d}.json").unlink()
        assert texts_of(tmp_path) == ["later", "review 0", "review 1", "review 2"]

    def test_after_a_vacuum(self, tmp_path):
        write(tmp_path, ["a"])
        write(tmp_path, ["b"], mode="overwrite")
        DeltaTable(str(tmp_path)).vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
        assert texts_of(tmp_path) == ["b"]

    def test_values_of_partitions_come_from_the_log(self, tmp_path):
        shops = ["plain", "with space/and slash", "50%", "a=b", "é", None]
        write(tmp_path, [f"text {shop}" for shop in shops], shops=shops, partition_by=["shop"])
        assert rows_of(tmp_path) == sorted((f"text {shop}", "5", shop) for shop in shops)

    def test_ratings_may_be_a_partition(self, tmp_path):
        write(tmp_path, ["good"], stars=5, partition_by=["overall"])
        write(tmp_path, ["bad"], stars=1)
        assert rows_of(tmp_path) == [("bad", "1", None), ("good", "5", None)]

    def test_paths_inside_a_table_match_only_its_live_files(self, tmp_path):
        write(tmp_path / "t", ["a"], shops=["x"], partition_by=["shop"])
        write(tmp_path / "t", ["b"], shops=["y"])
        removed = find_files(str(tmp_path / "t"))
        write(tmp_path / "t", ["c", "d"], shops=["x", "y"], mode="overwrite")
        for named in ("t/*/*.parquet", "t/shop=*", "t/*", "t/**", "t/shop={x,y}", "*"):
            assert rows_of(tmp_path / named) == [("c", "5", "x"), ("d", "5", "y")], named
        assert rows_of(tmp_path / "t/shop=x") == [("c", "5", "x")]
        live = next(file for file in find_files(str(tmp_path / "t")) if "shop=x" in file.path)
        assert rows_of(live.path) == [("c", "5", "x")]
        with pytest.raises(InputError, match="All its files are hidden or were removed from a Delta table"):
            find_files(removed[0].path)

    def test_links_to_a_table_and_to_its_files(self, tmp_path):
        write(tmp_path / "t", ["a"])
        old = live_uris(tmp_path / "t")[0]
        write(tmp_path / "t", ["b"], mode="overwrite")
        (tmp_path / "table").symlink_to("t")
        (tmp_path / "old.parquet").symlink_to(old)
        (tmp_path / "new.parquet").symlink_to(live_uris(tmp_path / "t")[0])
        assert texts_of(tmp_path / "table") == texts_of(tmp_path / "table/*.parquet") == ["b"]
        assert texts_of(tmp_path / "new.parquet") == texts_of(tmp_path) == ["b"]
        with pytest.raises(InputError, match="or were removed from a Delta table"):
            find_files(str(tmp_path / "old.parquet"))

    def test_on_s3(self, s3, tmp_path):
        options = {
            "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
            "AWS_ALLOW_HTTP": "true",
            "AWS_S3_ALLOW_UNSAFE_RENAME": "true",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_REGION": "us-east-1",
        }
        table = f"{s3}/some tables/t"
        write(table, ["a"], shops=["x y"], partition_by=["shop"], storage_options=options)
        DeltaTable(table, storage_options=options).create_checkpoint()
        write(table, ["b"], shops=["x y"], mode="overwrite", storage_options=options)
        assert rows_of(table) == rows_of(table.replace("s3:", "s3a:")) == [("b", "5", "x y")]
        assert rows_of(f"{table}/*/*.parquet") == [("b", "5", "x y")]
        clone = write_log(tmp_path / "clone", (0, [*beginning(), add(quote(find_files(table)[0].path, safe=":/"))]))
        assert texts_of(clone) == ["b"]


class TestLogsMadeByHand:
    """Features of other writers."""

    def test_a_multi_part_checkpoint(self, tmp_path):
        write_log(tmp_path, (0, [*beginning(), add("a.parquet")]), (1, [add("b.parquet")]))
        DeltaTable(str(tmp_path)).create_checkpoint()
        one = tmp_path / f"_delta_log/{1:020d}.checkpoint.parquet"
        actions = pq.read_table(one)
        one.unlink()
        parts = [one.with_name(f"{1:020d}.checkpoint.{part:010d}.{2:010d}.parquet") for part in (1, 2)]
        pq.write_table(actions.slice(0, 2), parts[0])
        pq.write_table(actions.slice(2), parts[1])
        for version in (0, 1):
            (tmp_path / f"_delta_log/{version:020d}.json").unlink()
        write_log(tmp_path, (2, [*beginning(), add("c.parquet")]))
        assert texts_of(tmp_path) == ["a.parquet", "b.parquet", "c.parquet"]
        parts[1].unlink()
        with pytest.raises(
            InputError, match=r"must hold a complete checkpoint and every commit .* Version 0 is missing\."
        ):
            find_files(str(tmp_path))

    @pytest.mark.parametrize("kind", ["json", "parquet"])
    def test_a_checkpoint_of_sidecars(self, tmp_path, kind):
        for name in ("a", "b", "c", "never"):
            write_review(tmp_path / f"{name}.parquet")
        log = tmp_path / "_delta_log"
        parts = [
            write_sidecar(log / f"_sidecars/{name}.parquet", files)
            for name, files in (("one", ["a.parquet", "b.parquet"]), ("two", ["c.parquet"]))
        ]
        first = beginning("v2Checkpoint")
        if kind == "json":
            checkpoint = log / f"{0:020d}.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json"
            checkpoint.write_text("\n".join(map(json.dumps, [{"checkpointMetadata": {"version": 0}}, *first, *parts])))
        else:
            write_log(tmp_path, (0, first))
            DeltaTable(str(tmp_path)).create_checkpoint()
            checkpoint = next(log.glob("*.parquet"))
            whole = pq.read_table(checkpoint)
            schema = pa.schema([field for field in whole.schema if field.name != "sidecar"])
            schema = schema.append(pa.Table.from_pylist(parts).schema.field("sidecar"))
            pq.write_table(pa.Table.from_pylist([*whole.to_pylist(), *parts], schema), checkpoint)
            (log / f"{0:020d}.json").unlink()
        assert texts_of(tmp_path) == ["a.parquet", "b.parquet", "c.parquet"]
        write_log(tmp_path, (1, [remove("a.parquet")]))
        assert texts_of(tmp_path) == ["b.parquet", "c.parquet"]
        (log / "_sidecars/two.parquet").unlink()
        with pytest.raises(InputError, match=r"_sidecars/two\.parquet' is missing\."):
            find_files(str(tmp_path))

    def test_live_files_outside_the_table_folder_are_read(self, tmp_path):
        elsewhere = [write_review(tmp_path / f"source/{name}.parquet", name) for name in ("x y", "z", "w", "v")]
        paths = [
            elsewhere[0].as_uri(),
            f"file:{elsewhere[1]}",
            str(elsewhere[2]),
            "../source/v.parquet",
        ]
        clone = write_log(tmp_path / "clone", (0, [*beginning(), *map(add, paths), add("own.parquet")]))
        assert texts_of(clone) == ["own.parquet", "v", "w", "x y", "z"]
        assert texts_of(clone, tmp_path / "source") == ["own.parquet", "v", "w", "x y", "z"]

    @pytest.mark.parametrize("path", ["gone.parquet", "p=1/gone.parquet", "file:///nowhere/gone.parquet"])
    def test_a_missing_live_file_is_an_error(self, tmp_path, path):
        write_log(tmp_path, (0, [*beginning(), add("a.parquet"), add(path)]))
        (tmp_path / "gone.parquet").unlink(missing_ok=True)
        with pytest.raises(InputError, match=r"every file that its log names\. '.*gone\.parquet' is missing\."):
            find_files(str(tmp_path))

    def test_live_files_may_have_names_that_hide_other_files(self, tmp_path):
        write_log(tmp_path, (0, [*beginning(), add("_hidden/a.parquet"), add(".b.parquet")]))
        write_review(tmp_path / "_hidden/a.parquet")
        assert texts_of(tmp_path) == [".b.parquet", "a.parquet"]

    @pytest.mark.parametrize(
        ("first", "sentence"),
        [
            ([*beginning("typeWidening")], r"must be readable as plain Parquet\. It uses typeWidening\."),
            ([*beginning("variantType", "deletionVectors")], r"It uses variantType\."),
            ([*beginning("vacuumProtocolCheck")], r"It uses vacuumProtocolCheck\."),
            ([*beginning("somethingNew")], r"log cannot be read: .*somethingNew"),
            (
                [*beginning("columnMapping", **{"delta.columnMapping.mode": "name"})],
                "is a Delta table whose log cannot",
            ),
            ([{"protocol": {"minReaderVersion": 9, "minWriterVersion": 9}}, beginning()[1]], "log cannot be read: .*9"),
            ([], "log cannot be read: "),
        ],
    )
    def test_unsupported_table_features_are_an_error(self, tmp_path, first, sentence):
        write_log(tmp_path, (0, [*first, add("a.parquet")]))
        with pytest.raises(InputError, match=sentence) as caught:
            find_files(str(tmp_path / "a.parquet"))
        assert str(caught.value).endswith("Read it with Spark and write it as Parquet first.")

    def test_mapped_columns_are_an_error(self, tmp_path):
        first = beginning("columnMapping", **{"delta.columnMapping.mode": "name"})
        schema = json.loads(first[1]["metaData"]["schemaString"])
        for number, field in enumerate(schema["fields"], 1):
            field["metadata"] = {"delta.columnMapping.id": number, "delta.columnMapping.physicalName": f"col-{number}"}
        first[1]["metaData"]["schemaString"] = json.dumps(schema)
        write_log(tmp_path, (0, [*first, add("a.parquet")]))
        with pytest.raises(InputError, match=r"must use the column names of its files\. It maps them to other names\."):
            find_files(str(tmp_path))

    @pytest.mark.parametrize("kind", ["u", "i", "p"])
    def test_deletion_vectors_are_an_error_but_not_the_feature_alone(self, tmp_path, kind):
        vector = {
            "storageType": kind,
            "pathOrInlineDv": {
                "u": "ab^-aqEH.-t@S}K{vb[*k^",
                "i": "wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L",
                "p": "file:///nowhere/vector.bin",
            }[kind],
            "offset": 4,
            "sizeInBytes": 40,
            "cardinality": 6,
        }
        features = ("deletionVectors", "timestampNtz", "columnMapping")
        first = beginning(*features, **{"delta.enableDeletionVectors": "true"})
        write_log(tmp_path, (0, [*first, add("a.parquet")]))
        assert texts_of(tmp_path) == ["a.parquet"]
        write_log(tmp_path, (1, [remove("a.parquet"), add("a.parquet", deletionVector=vector)]))
        with pytest.raises(InputError, match=r"must not have deletion vectors\. It has some, so its files contain"):
            find_files(str(tmp_path))

    def test_a_table_without_rows_has_no_files(self, tmp_path):
        write_log(tmp_path, (0, [*beginning(), add("a.parquet")]), (1, [remove("a.parquet")]))
        with pytest.raises(InputError, match=r"All its files are hidden or were removed from a Delta table\.$"):
            find_files(str(tmp_path))

    def test_a_missing_deltalake_is_an_error_that_names_the_extra(self, tmp_path, monkeypatch):
        write_log(tmp_path, (0, [*beginning(), add("a.parquet")]))
        monkeypatch.setitem(sys.modules, "deltalake", None)
        with pytest.raises(SetupError, match=r"Install it: pip install 'sentispark\[delta\]'\.$"):
            find_files(str(tmp_path / "*.parquet"))


def expected_of(present):
    """The newest version and whether the log is complete, going backwards from the newest version."""
    complete = {version for version, parts in present["checkpoints"].items() if parts == {1, 2}}
    newest = max([*present["commits"], *(version for version, parts in present["checkpoints"].items() if parts)])
    version = newest
    while version not in complete and version in present["commits"]:
        version -= 1
    return newest, version in complete or version == -1


@given(
    st.fixed_dictionaries(
        {
            "commits": st.sets(st.integers(0, 5)),
            "checkpoints": st.dictionaries(st.integers(0, 5), st.sets(st.integers(1, 2)), max_size=3),
        }
    ).filter(lambda present: present["commits"] or any(present["checkpoints"].values()))
)
def test_a_log_is_complete_if_commits_lead_from_a_checkpoint_or_the_beginning_to_the_newest_version(present):
    names = [f"{version:020d}.json" for version in present["commits"]]
    names += [
        f"{version:020d}.checkpoint.{part:010d}.{2:010d}.parquet"
        for version, parts in present["checkpoints"].items()
        for part in parts
    ]
    newest, is_complete = expected_of(present)
    names += ["_last_checkpoint", f"{newest:020d}.crc", f"{0:020d}.{newest:020d}.compacted.json"]
    if is_complete:
        checkpoint, commits, version = log_files(names, "t")
        assert version == newest
        assert len(checkpoint) in (0, 2)
        start = int(checkpoint[0][:20]) if checkpoint else -1
        assert [int(name[:20]) for name in commits] == list(range(start + 1, newest + 1))
    else:
        with pytest.raises(InputError, match="must hold a complete checkpoint and every commit after it"):
            log_files(names, "t")
