"""A missing package is told in one sentence."""

import pytest

from sentispark.bench.packages import require_package
from sentispark.errors import SetupError


def test_a_package_that_is_missing_is_told_with_its_extra():
    require_package("quality", "json", name="JSON")
    with pytest.raises(SetupError) as told:
        require_package("quality", "no_such_package", name="scikit-learn")
    assert str(told.value) == (
        "'sentispark bench quality' needs scikit-learn. Install it with pip install 'sentispark[bench]'."
    )
    with pytest.raises(SetupError, match=r"pip install 'sentispark\[petastorm\]', or wait\."):
        require_package("train", "no_such_package", name="Petastorm", extra="petastorm", otherwise=", or wait")
