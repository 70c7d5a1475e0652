"""How many instances there are, what a rank gets of them, and what they cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emr.fleet import cost_sentence, fleet_of
from emr.instances import CPU_WORKERS, GPU_WORKERS, INSTANCES
from sentispark.errors import OptionError


def test_a_rank_has_a_gpu_or_else_an_instance() -> None:
    assert fleet_of(("g5.xlarge",), 3).instances == 3
    assert fleet_of(("g5.12xlarge",), 8).instances == 2
    assert fleet_of(("m5.2xlarge",), 3).instances == 3


def test_a_rank_has_its_share_of_the_cores_but_one() -> None:
    assert fleet_of(("g5.2xlarge", "g5.xlarge"), 1).cores_per_rank == 3
    assert fleet_of(("g5.12xlarge",), 4).cores_per_rank == 11
    assert fleet_of(("m5.4xlarge",), 1).cores_per_rank == 15


@given(st.sampled_from(sorted(INSTANCES)), st.integers(1, 1000))
def test_no_gpu_is_left_over(name: str, instances: int) -> None:
    gpus = INSTANCES[name].gpus
    fleet = fleet_of((name,), instances * max(gpus, 1))
    assert fleet.instances == instances
    assert fleet.ranks == instances * max(gpus, 1)
    assert 1 <= fleet.cores_per_rank * max(gpus, 1) < INSTANCES[name].cores


@pytest.mark.parametrize("names", [CPU_WORKERS, GPU_WORKERS])
def test_default_types_fit_together(names: tuple[str, ...]) -> None:
    assert fleet_of(names, 1).instances == 1
    assert len({INSTANCES[name].cores for name in names}) == 1


def test_types_with_different_numbers_of_gpus_are_refused() -> None:
    with pytest.raises(OptionError) as error:
        fleet_of(("g5.xlarge", "g5.12xlarge"), 4)
    assert str(error.value) == (
        "'--worker-types' must be types with the same number of GPUs. Got g5.xlarge (1), g5.12xlarge (4)."
    )


def test_ranks_that_leave_gpus_unused_are_refused() -> None:
    with pytest.raises(OptionError) as error:
        fleet_of(("g5.12xlarge",), 6)
    assert str(error.value) == "'--workers' must be a multiple of the 4 GPUs of g5.12xlarge. Got 6."


def test_the_estimate_counts_the_dearest_type() -> None:
    # 0.192 + 4 × 1.006
    assert cost_sentence(fleet_of(("g6.xlarge", "g5.xlarge"), 4), "m5.xlarge") == (
        "Estimate: at most $4.22 an hour for 1 m5.xlarge and 4 g6.xlarge or g5.xlarge, at on-demand prices of "
        "us-east-1 in August 2026. Spot instances cost less. Amazon EMR's own fee, disks and S3 come on top."
    )
