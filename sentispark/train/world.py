"""Who a rank is, where it computes and how it talks to the others; all knowledge of environment variables is here."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import logging
import os
import socket
import traceback
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import torch

# If this is first imported while ranks are connected, as DDP does, its functions keep the process group forever
# (their defaults are the group of that moment), and its threads may abort the process when Python ends.
import torch.distributed.nn
from torch import Tensor, distributed
from torch.distributed import (  # type: ignore[attr-defined]  # torch exports them and does not say so
    PrefixStore,
    Store,
    rendezvous,
)

from sentispark.train.cores import cores_here, requested_threads, thread_count
from sentispark.train.gathering import RankInfo, agreed_gpus, gpus_here
from sentispark.train.network import (
    gloo_at,
    interfaces_here,
    is_loopback,
    nccl_at,
    own_address,
    resolved,
    source_toward,
)

__all__ = ["CPU", "World", "address_here", "device_of", "rank_info_here", "rank_threads", "world_from_environment"]

# Between two steps a rank that waits this long for another has lost it: steps take seconds.
PATIENCE = timedelta(minutes=10)
# Other phases, such as reading its rows, may take a rank any time: the others wait, and log that now and then. They do
# not wait for a rank that died: its connections are reset, and its launcher ends the others.
REMINDER = timedelta(minutes=1)
CPU = torch.device("cpu")
# The variables by which torchrun tells apart its starts of the ranks.
_ATTEMPT = ("TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT", "WORLD_SIZE", "MASTER_PORT")

_log = logging.getLogger(__name__)


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
    threads : int or None
        The threads that this rank computes with; None leaves torch's number as it is.
    store : torch.distributed.Store or None
        Where ranks meet; None if there is only one rank.
    address : str or None
        This host's address as the other ranks reach it; None leaves the choice to torch.
    is_first_start : bool
        False if torchrun has started the ranks of this run before.
    """

    rank: int = 0
    size: int = 1
    device: torch.device = CPU
    backend: str = "gloo"
    threads: int | None = None
    store: Store | None = None
    address: str | None = None
    is_first_start: bool = True
    _meetings: Iterator[int] = dataclasses.field(default_factory=itertools.count, repr=False, compare=False)

    @property
    def is_first(self) -> bool:
        """Whether this is rank 0, which reports for all ranks."""
        return self.rank == 0

    @contextlib.contextmanager
    def joined(self) -> Iterator[World]:
        """The world with all ranks connected, and this process's torch set up for it; both undone at the end."""
        threads = torch.get_num_threads()
        torch.set_num_threads(self.threads or threads)
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        if self.size > 1:
            self.meet()
            self._connect()
        try:
            yield self
            # Without it a rank that leaves early can abort one that is still in its last collective.
            self.wait_for_all()
        except BaseException as error:
            # The error's frames hold DDP, which must be deleted before its process group: else it can hang forever.
            traceback.clear_frames(error.__traceback__)
            raise
        finally:
            if self.size > 1:
                distributed.destroy_process_group()
            torch.set_num_threads(threads)

    def _connect(self) -> None:
        with nccl_at(self.address, interfaces_here(), os.environ):
            distributed.init_process_group(
                gloo_at(self.address, os.environ) if self.backend == "gloo" else self.backend,
                timeout=PATIENCE,
                store=self.store,
                rank=self.rank,
                world_size=self.size,
            )
            if self.backend == "nccl":
                self.wait_for_all()  # NCCL connects at its first use

    def meet(self) -> None:
        """Return once every rank has called this, however late: some ranks' work may take far longer than others'."""
        store, key = self.store, f"sentispark/meeting {next(self._meetings)}"
        if store is None:
            return
        store.set(f"{key}/{self.rank}", "")
        if store.add(key, 1) == self.size:
            store.set(f"{key}/all", "")
        while not _is_set_within(store, f"{key}/all", REMINDER):
            missing = [rank for rank in range(self.size) if not store.check([f"{key}/{rank}"])]
            _log.info("[rank %d/%d] is waiting for ranks %s.", self.rank, self.size, missing)

    def wait_for_all(self) -> None:
        """Return once every rank has called this; waits for at most `PATIENCE`."""
        if self.size > 1:
            distributed.barrier()

    def total(self, array: np.ndarray) -> np.ndarray:
        """The sum over all ranks of a float64 array of one shape, the same on every rank."""
        if self.size == 1:
            return array
        # float64 sums of counts are exact, so the order in which ranks are added does not matter.
        tensor = torch.from_numpy(np.array(array, np.float64)).to(self.device)
        distributed.all_reduce(tensor)
        return np.asarray(tensor.cpu().numpy())

    def gathered(self, values: np.ndarray) -> np.ndarray:
        """The values of all ranks, float64 of shape (W, k), from k on each; the same on every rank."""
        table = np.zeros((self.size, len(values)))
        table[self.rank] = values
        return self.total(table)

    def told(self, text: str) -> str:
        """The first rank's text, on every rank."""
        store, key = self.store, f"sentispark/told {next(self._meetings)}"
        if store is None:
            return text
        if self.is_first:
            store.set(key, text)
        return store.get(key).decode()

    def gathered_tensors(self, tensors: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
        """The tensors of each rank, on the first rank; an empty list on the others.

        Parameters
        ----------
        tensors : mapping of str to Tensor
            Of the same names, shapes and types on every rank.
        """
        if self.size == 1:
            return [dict(tensors)]
        each: list[dict[str, Tensor]] = [{} for _ in range(self.size)] if self.is_first else []
        for name in sorted(tensors):
            tensor = tensors[name].contiguous()
            received = [torch.empty_like(tensor) for _ in each]
            distributed.gather(tensor, received or None)
            for one, other in zip(each, received, strict=True):
                one[name] = other
        return each


def _is_set_within(store: Store, key: str, patience: timedelta) -> bool:
    """Whether a key is set in the store within `patience`; raises the store's error if the store is gone."""
    try:
        store.wait([key], patience)
    except RuntimeError:
        return bool(store.check([key]))
    return True


def device_of(gpu: int | None) -> torch.device:
    """The device of a rank with GPU number `gpu`, or without a GPU."""
    return CPU if gpu is None else torch.device("cuda", gpu)


def rank_threads(environ: Mapping[str, str], *, ranks: int, cores: int | None = None, chosen: bool = True) -> int:
    """The threads of a rank on this host; `OMP_NUM_THREADS`, if the user or the launcher set it, decides.

    Parameters
    ----------
    environ : mapping of str to str
    ranks : int
        The ranks on this host.
    cores : int, optional
        The cores that these ranks share.
    chosen : bool
        False if `OMP_NUM_THREADS` was not chosen: Spark in local mode sets it to 1 however many cores there are.
    """
    threads = requested_threads(environ.get("OMP_NUM_THREADS")) if chosen else None
    return thread_count(requested=threads, cores=cores, usable=cores_here(), ranks=ranks)


def address_here(known_as: str, peers: list[str]) -> str | None:
    """This host's address as the other ranks reach it; see `own_address`."""
    return own_address(known_as, peers, interfaces_here(), resolve=resolved, toward=source_toward)


def rank_info_here(host: str, wanted: str, environ: Mapping[str, str], **more: Any) -> RankInfo:
    """What this rank has; no GPUs if `wanted` is "cpu"."""
    gpus = () if wanted == "cpu" else gpus_here()
    return RankInfo(host, gpus=gpus, listed=environ.get("CUDA_VISIBLE_DEVICES"), **more)


def world_from_environment(device: str, environ: Mapping[str, str]) -> World:
    """The world that torchrun describes, or a world of one rank if torchrun did not start this process.

    Raises
    ------
    SetupError
        If the ranks cannot work together.
    """
    rank, size = int(environ.get("RANK", 0)), int(environ.get("WORLD_SIZE", 1))
    local_size = int(environ.get("LOCAL_WORLD_SIZE", 1))
    # torchrun's own number of the host is added: host names may be equal, as those of containers often are.
    host = f"{socket.gethostname()} (host {environ['GROUP_RANK']})" if "GROUP_RANK" in environ else socket.gethostname()
    many = size > local_size
    own = rank_info_here(host, device, environ, address=_address_toward(environ["MASTER_ADDR"]) if many else None)
    store: Store | None = None
    infos, is_first_start = [own], True
    if size > 1:
        shared, _, _ = next(rendezvous("env://", rank, size, timeout=PATIENCE))
        is_first_start = shared.add(f"sentispark/starts of {rank}", 1) == 1
        # After a restart torchrun's store still has the keys of the ranks before.
        store = PrefixStore("/".join(environ.get(name, "") for name in _ATTEMPT), shared)
        store.set(f"sentispark/rank-info/{rank}", own.to_json())
        infos = [RankInfo.from_json(store.get(f"sentispark/rank-info/{other}").decode()) for other in range(size)]
    gpus = agreed_gpus(infos, device)
    return World(
        rank=rank,
        size=size,
        device=device_of(gpus[rank] if gpus else None),
        backend="nccl" if gpus else "gloo",
        threads=rank_threads(environ, ranks=local_size),
        store=store,
        address=_address_among(own, infos) if many else None,
        is_first_start=is_first_start and environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0",
    )


def _address_among(own: RankInfo, infos: Sequence[RankInfo]) -> str | None:
    """The address from which this host reaches the first rank's host or, on that host itself, the others."""
    found = (_address_toward(other.address) for other in infos if other.address)
    return own.address or next(filter(None, found), None)


def _address_toward(host: str) -> str | None:
    """The address of this host from which another one is reached, unless it is a loopback address."""
    own = source_toward(host)
    return None if own is None or is_loopback(own) else own
