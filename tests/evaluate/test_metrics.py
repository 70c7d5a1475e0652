"""Measures from tallies are those of scikit-learn, and tallies add up."""

import itertools
import json
import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from sentispark.errors import InputError
from sentispark.evaluate.metrics import BINS, Tally, measures, tally

quick = settings(max_examples=100, deadline=None, derandomize=True)


def rows_of(logits):
    """Lists of (logit, label)."""
    return st.lists(st.tuples(logits, st.integers(0, 1)), min_size=1, max_size=60)


any_logit = st.floats(-1e4, 1e4) | st.floats(-1e-9, 1e-9) | st.sampled_from([0.0, -0.0, 5e-324, -16.0, 16.0])
separated_logit = st.sampled_from([-20.0, -3.0, -0.5, 0.0, 0.25, 2.0, 15.0])


def split(rows):
    logits, labels = zip(*rows, strict=True) if rows else ((), ())
    return np.array(logits, float), np.array(labels, int)


@quick
@given(rows_of(any_logit))
def test_measures_are_those_of_scikit_learn(rows):
    logits, labels = split(rows)
    predicted = (logits > 0).astype(int)
    found = measures(tally(logits, labels))
    negative, positive = sk.f1_score(labels, predicted, labels=[0, 1], average=None, zero_division=0)
    assert found["rows"] == len(rows)
    assert found["confusion"] == sk.confusion_matrix(labels, predicted, labels=[0, 1]).tolist()
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(labels, predicted), abs=1e-12)
    assert found["majority_accuracy"] == pytest.approx(max(labels.mean(), 1 - labels.mean()), abs=1e-12)
    assert found["f1"]["negative"] == pytest.approx(negative, abs=1e-12)
    assert found["f1"]["positive"] == pytest.approx(positive, abs=1e-12)
    assert found["f1"]["macro"] == pytest.approx((negative + positive) / 2, abs=1e-12)
    if len(set(labels)) == 2:
        assert found["balanced_accuracy"] == pytest.approx(sk.balanced_accuracy_score(labels, predicted), abs=1e-12)


@quick
@given(rows_of(st.floats(-30, 30)))
def test_log_loss_is_that_of_scikit_learn(rows):
    logits, labels = split(rows)
    expected = sk.log_loss(labels, 1 / (1 + np.exp(-logits)), labels=[0, 1])
    assert measures(tally(logits, labels))["log_loss"] == pytest.approx(expected, rel=1e-3, abs=1e-12)


@quick
@given(rows_of(separated_logit))
def test_roc_auc_of_well_separated_logits_is_exact(rows):
    logits, labels = split(rows)
    assume(len(set(labels)) == 2)
    assert measures(tally(logits, labels))["roc_auc"] == pytest.approx(sk.roc_auc_score(labels, logits), abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 1.0, 4.0])
def test_roc_auc_of_continuous_logits_is_within_1e_4(shift):
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 20_000)
    logits = generator.normal(shift * labels, 2.0)
    assert measures(tally(logits, labels))["roc_auc"] == pytest.approx(sk.roc_auc_score(labels, logits), abs=1e-4)


@quick
@given(rows_of(any_logit))
def test_roc_auc_errs_by_at_most_half_the_share_of_pairs_in_one_bin(rows):
    logits, labels = split(rows)
    assume(len(set(labels)) == 2)
    counted = tally(logits, labels)
    tied_pairs = int((counted.counts[0] * counted.counts[1]).sum())
    bound = tied_pairs / counted.counts[0].sum() / counted.counts[1].sum() / 2
    assert abs(measures(counted)["roc_auc"] - sk.roc_auc_score(labels, logits)) <= bound + 1e-12


@quick
@given(rows_of(any_logit), rows_of(any_logit), rows_of(any_logit))
def test_tallies_of_parts_add_up_to_the_tally_of_the_whole_in_any_order_and_grouping(one, two, three):
    parts = one, two, three
    whole = tally(*split(list(itertools.chain(*parts))))
    a, b, c = (tally(*split(part)) for part in parts)
    for total in (a + b + c, a + (b + c), c + a + b, sum((b, c, a), Tally.empty())):
        assert np.array_equal(total.counts, whole.counts)
        assert np.array_equal(total.predicted, whole.predicted)
        assert total.log_loss_sum == pytest.approx(whole.log_loss_sum, rel=1e-12)
    assert (a + b).log_loss_sum == (b + a).log_loss_sum


