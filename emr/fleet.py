"""Worker types and a number of ranks → how many instances there are, what each rank gets, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass

from emr.instances import INSTANCES, PRICES
from sentispark.errors import OptionError

__all__ = ["Fleet", "cost_sentence", "fleet_of"]


@dataclass(frozen=True)
class Fleet:
    """The instances on which ranks run.

    Attributes
    ----------
    types : tuple of str
        Each instance is of one of these types, which have the same number of GPUs.
    ranks : int
        One for each GPU; without GPUs one for each instance.
    gpus : int
        Those of an instance.
    """

    types: tuple[str, ...]
    ranks: int
    gpus: int

    @property
    def instances(self) -> int:
        """The number of instances."""
        return self.ranks // max(self.gpus, 1)

    @property
    def cores_per_rank(self) -> int:
        """The vCPUs of a rank on the smallest type: all of its share but one, which YARN's own container may need."""
        return min(INSTANCES[name].cores for name in self.types) // max(self.gpus, 1) - 1


def fleet_of(types: tuple[str, ...], ranks: int) -> Fleet:
    """The fleet for a number of ranks.

    Raises
    ------
    OptionError
        If the types have different numbers of GPUs, or the ranks leave GPUs unused.
    """
    counts = {INSTANCES[name].gpus for name in types}
    if len(counts) > 1:
        found = ", ".join(f"{name} ({INSTANCES[name].gpus})" for name in types)
        raise OptionError(f"'--worker-types' must be types with the same number of GPUs. Got {found}.")
    gpus = counts.pop()
    if ranks % max(gpus, 1):
        raise OptionError(f"'--workers' must be a multiple of the {gpus} GPUs of {' or '.join(types)}. Got {ranks}.")
    return Fleet(types, ranks, gpus)


def cost_sentence(fleet: Fleet, primary_type: str) -> str:
    """An upper estimate of what a cluster costs in an hour, in words."""
    dearest = max(INSTANCES[name].usd_per_hour for name in fleet.types)
    usd = INSTANCES[primary_type].usd_per_hour + fleet.instances * dearest
    return (
        f"Estimate: at most ${usd:.2f} an hour for 1 {primary_type} and {fleet.instances} {' or '.join(fleet.types)}, "
        f"at {PRICES}. Spot instances cost less. Amazon EMR's own fee, disks and S3 come on top."
    )
