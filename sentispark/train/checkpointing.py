"""When a rank saves its training, and how it continues from what was saved."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from sentispark.errors import PreemptedError, SetupError, sentence_of
from sentispark.files import Folder
from sentispark.train.checkpoint import (
    Checkpoint,
    newest_checkpoint,
    open_checkpoint,
    remove_checkpoints,
    write_checkpoint,
)
from sentispark.train.events import Emit
from sentispark.train.identity import require_same
from sentispark.train.options import CheckpointOptions
from sentispark.train.state import State
from sentispark.train.tensor_file import tensor_file
from sentispark.train.trainer import Trainer
from sentispark.train.world import World

__all__ = ["Checkpointing"]

# The shortest and longest time, in seconds, between votes of the ranks on whether to save before the next regular
# checkpoint. A vote waits for the slowest rank. It is a tenth of an interval in seconds, and otherwise the longest.
_SECONDS_BETWEEN_VOTES = (1.0, 5.0)
_MOST_STEPS_BETWEEN_VOTES = 1000
# How long the ranks wait for a checkpoint that is still being written when the next one is due; well below the time
# after which a rank that waits for another one gives up.
_SECONDS_TO_WRITE = 60.0
_SHARED = "state.safetensors"

_log = logging.getLogger(__name__)


class Checkpointing:
    """Saves a trainer's state at the end of each epoch and at intervals; all ranks make the same calls.

    The first rank writes, in a thread, while the ranks compute. A checkpoint that cannot be written is logged, and the
    training goes on.

    Parameters
    ----------
    options : CheckpointOptions
        With a `checkpoint_dir`.
    identity : mapping
        What `identity_of` returned.
    world : World
        Joined.
    steps_of_epoch : int
    emit : callable
        Called with events, also from another thread.
    preempted : callable
        Whether this rank's machine is about to be taken away. If one rank's is, all ranks save and stop.
    clock : callable
        Returns seconds.
    """

    def __init__(
        self,
        options: CheckpointOptions,
        identity: Mapping[str, Any],
        world: World,
        *,
        steps_of_epoch: int,
        emit: Emit = lambda event: None,
        preempted: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        assert options.checkpoint_dir is not None
        self._options, self._identity, self._world = options, identity, world
        self._emit, self._preempted, self._clock = emit, preempted, clock
        self._steps_of_epoch = steps_of_epoch
        self._root = Folder(options.checkpoint_dir)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._writing: Future[bool] | None = None
        self._copies: dict[str, dict[str, Tensor]] = {}  # by file; the thread reads them while it writes
        self._damaged: list[str] = []
        self._last_save = self._last_vote = clock()
        self._stopped_seconds = 0.0
        self._steps_to_vote = self._steps_between_votes = 1
        least, most = _SECONDS_BETWEEN_VOTES
        self._seconds_between_votes = min(max((options.interval_seconds or math.inf) / 10, least), most)

    def __enter__(self) -> Checkpointing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown()  # waits for the last checkpoint
        if error is None:
            if self._writing:
                self._writing.result()
            self._world.meet()  # without a time-out: writing may take long

    def resume(self, trainer: Trainer) -> None:
        """Continue from the newest checkpoint, if there is one.

        Raises
        ------
        DatasetError
            If it is one of another training.
        """
        found: Checkpoint | None = None
        if self._world.is_first:
            found, self._damaged = newest_checkpoint(self._root)
        self._world.meet()  # looking may take long
        name = self._world.told(found.name if found else "")
        if not name:
            return
        checkpoint = open_checkpoint(self._root, name)
        state = checkpoint.content["state"]
        done = len(state["trainer"]["history"])
        require_same(checkpoint.content["identity"], self._identity, epochs=done, folder=self._root.url)

        def tensors(file: str) -> dict[str, Tensor]:
            return safetensors.torch.load(checkpoint.files[file]) if file in checkpoint.files else {}

        same_ranks = checkpoint.content["ranks"] == self._world.size
        own = tensors(_file_of(self._world.rank)) if same_ranks else {}
        trainer.restore(State(state, tensors(_SHARED), own))
        self._world.meet()  # reading may take one rank far longer than the others
        self._emit(
            {
                "kind": "resume",
                "step": checkpoint.step,
                "epochs": done,
                "checkpoint": checkpoint.folder.url,
                "history": trainer.history,
            }
        )

    def after_step(self, trainer: Trainer) -> None:
        """Save if it is time to."""
        interval = self._options.interval_steps
        epoch_ends = trainer.step % self._steps_of_epoch == 0  # a checkpoint follows
        if interval and trainer.step % interval == 0 and not epoch_ends:
            self._save(trainer)
        self._steps_to_vote -= 1
        if not self._steps_to_vote:
            self._vote(trainer)

    def after_epoch(self, trainer: Trainer) -> None:
        """Save the finished epoch."""
        self._save(trainer)

    def _vote(self, trainer: Trainer) -> None:
        """Save now if the first rank's interval is over; save and stop if a rank is about to lose its machine.

        Ranks' clocks differ, so they exchange this in order to act after the same step.
        """
        now, seconds = self._clock(), self._options.interval_seconds
        due = seconds is not None and now - self._last_save >= seconds and not self._is_writing
        seconds_of_step = (now - self._last_vote) / self._steps_between_votes
        first = self._world.is_first
        is_due, preempted, seconds_of_step = self._world.total(
            np.array([first and due, self._preempted(), first * seconds_of_step], np.float64)
        ).tolist()
        steps = min(self._seconds_between_votes / max(seconds_of_step, 1e-9), _MOST_STEPS_BETWEEN_VOTES)
        self._last_vote = now
        self._steps_to_vote = self._steps_between_votes = max(1, round(steps))
        if preempted:
            self._save_and_stop(trainer)
        elif is_due:
            self._save(trainer)

    def _save_and_stop(self, trainer: Trainer) -> None:
        """Raise `PreemptedError` once the state is saved; if it cannot be saved, the training goes on while it can."""
        if self._writing:
            self._writing.result()
        self._world.meet()
        self._save(trainer)
        saved = bool(self._writing and self._writing.result())
        self._world.meet()
        if self._world.total(np.array([saved], np.float64))[0]:
            raise PreemptedError(f"The training was saved after step {trainer.step}: a machine is being taken away.")
        self._preempted = lambda: False

    @property
    def _is_writing(self) -> bool:
        return self._writing is not None and not self._writing.done()

    def _save(self, trainer: Trainer) -> None:
        """Write the state, unless an earlier checkpoint takes so long that it is still being written."""
        if self._writing:
            wait([self._writing], timeout=_SECONDS_TO_WRITE)
        if self._world.total(np.array([self._is_writing], np.float64))[0]:
            if self._world.is_first:
                _log.warning("The checkpoint of step %d is left out: another one is still being written.", trainer.step)
            return
        started = self._clock()  # all ranks are here, so from now on nobody waits for a slower one
        state = trainer.state()
        own = self._world.gathered_tensors(state.own)
        if self._world.is_first:
            self._last_save = started
            self._copy({_SHARED: state.tensors} | {_file_of(rank): each for rank, each in enumerate(own) if each})
            self._stopped_seconds += self._clock() - started
            self._writing = self._thread.submit(self._write, trainer.step, state.values)

    def _copy(self, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
        """Copy the tensors of each file into the memory of the previous copy: allocating takes longer than copying."""
        for file in self._copies.keys() - parts:
            del self._copies[file]
        for file, tensors in parts.items():
            copies = self._copies.setdefault(file, {})
            for name, tensor in tensors.items():
                if name not in copies:
                    copies[name] = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=tensor.is_cuda)
                copies[name].copy_(tensor)
            for name in copies.keys() - tensors:
                del copies[name]

    def _write(self, step: int, values: Mapping[str, Any]) -> bool:
        """Whether the copied state was written."""
        started, cpu_seconds = self._clock(), time.thread_time()
        content = {"identity": self._identity, "ranks": self._world.size, "state": values}
        try:
            files = {file: tensor_file(tensors) for file, tensors in self._copies.items()}
            name = write_checkpoint(self._root, step, content, files)
        except (OSError, SetupError) as error:
            _log.warning("The checkpoint of step %d could not be written: %s", step, sentence_of(error))
            return False
        try:
            remove_checkpoints(self._root, keep=self._options.keep_checkpoints, damaged=self._damaged)
        except (OSError, SetupError) as error:
            _log.warning("An old checkpoint could not be removed: %s", sentence_of(error))
        self._emit(
            {
                "kind": "checkpoint",
                "step": step,
                "name": name,
                "seconds": round(self._clock() - started, 3),
                "cpu_seconds": round(time.thread_time() - cpu_seconds, 3),
                "stopped_seconds": round(self._stopped_seconds, 3),
            }
        )
        return True


def _file_of(rank: int) -> str:
    return f"rank-{rank}.safetensors"
