"""Files are cut into tasks: every byte once, and about equal work for each task."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.reviews.formats.table import format_of
from sentispark.reviews.pieces import File
from sentispark.reviews.tasks import cut_into_tasks


@given(
    st.lists(
        st.tuples(st.integers(0, 300 << 20), st.sampled_from(["a.jsonl", "a.jsonl.gz", "a.csv", "a.parquet"])),
        max_size=20,
    ),
    st.integers(1, 64),
)
def test_tasks_contain_every_byte_of_every_file_once(sizes, cores):
    files = [(File(f"{number}/{name}", size), format_of(name)) for number, (size, name) in enumerate(sizes)]
    tasks = cut_into_tasks(files, cores=cores)
    assert all(tasks)
    pieces = [piece for task in tasks for piece in task]
    for file, _ in files:
        own = [piece for piece in pieces if piece.path == file.path]
        if own and own[0].shares > 1:
            assert [(piece.start, piece.stop) for piece in own] == [(0, file.size)] * own[0].shares
            assert [piece.share for piece in own] == list(range(own[0].shares))
        else:
            edges = [0, *(piece.stop for piece in own)]
            assert [piece.start for piece in own] == edges[:-1]
            assert edges[-1] == file.size
    work = sum(file.size * (3 if file.path.endswith("z") else 2 if file.path.endswith("t") else 1) for file, _ in files)
    a_core = min(max(round(work / cores / (32 << 20)), 1), 3)
    enough = min(max(work / (a_core * cores), 8 << 20), 64 << 20)
    for task in tasks:
        lines = sum(piece.stop - piece.start for piece in task if piece.path.endswith("l"))
        assert lines <= 2 * enough + 2


@given(
    st.lists(
        st.tuples(st.integers(1, 300 << 20), st.sampled_from(["jsonl", "jsonl.gz", "csv", "parquet"])), min_size=1
    ),
    st.integers(1, 64),
)
def test_no_task_exceeds_its_share_by_more_than_one_piece(sizes, cores):
    files = [
        (File(f"{number}.{ending}", size), format_of(f"a.{ending}")) for number, (size, ending) in enumerate(sizes)
    ]
    tasks = cut_into_tasks(files, cores=cores)
    times = {"jsonl": 1, "gz": 3, "csv": 1, "parquet": 2}

    def work(piece):
        return (piece.stop - piece.start) * times[piece.path.rsplit(".", 1)[1]] / piece.shares

    total = sum(work(piece) for task in tasks for piece in task)
    part = max(total / (3 * cores), 8 << 20)
    for task in tasks:
        assert sum(map(work, task)) <= 1.125 * max(min(part, 64 << 20), total / len(tasks)) + max(map(work, task))


@given(st.lists(st.integers(1, 300 << 20), min_size=1, max_size=20), st.integers(1, 64))
def test_tasks_of_json_lines_are_equal(sizes, cores):
    tasks = cut_into_tasks([(File(f"{number}.jsonl", size), "json") for number, size in enumerate(sizes)], cores=cores)
    work = [sum(piece.stop - piece.start for piece in task) for task in tasks]
    assert max(work) <= 1.125 * sum(sizes) / len(tasks) + 2
    assert min(work) >= 0.875 * sum(sizes) / len(tasks) - len(tasks) - 2


@pytest.mark.parametrize("megabytes", [8, 10, 20])
def test_files_of_similar_size_are_spread_evenly_over_tasks(megabytes):
    files = [(File(f"{number}.csv", megabytes * 1_000_000 + 15_000 * (number * 7 % 16)), "csv") for number in range(16)]
    numbers = [len(task) for task in cut_into_tasks(files, cores=2)]
    assert max(numbers) - min(numbers) <= 16 % len(numbers)


@pytest.mark.parametrize(("mebibytes", "tasks"), [(1, 1), (8, 2), (32, 2), (100, 4), (300, 6), (1024, 16)])
def test_two_cores_get_one_to_three_tasks_each_or_more_of_the_largest_size(mebibytes, tasks):
    assert len(cut_into_tasks([(File("reviews.jsonl", mebibytes << 20), "json")], cores=2)) == tasks
