"""Splits by the draw of a text. prepare/test_prepare.py compares `merged_reviews` with a plain loop."""

import numpy as np
import pytest

from sentispark.reviews.deduplicate.distinct import split_codes
from sentispark.reviews.options import ReviewOptions

TRAIN, VALIDATION, TEST = range(3)


@pytest.mark.parametrize(
    ("validation_share", "test_share", "splits"),
    [
        (0.2, 0.1, [TEST, VALIDATION, VALIDATION, TRAIN, TRAIN]),
        (0.2, 0.3, [TEST, TEST, TEST, TRAIN, TRAIN]),
        (0, 0, [TRAIN] * 5),
        (0, 0.5, [TEST, TEST, TEST, TRAIN, TRAIN]),
        (0.5, 0, [VALIDATION] * 3 + [TRAIN] * 2),
    ],
)
def test_the_draw_decides_the_split_and_a_larger_test_share_keeps_all_test_texts(validation_share, test_share, splits):
    options = ReviewOptions(validation_share=validation_share, test_share=test_share)
    assert split_codes(np.array([0.0, 0.1, 0.29, 0.5, 0.9]), options).tolist() == splits
