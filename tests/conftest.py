"""One Spark session for all tests that ask for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    """A session on two cores, with a warehouse of its own."""
    from sentispark import get_spark

    warehouse = tmp_path_factory.mktemp("warehouse")
    conf = {"spark.driver.memory": "1g", "spark.sql.warehouse.dir": warehouse.as_uri()}
    session = get_spark("sentispark-tests", master="local[2]", conf=conf)
    yield session
    session.stop()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that uses the `spark` fixture, before `-m` selects."""
    for item in items:
        if "spark" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.spark)
