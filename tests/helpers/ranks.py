"""Ranks as processes that a test starts without Spark and torchrun; a rank that hangs is ended."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from torch.distributed import TCPStore

from sentispark.train.config import TrainConfig
from sentispark.train.result import TrainedNet
from sentispark.train.run import run_rank
from sentispark.train.world import World

SECONDS_FOR_RANKS = 60.0
LOOPBACK = "127.0.0.1"

# Ranks are forked from a process that has imported their modules, so a start takes 0.1 s instead of 5.
_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["pandas", "pyarrow.dataset", "torch._dynamo", "sentispark.train.run"])


def run_ranks(
    work: Callable[..., Any],
    ranks: int,
    *arguments: Any,
    seconds: float = SECONDS_FOR_RANKS,
    until_failure: bool = False,
    **world: Any,
) -> list[Any]:
    """The result of `work(world, *arguments)` on each rank, or the exception that it raised.

    Parameters
    ----------
    work : callable
        A function at the top of a module.
    ranks : int
    *arguments : Any
        The same for each rank.
    seconds : float
        A rank that takes longer is ended and counts as one that raised TimeoutError.
    until_failure : bool
        Whether all ranks are ended as soon as one fails, as torchrun and Spark do; their result is None.
    **world : Any
        Further fields of each rank's world.
    """
    server = TCPStore(LOOPBACK, 0, is_master=True, wait_for_workers=False)
    started = [_start(work, rank, ranks, server.port, arguments, world) for rank in range(ranks)]
    deadline = time.monotonic() + seconds
    outcomes: list[Any] = [None] * ranks
    waiting = {receiver: rank for rank, (_, receiver) in enumerate(started)}
    try:
        while waiting:
            ready = multiprocessing.connection.wait(list(waiting), max(0.0, deadline - time.monotonic()))
            if not ready:
                break
            for receiver in ready:
                outcomes[waiting.pop(receiver)] = outcome = _received(receiver)
                if until_failure and isinstance(outcome, BaseException):
                    return outcomes
        for rank in waiting.values():
            outcomes[rank] = TimeoutError(f"Rank {rank} took more than {seconds} seconds.")
    finally:
        for process, receiver in started:
            process.kill()
            process.join()
            receiver.close()
    return outcomes


def train_ranks(config: TrainConfig, ranks: int) -> TrainedNet:
    """The net that ranks train together; it must be the same on all of them."""
    first, *others = all_well(run_ranks(train_as_rank, ranks, config))
    assert all(other.weights == first.weights for other in others)
    return first


def train_as_rank(world: World, config: TrainConfig) -> TrainedNet:
    """The work of each rank of a training."""
    return run_rank(config, world)


def all_well(outcomes: list[Any]) -> list[Any]:
    """The outcomes; raises the first exception among them."""
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes


def _start(
    work: Callable[..., Any], rank: int, ranks: int, port: int, arguments: tuple[Any, ...], world: dict[str, Any]
) -> tuple[Any, Connection]:
    receiver, sender = _processes.Pipe(duplex=False)
    process = _processes.Process(target=_rank, args=(sender, work, rank, ranks, port, arguments, world), daemon=True)
    process.start()
    sender.close()
    return process, receiver


def _rank(
    sender: Connection,
    work: Callable[..., Any],
    rank: int,
    ranks: int,
    port: int,
    arguments: tuple[Any, ...],
    world: dict[str, Any],
) -> None:
    try:
        store = TCPStore(LOOPBACK, port, is_master=False)
        threads = max(1, (os.cpu_count() or 1) // ranks)
        sender.send(work(World(rank=rank, size=ranks, threads=threads, store=store, **world), *arguments))
    except Exception as error:
        sender.send(error)


def _received(receiver: Connection) -> Any:
    try:
        return receiver.recv()
    except EOFError:
        return RuntimeError("The rank's process died.")
