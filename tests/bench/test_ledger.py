"""What the ledger says of rows that were taken once, twice or not at all."""

from __future__ import annotations

import collections

import numpy as np
import pytest
import torch

from sentispark.bench.ledger import Entry, RowLedger, committed, rows_of_dataset, wasted_steps
from sentispark.dataset.dataset import open_dataset
from sentispark.dataset.readers import ArrowReader
from sentispark.dataset.store import RowStore
from tests.helpers.toy import toy_rows, write_toy

STEPS = 2  # of an epoch


def entries(*lines):
    return [Entry(float(seconds), step, tuple(rows)) for seconds, step, rows in lines]


def test_of_a_step_that_was_taken_again_only_the_last_time_counts():
    found = entries(
        (1, 0, "ab"), (1, 0, "c"), (2, 1, "de"), (12, 1, "d"), (12, 1, "ef"), (13, 2, "abc"), (14, 3, "def")
    )
    rows = committed(found, [0.0, 10.0], STEPS)
    assert rows == {0: collections.Counter("abcdef"), 1: collections.Counter("abcdef")}
    assert wasted_steps(found, [0.0, 10.0]) == 1


def test_a_row_that_was_taken_twice_or_not_at_all_is_seen():
    found = committed(entries((1, 0, "ab"), (2, 1, "b")), [0.0], STEPS)
    assert found[0]["b"] == 2
    assert found[0]["c"] == 0


def test_rows_of_batches_and_of_the_dataset_have_the_same_hashes(tmp_path):
    path = write_toy(tmp_path / "toy", {"train": toy_rows(250, seed=1)})
    ledger = RowLedger(str(tmp_path))
    with RowStore(open_dataset(path), "train", ArrowReader()) as store:
        for step, rows in enumerate(np.array_split(np.random.default_rng(0).permutation(250), 5)):
            ledger(step, tuple(map(torch.from_numpy, store.take(rows))))
    (tmp_path / "99.jsonl").write_text('[1.0, 0, ["ab')  # of a process that was killed
    written = ledger.entries()
    assert [entry.step for entry in written] == [0, 1, 2, 3, 4]
    assert sum((collections.Counter(entry.rows) for entry in written), collections.Counter()) == rows_of_dataset(path)
    assert sum(rows_of_dataset(path).values()) == 250


@pytest.mark.parametrize("change", [{"label": 1}, {"ids": [2, 3]}, {"ids": [4, 3, 2]}])
def test_other_rows_have_other_hashes(tmp_path, change):
    row = toy_rows(1)[0]._replace(ids=[4, 2, 3], label=0)
    one = write_toy(tmp_path / "one", {"train": [row]})
    other = write_toy(tmp_path / "other", {"train": [row._replace(**change)]})
    assert rows_of_dataset(one) != rows_of_dataset(other)
