"""`threshold` and `thresholds` compared with those of Spark's LogisticRegression, which mean the same."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyspark.ml.classification import LogisticRegression

from sentispark import LSTMClassifier
from sentispark.errors import OptionError

pytestmark = pytest.mark.modern


def sentence(function, *arguments):
    with pytest.raises(OptionError) as caught:
        function(*arguments)
    return str(caught.value)


@pytest.mark.usefixtures("spark")
class TestComparedWithLogisticRegression:
    """The same calls give the same answers."""

    def test_the_default_is_one_half(self):
        for stage in (LSTMClassifier(), LogisticRegression()):
            assert stage.getThreshold() == 0.5

    @settings(deadline=None, max_examples=25)
    @given(st.floats(0, 1))
    def test_a_threshold_is_equivalent_to_two(self, threshold):
        ours, theirs = (stage.setThreshold(threshold) for stage in (LSTMClassifier(), LogisticRegression()))
        assert ours.getThresholds() == theirs.getThresholds()

    @settings(deadline=None, max_examples=25)
    @given(st.floats(0.01, 100), st.floats(0.01, 100))
    def test_two_thresholds_are_equivalent_to_one(self, of_negative, of_positive):
        stages = [stage.setThresholds([of_negative, of_positive]) for stage in (LSTMClassifier(), LogisticRegression())]
        assert stages[0].getThreshold() == pytest.approx(stages[1].getThreshold(), rel=1e-12)

    def test_the_setter_of_one_clears_the_other(self):
        for stage in (LSTMClassifier(), LogisticRegression()):
            assert stage.setThresholds([1, 3]).setThreshold(0.25).getThreshold() == 0.25
        # LogisticRegression documents the same for this order, but a base class of it overrides the method (Spark 3.5).
        stage = LSTMClassifier(threshold=0.25).setThresholds([1, 3])
        assert (stage.getThreshold(), stage.isSet(stage.threshold)) == (0.75, False)

    def test_both_may_be_set_where_they_match(self):
        for build in (LSTMClassifier, LogisticRegression):
            assert build(threshold=0.75, thresholds=[0.25, 0.75]).getThreshold() == 0.75


@pytest.mark.usefixtures("spark")
class TestRefusals:
    """Contradictory and impossible values are refused."""

    def test_two_that_do_not_match(self):
        stage = LSTMClassifier(threshold=0.5, thresholds=[0.25, 0.75])
        assert sentence(stage.getThreshold) == (
            "'threshold' must match 'thresholds', which are equivalent to 0.75. Got 0.5. Set only one of them."
        )

    @pytest.mark.parametrize("value", [-0.1, 1.1, "half", float("nan")])
    def test_a_threshold_must_be_a_probability(self, value):
        assert sentence(LSTMClassifier().setThreshold, value) == (
            f"'threshold' must be a number of at least 0 and at most 1. Got {value!r}."
        )

    @pytest.mark.parametrize("value", [[], [0.5], [0, 0], [1, -1], [1, 2, 3]])
    def test_thresholds_must_be_two_numbers(self, value):
        assert sentence(LSTMClassifier().setThresholds, value) == (
            f"'thresholds' must be two numbers of at least 0, not both 0. Got {value!r}."
        )
