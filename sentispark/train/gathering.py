"""What each rank has, exchanged before they connect → the device of each, or an error that says why there is none."""

from __future__ import annotations

import collections
import dataclasses
import json
import logging
from collections.abc import Callable, Iterable, Sequence

import torch

from sentispark import __version__
from sentispark.errors import SetupError

__all__ = ["RankInfo", "agreed_gpus", "gpu_index", "gpus_here"]

_TORCH, _CUDA = str(torch.__version__), torch.version.cuda or ""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class RankInfo:
    """Where a rank runs and what it has.

    Attributes
    ----------
    host : str
        Its name or address, as the launcher knows it.
    gpus : tuple of str
        The GPUs that torch sees there: their UUIDs in torch's order, or "" where torch does not report one.
    given : str or None
        The GPU that the launcher has given this rank: a number, or a UUID (`GPU-…`, `MIG-…`).
    listed : str or None
        The value of `CUDA_VISIBLE_DEVICES`.
    torch, cuda, sentispark : str
        Versions; `cuda` is "" where torch was built without it.
    address : str or None
        The address at which others reach this rank's host, if known.
    port : int or None
        The port of this rank's store at that address, if it has a store.
    """

    host: str
    gpus: tuple[str, ...] = ()
    given: str | None = None
    listed: str | None = None
    torch: str = _TORCH
    cuda: str = _CUDA
    sentispark: str = __version__
    address: str | None = None
    port: int | None = None

    def to_json(self) -> str:
        """The text that `from_json` reads."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> RankInfo:
        """What another rank, possibly of another version, sent: fields that are unknown here are left out."""
        known = {field.name for field in dataclasses.fields(cls)}
        values = {name: value for name, value in json.loads(text).items() if name in known}
        return cls(**{**values, "gpus": tuple(values.get("gpus", ()))})


def agreed_gpus(infos: Sequence[RankInfo], wanted: str) -> list[int] | None:
    """The GPU of each rank by torch's number on its host, or None where all compute on CPUs.

    Parameters
    ----------
    infos : sequence of RankInfo
        Those of all ranks, in order; the same on every rank, so that all come to the same result.
    wanted : {"auto", "cpu", "cuda"}

    Raises
    ------
    SetupError
        Naming the ranks and hosts that do not fit together.
    """
    _require_one(infos, "sentispark", lambda one: one.sentispark)
    # Builds of one version for several kinds of machines work together on CPUs.
    _require_one(infos, "torch", lambda one: one.torch.split("+")[0])
    if wanted == "cpu":
        return None
    _require_given(infos)
    found = [_index(infos, rank) for rank in range(len(infos))]
    without = [rank for rank, index in enumerate(found) if index is None]
    if without and wanted == "cuda":
        raise SetupError(
            f"Device 'cuda' needs a GPU for each rank. There is none for {_named(infos, without)}. "
            "Give each task a GPU, use fewer ranks, or use device 'cpu'."
        )
    if without:
        if len(without) < len(infos):
            _log.warning("All ranks compute on CPUs, as there is no GPU for %s.", _named(infos, without))
        return None
    gpus = [index for index in found if index is not None]
    _require_own(infos, gpus)
    _require_one(infos, "torch, built for one CUDA", lambda one: f"{one.torch} (CUDA {one.cuda})")
    return gpus


def gpu_index(given: str, listed: str | None, gpus: Sequence[str]) -> int | None:
    """Torch's number of the GPU that a launcher names; None if torch does not see it.

    Parameters
    ----------
    given : str
        A number, or a UUID (`GPU-…`, `MIG-…`).
    listed : str or None
        `CUDA_VISIBLE_DEVICES`; if it is set, torch numbers the GPUs listed there, in that order.
    gpus : sequence of str
        The UUIDs of the GPUs that torch sees, "" where it does not report one.
    """
    given = given.strip()
    for index, entry in enumerate([entry.strip() for entry in listed.split(",")] if listed else []):
        abbreviated = entry[:4] in ("GPU-", "MIG-") and given.startswith(entry)
        if (entry == given or abbreviated) and index < len(gpus):
            return index
    for index, uuid in enumerate(gpus):
        if uuid and given.removeprefix("GPU-").removeprefix("MIG-") == uuid:
            return index
    return int(given) if given.isdigit() and int(given) < len(gpus) else None


def gpus_here() -> tuple[str, ...]:
    """The GPUs that torch sees, as in `RankInfo`."""
    return tuple(_uuid(index) for index in range(torch.cuda.device_count()))


def _uuid(index: int) -> str:
    uuid = str(getattr(torch.cuda.get_device_properties(index), "uuid", ""))  # torch has it from 2.5 on
    return uuid.removeprefix("GPU-").removeprefix("MIG-")


def _index(infos: Sequence[RankInfo], rank: int) -> int | None:
    """The GPU that the launcher gave, else one of the host's if it has enough for all of its ranks."""
    own = infos[rank]
    if own.given is not None:
        return gpu_index(own.given, own.listed, own.gpus)
    neighbors = [other for other, one in enumerate(infos) if one.host == own.host]
    return neighbors.index(rank) if len(own.gpus) >= len(neighbors) else None


def _require_given(infos: Sequence[RankInfo]) -> None:
    """Raise `SetupError` unless torch sees every GPU that was given."""
    for rank, one in enumerate(infos):
        if one.given is None or gpu_index(one.given, one.listed, one.gpus) is not None:
            continue
        if not one.cuda:
            seen = f"torch {one.torch} there was built without CUDA. Install one with CUDA"
        elif not one.gpus:
            seen = f"torch {one.torch} (CUDA {one.cuda}) sees no GPU there. Look at the driver with nvidia-smi"
        else:
            shown = f" of CUDA_VISIBLE_DEVICES={one.listed}" if one.listed else ""
            seen = (
                f"torch sees only {', '.join(uuid or str(index) for index, uuid in enumerate(one.gpus))}{shown} there. "
                "Name it in the executor's CUDA_VISIBLE_DEVICES"
            )
        raise SetupError(f"GPU '{one.given}' was given to {_named(infos, [rank])}, but {seen}, or use device 'cpu'.")


def _require_own(infos: Sequence[RankInfo], found: Sequence[int]) -> None:
    """Raise `SetupError` if two ranks have the same GPU."""
    holders = collections.defaultdict(list)
    for rank, (one, index) in enumerate(zip(infos, found, strict=True)):
        holders[one.gpus[index] or (one.host, index)].append(rank)
    for ranks in holders.values():
        if len(ranks) > 1:
            raise SetupError(
                f"Each rank needs a GPU of its own. One GPU is shared by {_named(infos, ranks)}. Give each task a "
                "whole one (spark.task.resource.gpu.amount=1), use fewer ranks, or use device 'cpu'."
            )


def _require_one(infos: Sequence[RankInfo], what: str, value: Callable[[RankInfo], str]) -> None:
    """Raise `SetupError` unless a value is the same on all ranks."""
    ranks = collections.defaultdict(list)
    for rank, one in enumerate(infos):
        ranks[value(one)].append(rank)
    if len(ranks) > 1:
        shown = "; ".join(f"{_named(infos, some)}: {version}" for version, some in ranks.items())
        raise SetupError(f"All ranks need one version of {what}. There is {shown}. Install the same everywhere.")


def _named(infos: Sequence[RankInfo], ranks: Iterable[int]) -> str:
    """`rank 0 on a and rank 2 on b`."""
    named = [f"rank {rank} on {infos[rank].host}" for rank in ranks]
    return " and ".join([", ".join(named[:-1]), named[-1]] if len(named) > 1 else named)
