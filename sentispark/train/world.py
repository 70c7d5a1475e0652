"""Who a rank is, where it computes and how it talks to the others; all that is known of environment variables."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import traceback
from collections.abc import Iterator, Mapping
from datetime import timedelta

import numpy as np
import torch

# Whoever imports this first while ranks are connected, as DDP does, has its functions keep the process group for ever
# (their defaults are the group of that moment), and its threads may abort the process when Python ends.
import torch.distributed.nn
from torch import distributed

from sentispark.errors import SetupError

__all__ = ["World", "pick_device", "world_from_environment"]

# A rank that waits this long for another has lost it.
PATIENCE = timedelta(minutes=10)
CPU = torch.device("cpu")


@dataclasses.dataclass(frozen=True)
class World:
    """One rank among `size`.

    Attributes
    ----------
    rank, size : int
    device : torch.device
        Where this rank computes.
    backend : {"gloo", "nccl"}
        NCCL only if every rank has a GPU of its own.
    ranks_on_host : int
        Ranks that share this host's cores.
    store : torch.distributed.Store or None
        Where ranks meet; None means the addresses that torchrun has set in the environment.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = CPU
    backend: str = "gloo"
    ranks_on_host: int = 1
    store: distributed.Store | None = None

    @property
    def is_first(self) -> bool:
        """Whether this rank speaks for all."""
        return self.rank == 0

    @property
    def threads(self) -> int:
        """This rank's share of its host's cores."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, cores // self.ranks_on_host)

    @contextlib.contextmanager
    def joined(self) -> Iterator[World]:
        """The world with all ranks connected, and this process's torch set up for it; both undone at the end."""
        threads = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if self.size > 1:
            where = {} if self.store is None else {"store": self.store, "rank": self.rank, "world_size": self.size}
            distributed.init_process_group(self.backend, timeout=PATIENCE, **where)
        try:
            yield self
            # Without it a rank that leaves early can abort one that is still in its last collective.
            self.wait_for_all()
        except BaseException as error:
            # Its frames hold DDP, which must be gone before its process group: the other order can hang for good.
            traceback.clear_frames(error.__traceback__)
            raise
        finally:
            if self.size > 1:
                distributed.destroy_process_group()
            torch.set_num_threads(threads)

    def wait_for_all(self) -> None:
        """Return once every rank has come here."""
        if self.size > 1:
            distributed.barrier()

    def total(self, array: np.ndarray) -> np.ndarray:
        """The sum over all ranks of a float64 array of one shape, the same on every rank."""
        if self.size == 1:
            return array
        # float64 sums of counts are exact, so the order in which ranks are added does not matter.
        tensor = torch.from_numpy(np.array(array, np.float64)).to(self.device)
        distributed.all_reduce(tensor)
        return tensor.cpu().numpy()

    def gathered(self, values: np.ndarray) -> np.ndarray:
        """The values of all ranks, float64 of shape (W, k), from k on each; the same on every rank."""
        table = np.zeros((self.size, len(values)))
        table[self.rank] = values
        return self.total(table)


def pick_device(wanted: str, *, gpu: int | None) -> torch.device:
    """The device of a rank.

    Parameters
    ----------
    wanted : {"auto", "cpu", "cuda"}
    gpu : int or None
        The GPU that is this rank's own; None if it has none.

    Raises
    ------
    SetupError
        If "cuda" is wanted and the rank has no GPU of its own.
    """
    if wanted == "cpu" or (wanted == "auto" and gpu is None):
        return CPU
    if gpu is None:
        raise SetupError("Device 'cuda' needs a GPU for each rank. This rank has none. Use 'cpu', or fewer ranks.")
    return torch.device("cuda", gpu)


def world_from_environment(device: str, environ: Mapping[str, str]) -> World:
    """The world that torchrun describes, or a world of one rank where it does not."""
    local_rank, local_size = int(environ.get("LOCAL_RANK", 0)), int(environ.get("LOCAL_WORLD_SIZE", 1))
    gpu = local_rank if torch.cuda.device_count() >= local_size else None
    picked = pick_device(device, gpu=gpu)
    return World(
        rank=int(environ.get("RANK", 0)),
        size=int(environ.get("WORLD_SIZE", 1)),
        device=picked,
        backend="nccl" if picked.type == "cuda" else "gloo",
        ranks_on_host=local_size,
    )
