"""A missing package is reported in one sentence."""

import pytest

from sentispark.bench.packages import require_package
from sentispark.errors import SetupError


def test_a_missing_package_is_reported_with_its_extra():
    require_package("quality", "json", name="JSON")
    with pytest.raises(SetupError) as caught:
        require_package("quality", "no_such_package", name="scikit-learn")
    assert str(caught.value) == (
        "'sentispark bench quality' needs scikit-learn. Install it with pip install 'sentispark[bench]'."
    )
    with pytest.raises(SetupError, match=r"pip install 'sentispark\[petastorm\]', or wait\."):
        require_package("train", "no_such_package", name="Petastorm", extra="petastorm", alternative=", or wait")