@quick
@given(rows_of(any_logit), rows_of(any_logit))
def test_arrays_add_up_as_tallies_do(left, right):
    a, b = tally(*split(left)), tally(*split(right))
    total = Tally.from_array(a.to_array() + b.to_array())
    assert total.counts.dtype == np.int64
    assert np.array_equal(total.counts, (a + b).counts)
    assert total.log_loss_sum == (a + b).log_loss_sum


@quick
@given(rows_of(any_logit), st.floats())
def test_predictions_are_those_of_the_threshold(rows, threshold):
    assume(threshold == threshold)
    logits, labels = split(rows)
    predicted = [logit > threshold for logit in logits]
    expected = [
        [
            sum(label == truth and one == answer for label, one in zip(labels, predicted, strict=True))
            for answer in (0, 1)
        ]
        for truth in (0, 1)
    ]
    found = measures(tally(logits, labels, threshold_logit=threshold))
    assert found["confusion"] == expected
    usual = measures(tally(logits, labels))
    assert (found["roc_auc"], found["log_loss"]) == (usual["roc_auc"], usual["log_loss"])


def test_arrays_hold_large_counts_exactly():
    counts = np.zeros((2, BINS), np.int64)
    counts[0, 0], counts[1, -1] = 2**53, 2**53 - 1
    back = Tally.from_array(Tally(counts, np.array([3, 2**52]), 0.5).to_array())
    assert np.array_equal(back.counts, counts)
    assert back.predicted.tolist() == [3, 2**52]
    assert back.log_loss_sum == 0.5


def test_without_rows_all_measures_are_undefined():
    undefined = {"negative": None, "positive": None, "macro": None}
    for empty in (Tally.empty(), tally([], [])):
        assert measures(empty) == {
            "rows": 0,
            "accuracy": None,
            "majority_accuracy": None,
            "balanced_accuracy": None,
            "f1": undefined,
            "roc_auc": None,
            "missing_class": None,
            "log_loss": None,
            "confusion": [[0, 0], [0, 0]],
        }


def test_rows_of_one_class_have_no_roc_auc_and_no_balanced_accuracy():
    assert measures(tally([2.0, 1.0, -1.0, 3.0], [1, 1, 1, 1])) == {
        "rows": 4,
        "accuracy": 0.75,
        "majority_accuracy": 1.0,
        "balanced_accuracy": None,
        "f1": {"negative": 0.0, "positive": pytest.approx(6 / 7), "macro": pytest.approx(3 / 7)},
        "roc_auc": None,
        "missing_class": "negative",
        "log_loss": pytest.approx(sum(math.log1p(math.exp(-x)) for x in (2, 1, -1, 3)) / 4),
        "confusion": [[0, 0], [1, 3]],
    }


def test_the_class_that_is_missing_is_the_one_without_rows():
    assert [measures(tally([1.0] * len(labels), labels))["missing_class"] for labels in ([0], [1], [0, 1])] == [
        "positive",
        "negative",
        None,
    ]


def test_a_probability_of_one_half_is_a_negative_prediction():
    smallest = np.nextafter(0.0, 1.0)
    assert measures(tally([0.0, -0.0, smallest, -smallest], [0, 1, 1, 0]))["confusion"] == [[2, 0], [1, 1]]


def test_extreme_logits_do_not_overflow():
    with np.errstate(all="raise", under="ignore"):
        found = measures(tally(np.array([1e4, -1e4, 1e4, -1e4], np.float32), [1, 0, 0, 1]))
    assert found["log_loss"] == 5_000.0
    assert found["roc_auc"] == 0.5
    assert found["confusion"] == [[1, 1], [1, 1]]


@quick
@given(rows_of(any_logit))
def test_measures_are_ready_for_json(rows):
    found = measures(tally(*split(rows)))
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_labels_may_be_of_any_number_type():
    expected = tally([1.0, -1.0], [1, 0]).to_array()
    for kind in (np.int8, np.float64, bool):
        assert np.array_equal(tally([1.0, -1.0], np.array([1, 0], kind)).to_array(), expected)


def test_invalid_logits_and_labels_are_refused():
    with pytest.raises(InputError, match=r"'logits' must be finite numbers\. Got 2 of 3 that are not\."):
        tally([1.0, math.nan, math.inf], [0, 1, 1])
    with pytest.raises(InputError, match=r"'labels' must be 0 or 1\. Got 5\."):
        tally([1.0, 2.0], [1, 5])
    with pytest.raises(InputError, match=r"the same shape \(n,\)\. Got \(2,\) and \(3,\)\."):
        tally([1.0, 2.0], [1, 0, 1])
