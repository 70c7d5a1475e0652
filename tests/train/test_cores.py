"""The threads of a rank: what it was given, or its share of the available cores."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentispark.train.cores import cores_here, cpu_quota, requested_threads, thread_count, usable_cores
from sentispark.train.world import rank_threads


@pytest.mark.parametrize(
    ("requested", "cores", "usable", "ranks", "expected"),
    [
        (1, None, 16, 1, 1),  # Spark: a task of one core on a host of sixteen
        (4, None, 16, 2, 4),  # spark.task.cpus=4
        (8, None, 2, 2, 8),  # a requested number is used as it is
        (None, 2, 2, 2, 1),  # local[2], two ranks
        (None, 2, 16, 1, 2),  # local[2], one rank, on a host of sixteen
        (None, 16, 16, 1, 16),  # local[*], one rank
        (None, 64, 2, 1, 2),  # local[64] in a container of two
        (None, 4, 4, 3, 1),
        (None, 1, 8, 4, 1),
        (None, None, 8, 4, 2),  # torchrun without a requested number
        (None, None, 1, 4, 1),
    ],
)
def test_threads(requested, cores, usable, ranks, expected):
    assert thread_count(requested=requested, cores=cores, usable=usable, ranks=ranks) == expected


@given(st.none() | st.integers(1, 99), st.integers(1, 99), st.integers(1, 99))
def test_ranks_never_take_more_cores_than_exist_unless_there_are_fewer_cores_than_ranks(cores, usable, ranks):
    threads = thread_count(requested=None, cores=cores, usable=usable, ranks=ranks)
    assert threads >= 1
    assert threads == 1 or threads * ranks <= min(usable, cores or usable)


@pytest.mark.parametrize(
    ("value", "expected"), [(None, None), ("", None), ("0", None), ("x", None), ("3", 3), (" 4,2", 4), ("-1", None)]
)
def test_what_omp_num_threads_asks_for(value, expected):
    assert requested_threads(value) == expected


@pytest.mark.parametrize(
    ("affinity", "quota", "expected"), [(8, None, 8), (8, 2.0, 2), (2, 8.0, 2), (8, 0.5, 1), (8, 2.5, 2)]
)
def test_usable_cores(affinity, quota, expected):
    assert usable_cores(affinity, quota) == expected


GROUPS = {
    "no limit, version 2": ("0::/a/b", {"cpu.max": "max 100000"}, None),
    "the group's own, version 2": ("0::/a/b", {"a/b/cpu.max": "150000 100000"}, 1.5),
    "one it lies in, version 2": ("0::/a/b", {"a/b/cpu.max": "max 100000", "a/cpu.max": "200000 100000"}, 2.0),
    "the least of all": ("0::/a/b", {"a/b/cpu.max": "400000 100000", "a/cpu.max": "200000 100000"}, 2.0),
    "a container's": ("0::/", {"cpu.max": "50000 100000"}, 0.5),
    "version 1": (
        "5:memory:/x\n3:cpu,cpuacct:/y",
        {"cpu,cpuacct/y/cpu.cfs_quota_us": "300000", "cpu,cpuacct/y/cpu.cfs_period_us": "100000"},
        3.0,
    ),
    "version 1 without a limit": (
        "3:cpu,cpuacct:/y",
        {"cpu,cpuacct/y/cpu.cfs_quota_us": "-1", "cpu,cpuacct/y/cpu.cfs_period_us": "100000"},
        None,
    ),
    "version 1, a container that is told its host's path": (
        "3:cpu:/docker/0123",
        {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"},
        2.0,
    ),
    "nonsense": ("what\n0::/a", {"a/cpu.max": "lots"}, None),
}


@pytest.mark.parametrize("case", GROUPS)
def test_the_quota_of_control_groups(case, tmp_path):
    groups, files, expected = GROUPS[case]
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/cgroup").write_text(groups + "\n")
    for name, content in files.items():
        file = tmp_path / "sys/fs/cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content + "\n")
    assert cpu_quota(tmp_path) == expected


def test_a_system_without_control_groups_has_no_quota(tmp_path):
    assert cpu_quota(tmp_path) is None


def test_this_machine_has_cores():
    assert cores_here() >= 1


def test_the_variable_counts_unless_it_was_not_chosen():
    assert rank_threads({"OMP_NUM_THREADS": "7"}, ranks=2) == 7
    assert rank_threads({"OMP_NUM_THREADS": "7"}, ranks=1, cores=1, chosen=False) == 1
    assert rank_threads({}, ranks=1) == cores_here()
