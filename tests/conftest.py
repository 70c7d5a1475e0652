"""One Spark session for all tests that ask for it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# A first call compiles and imports, which alone may take longer than hypothesis's 200 ms.
settings.register_profile("sentispark", deadline=None)
# For a second and a third environment: what depends on versions shows in a few examples.
settings.register_profile("few", deadline=None, max_examples=20)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "sentispark"))


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    """A session on two cores, with its own warehouse."""
    from sentispark import get_spark

    warehouse = tmp_path_factory.mktemp("warehouse")
    conf = {
        "spark.driver.memory": "1g",
        "spark.sql.warehouse.dir": warehouse.as_uri(),
        # The tests are too short for optimizing compilation to pay off.
        "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
    }
    session = get_spark("sentispark-tests", master="local[2]", conf=conf)
    yield session
    session.stop()


@pytest.fixture(scope="session", autouse=True)
def _own_temporary_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Caches that fits leave must not reach the next test run."""
    before, tempfile.tempdir = tempfile.tempdir, str(tmp_path_factory.mktemp("temporary"))
    yield
    tempfile.tempdir = before


@pytest.fixture(scope="session")
def _s3_server() -> Iterator[str]:
    from tests.helpers.s3 import s3_server

    with s3_server() as url:
        yield url


@pytest.fixture
def s3(_s3_server: str) -> Iterator[str]:
    """The URL of an empty S3 bucket, on this machine."""
    from tests.helpers.s3 import s3_bucket

    with s3_bucket(_s3_server) as url:
        yield url


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses the `spark` fixture, before `-m` selects."""
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.spark)
