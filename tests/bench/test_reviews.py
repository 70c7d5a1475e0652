"""Generated reviews do not depend on the number of processes, and are reused."""

from pathlib import Path

import pytest

from sentispark.bench.reviews import generated_reviews, write_many_reviews
from sentispark.reviews.generate import generate_reviews


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return write_many_reviews(tmp_path_factory.mktemp("reviews"), 600, files=3, processes=2)


def test_several_processes_write_the_reviews_of_one(paths):
    lines = [line for path in paths for line in Path(path).read_text(encoding="utf-8").splitlines()]
    assert lines == list(generate_reviews(600))


def test_complete_reviews_of_an_earlier_run_are_reused(tmp_path):
    (tmp_path / "reviews-20.draft").mkdir()
    first = generated_reviews(tmp_path, 20, processes=1)
    assert len(first) == 16
    Path(first[0]).write_text("changed\n")
    assert generated_reviews(tmp_path, 20, processes=1) == first
    assert Path(first[0]).read_text() == "changed\n"
    assert [path.name for path in tmp_path.iterdir()] == ["reviews-20"]
