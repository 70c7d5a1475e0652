"""Rows of a DataFrame → a dataset that ranks can read."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark import StorageLevel
from pyspark.sql import DataFrame, Row
from pyspark.sql import functions as F

from sentispark.dataset.dataset import Dataset, open_dataset
from sentispark.dataset.manifest import FORMAT_VERSION, SPLITS
from sentispark.dataset.write import ChunkPlan, pack_tokens, packed_rows, rows_per_chunk_of, write_dataset
from sentispark.errors import InputError
from sentispark.files import Folder
from sentispark.ml.cache import cached, new_entry
from sentispark.ml.inference import LARGEST_ID, known_ids
from sentispark.ml.options import LONGEST_SEQUENCE
from sentispark.spark.arrow import map_batches
from sentispark.spark.causes import collected
from sentispark.spark.exchange import PACKED
from sentispark.spark.params import quoted
from sentispark.text.kernels import strip_padding

__all__ = ["materialize"]

TRAIN, VALIDATION = map(SPLITS.index, ("train", "validation"))

_SCHEMA = "split int, order long, tokens binary, label int, weight double, largest long, steps long"


def materialize(
    dataset: DataFrame,
    cache: Folder,
    *,
    features_col: str,
    label_col: str,
    weight_col: str | None,
    validation_col: str | None,
    validation_fraction: float,
    seed: int,
    max_sequence_length: int | None = None,
) -> Dataset:
    """Sequences and labels as a dataset with the splits train and validation, written unless the cache has it.

    Parameters
    ----------
    dataset : DataFrame
    cache : Folder
        The folder of such datasets, named by a hash of their rows.
    features_col, label_col : str
        Arrays of token ids, and labels 0 and 1 of any numeric type.
    weight_col : str, optional
        Finite weights of at least 0.
    validation_col : str, optional
        A boolean column that is true for validation rows.
    validation_fraction : float
        Without such a column: the share of the sequences, chosen by their hash, that are used for validation.
    seed : int
        Seed of the order of the rows.
    max_sequence_length : int, optional
        Longer rows are cut at the end; None for the length of the longest row, up to `LONGEST_SEQUENCE`.

    Raises
    ------
    InputError
        If a label is not 0 or 1, a weight is negative, infinite or missing, a token id is out of range, a row is too
        long, or there are no rows.
    """
    features = F.col(quoted(features_col)).cast("array<bigint>")
    if max_sequence_length is not None:
        features = F.slice(features, 1, max_sequence_length)
    if validation_col:
        validates = F.coalesce(F.col(quoted(validation_col)).cast("boolean"), F.lit(False))
    else:
        share = F.pmod(F.xxhash64(F.lit("validation"), features), F.lit(1_000_000)) / 1_000_000
        validates = share < validation_fraction
    selected = dataset.select(
        F.when(validates, VALIDATION).otherwise(TRAIN).alias("split"),
        F.xxhash64(F.lit(seed), features).alias("order"),
        features.alias("sequence"),
        F.expr(f"try_cast({quoted(label_col)} AS double)").alias("label"),
        (F.expr(f"try_cast({quoted(weight_col)} AS double)") if weight_col else F.lit(1.0)).alias("weight"),
    )
    rows = map_batches(selected, _packed, _SCHEMA).persist(StorageLevel.MEMORY_AND_DISK)
    try:
        found = collected(
            rows.groupBy("split").agg(
                F.count("*").alias("rows"),
                F.sum(F.coalesce(F.col("label"), F.lit(-1)).isin(0, 1).cast("int")).alias("labeled"),
                F.sum(((F.col("weight") >= 0) & (F.col("weight") < math.inf)).cast("int")).alias("weighed"),
                F.sum("weight").alias("weight"),
                F.max("largest").alias("largest"),
                F.min("largest").alias("smallest"),
                F.max("steps").alias("steps"),
                # Decimal, so that a sum of 64-bit hashes does not overflow; it does not depend on the order of rows.
                F.sum(F.xxhash64("order", "tokens", "label", "weight").cast("decimal(20)")).alias("content"),
            )
        )
        if wrong := sum(row.rows - row.labeled for row in found):
            shown = ", ".join(_other_labels(dataset, label_col))
            raise InputError(f"Column '{label_col}' must hold 0 or 1. {wrong} rows hold something else: {shown}.")
        _check(found, weight_col=weight_col, features_col=features_col, shortened=max_sequence_length is not None)
        weighted = weight_col is not None
        name = _name(found, weighted=weighted)
        return cached(cache, name) or _write(rows, found, cache, name, weighted=weighted)
    finally:
        rows.unpersist()


def _other_labels(dataset: DataFrame, label_col: str, limit: int = 5) -> list[str]:
    """Some of the labels that are not 0 or 1."""
    good = F.expr(f"coalesce(try_cast({quoted(label_col)} AS double) IN (0, 1), false)")
    rows = collected(dataset.filter(~good).select(quoted(label_col)).distinct().limit(limit))
    return sorted("null" if row[0] is None else str(row[0]) for row in rows)


def _name(found: list[Row], *, weighted: bool) -> str:
    """A name that two sets of rows share only if their datasets are equal."""
    splits = sorted((row.split, row.rows, int(row.content), row.largest, row.steps) for row in found)
    return hashlib.sha256(json.dumps([FORMAT_VERSION, weighted, splits]).encode()).hexdigest()[:16]


def _write(rows: DataFrame, found: list[Row], cache: Folder, name: str, *, weighted: bool) -> Dataset:
    sequence_length = max(1, max(row.steps for row in found))
    rows_per_chunk = rows_per_chunk_of(sequence_length)
    plan = ChunkPlan({SPLITS[row.split]: row.rows for row in found}, rows_per_chunk=rows_per_chunk)
    columns = ["split", "order", "tokens", "label", *(["weight"] if weighted else [])]
    with new_entry(cache, name) as folder:
        write_dataset(
            map_batches(rows.select(*columns), functools.partial(packed_rows, plan=plan), PACKED),
            folder,
            plan,
            weighted=weighted,
            sequence_length=sequence_length,
            vocabulary_size=max(2, 1 + max(row.largest for row in found)),
        )
    return open_dataset(Folder(folder.url))


def _check(found: list[Row], *, weight_col: str | None, features_col: str, shortened: bool) -> None:
    if not sum(row.rows for row in found if row.split == TRAIN):
        raise InputError("Training needs at least one row that is not used for validation. There is none.")
    unweighed = sum(row.rows - (row.weighed or 0) for row in found)
    if unweighed:
        raise InputError(f"Column '{weight_col}' must hold finite numbers of at least 0. {unweighed} rows do not.")
    if not sum(row.weight for row in found if row.split == TRAIN):
        raise InputError(f"Column '{weight_col}' must not be 0 in all training rows. It is.")
    if min(row.smallest for row in found) < 0:
        raise InputError(
            f"Column '{features_col}' must hold token ids from 0 to {LARGEST_ID}, as each has a word vector. "
            "It does not. Encode texts with ReviewEncoder."
        )
    longest = max(row.steps for row in found)
    if longest > LONGEST_SEQUENCE and not shortened:
        raise InputError(
            f"Column '{features_col}' must hold at most {LONGEST_SEQUENCE} token ids a row, as all rows are padded to "
            f"the longest. One has {longest}. Set 'maxSequenceLength' to cut longer rows."
        )


def _packed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Packed sequences without padding, their lengths and largest ids, -1 in batches with an id out of range."""
    for batch in batches:
        lists = batch.column("sequence")
        ids = lists.flatten().drop_null()
        steps = pc.list_value_length(lists).fill_null(0)
        valid = strip_padding(known_ids(lists, LARGEST_ID + 1))
        largest = _largest(valid)
        if len(ids) and not 0 <= pc.min(ids).as_py() <= pc.max(ids).as_py() <= LARGEST_ID:
            largest[:] = -1
        label = batch.column("label")
        whole = pc.if_else(pc.is_in(label, pa.array([0.0, 1.0])), label, pa.scalar(-1.0)).cast(pa.int32())
        yield pa.RecordBatch.from_arrays(
            [
                batch.column("split"),
                batch.column("order"),
                pack_tokens(valid, "int32"),
                whole,
                batch.column("weight"),
                pa.array(largest),
                steps.cast(pa.int64()),
            ],
            names=["split", "order", "tokens", "label", "weight", "largest", "steps"],
        )


def _largest(ids: pa.ListArray) -> np.ndarray:
    """The largest id of each list, 0 for an empty one, int64 of shape (n,)."""
    offsets = ids.offsets.to_numpy()
    largest, filled = np.zeros(len(ids), np.int64), np.diff(offsets) > 0
    if filled.any():
        largest[filled] = np.maximum.reduceat(ids.values.to_numpy(), offsets[:-1][filled])
    return largest
