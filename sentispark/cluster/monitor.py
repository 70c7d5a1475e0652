"""What the driver knows of the ranks of one attempt: who is alive, who failed first, and what it said before."""

from __future__ import annotations

import collections
import dataclasses
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from sentispark import errors
from sentispark.cluster.progress import STACKS
from sentispark.errors import RankLostError, TrainingError
from sentispark.train.events import Emit

__all__ = ["RankMonitor"]

# A rank sends a sign of life every second, from a thread of its own: one that computes for long is not silent.
_MAX_SILENCE_SECONDS = 10.0
# A connection that broke may be made again; Spark is quicker to report a process that ended.
_SECONDS_TO_RECONNECT = 5.0
# A connection that closes up to this long after the first report still counts as a cause; Spark closed any later ones.
_SECONDS_TO_NOTICE = 1.0
# The driver looks every second. After a longer gap, it was itself paused and has not yet read what the ranks sent.
_MAX_SECONDS_BETWEEN_LOOKS = 5.0
_LINES_KEPT = 5
_ENDED = "Its process, or its connection to the driver, ended."

Ask = Callable[[str], None]


@dataclasses.dataclass
class _Rank:
    host: str = ""
    executor: str | None = None
    ask: Ask | None = None
    last_heard: float = 0.0
    closed: float | None = None  # when its last connection ended
    is_done: bool = False
    lines: collections.deque[str] = dataclasses.field(default_factory=lambda: collections.deque(maxlen=_LINES_KEPT))
    stacks: str = ""


@dataclasses.dataclass(frozen=True)
class _Failure:
    rank: int
    time: float
    kind: type[TrainingError]
    message: str
    is_notice: bool = False  # of another rank's failure
    is_silence: bool = False


class RankMonitor:
    """Collects what ranks report; its methods may be called from several threads.

    Parameters
    ----------
    ranks : int
    emit : callable
        Called with the first rank's events.
    clock : callable
        Returns seconds.

    Attributes
    ----------
    first_step, last_step : int
        The step that the ranks continued after, and the last one that they are known to have taken, over all epochs.
    """

    def __init__(self, ranks: int, emit: Emit, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.first_step = self.last_step = 0
        self._ranks = [_Rank() for _ in range(ranks)]
        self._emit, self._clock, self._lock = emit, clock, threading.RLock()
        self._failures: list[_Failure] = []
        self._last_look = clock()

    @property
    def hosts(self) -> list[str]:
        """The host of each rank; empty for one that was never heard of."""
        return [rank.host for rank in self._ranks]

    @property
    def executors(self) -> list[str]:
        """The executors of the ranks that have not ended."""
        with self._lock:
            return [rank.executor for rank in self._ranks if rank.executor and not rank.is_done]

    @property
    def silent_executors(self) -> list[str]:
        """The executors of ranks that were lost without a word, and may hang."""
        return [self._ranks[one.rank].executor or "" for one in self._failures if one.is_silence]

    def connected(self, rank: int, host: str, ask: Ask, executor: str | None = None) -> None:
        """A rank has connected, from an executor with that id; `ask` sends it a request."""
        with self._lock:
            known = self._ranks[rank]
            is_new, known.executor = not known.host, executor
            known.host, known.ask, known.last_heard, known.closed = host, ask, self._clock(), None
            if is_new and all(self.hosts):
                self._emit({"kind": "start", "hosts": self.hosts})

    def heard(self, rank: int, message: Mapping[str, Any]) -> None:
        """A rank has sent a message: a sign of life, log lines, its failure, its end, or an event."""
        with self._lock:
            known = self._ranks[rank]
            known.last_heard = self._clock()
            kind = message.get("kind")
            if kind == "alive":
                known.lines += message["lines"]
            elif kind == "failed":
                known.is_done = True
                error_class = _class_named(message["error"])
                self._failures.append(
                    _Failure(
                        rank,
                        known.last_heard,
                        error_class,
                        message["message"],
                        is_notice=error_class is RankLostError,
                    )
                )
            elif kind == "done":
                known.is_done = True
            elif kind == "stacks":
                known.stacks = message["text"]
            elif rank == 0:
                self._count(message)
                self._emit(message)  # type: ignore[arg-type]  # JSON of an event
        if kind == "failed" and message["error"] == RankLostError.__name__:
            self.ask(STACKS)  # of the one that this rank waited for, if it hangs

    def disconnected(self, rank: int, ask: Ask) -> None:
        """A connection of a rank has ended."""
        with self._lock:
            if self._ranks[rank].ask is ask:  # and no newer one was made
                self._ranks[rank].ask, self._ranks[rank].closed = None, self._clock()

    def ask(self, request: str) -> None:
        """Send a request to all ranks that are connected."""
        with self._lock:
            asks = [rank.ask for rank in self._ranks if rank.ask]
        for ask in asks:
            ask(request)

    def is_lost(self) -> bool:
        """Whether a rank has been lost although Spark may not have noticed; it then counts as a failure."""
        with self._lock:
            now, before = self._clock(), len(self._failures)
            pause, self._last_look = now - self._last_look, now
            if pause > _MAX_SECONDS_BETWEEN_LOOKS:
                self._leave_out(pause, now)
            for rank, known in enumerate(self._ranks):
                if known.is_done or not known.host:
                    continue
                if known.closed is not None and now - known.closed >= _SECONDS_TO_RECONNECT:
                    self._lose(rank, known.closed, _ENDED)
                elif known.closed is None and now - known.last_heard >= _MAX_SILENCE_SECONDS:
                    message = f"There was no sign of life for {now - known.last_heard:.0f} seconds."
                    self._lose(rank, now, message, is_silence=True)
            return len(self._failures) > before

    def failure(self, reason: str, *, spark_lost_some: bool) -> TrainingError | None:
        """The error of the rank that failed first, not of those that noticed it; None if nothing is known of any.

        Parameters
        ----------
        reason : str
            Why Spark says that it lost an executor or a process; may be empty.
        spark_lost_some : bool
            Whether that is how the job ended. Otherwise the processes that ended may have been ended by Spark.
        """
        with self._lock:
            noticed = min((failure.time for failure in self._failures), default=self._clock())
            for rank, known in enumerate(self._ranks):
                # Those that ended later were ended by Spark.
                ended = None if known.is_done or not spark_lost_some else known.closed
                if ended is not None and ended <= noticed + _SECONDS_TO_NOTICE:
                    self._lose(rank, ended, f"{_ENDED} {reason}".rstrip())
            if not self._failures:
                return None
            return self._error_of(min(self._failures, key=lambda failure: (failure.is_notice, failure.time)))

    def _leave_out(self, pause: float, now: float) -> None:
        """Do not count time during which this process itself was paused as silence of the ranks."""
        for known in self._ranks:
            known.last_heard = min(known.last_heard + pause, now)
            if known.closed is not None:
                known.closed = min(known.closed + pause, now)

    def _lose(self, rank: int, time: float, message: str, *, is_silence: bool = False) -> None:
        known = self._ranks[rank]
        known.is_done = True
        where = f"[rank {rank}/{len(self._ranks)} on {known.host}]"
        self._failures.append(_Failure(rank, time, RankLostError, f"{where} {message}", is_silence=is_silence))

    def _error_of(self, failure: _Failure) -> TrainingError:
        known = self._ranks[failure.rank]
        if failure.kind is not RankLostError:
            return failure.kind(failure.message)
        said = f" Its last lines: {' | '.join(known.lines)}" if known.lines else ""
        # If nobody is known to have failed first, one of the others may hang.
        asked = range(len(self._ranks)) if failure.is_notice else [failure.rank]
        stacks = "".join(
            f"\nThe stacks of rank {rank} on {self._ranks[rank].host}:\n{self._ranks[rank].stacks}"
            for rank in asked
            if self._ranks[rank].stacks
        )
        return failure.kind(f"{failure.message}{said}{stacks}")

    def _count(self, event: Mapping[str, Any]) -> None:
        """Follow the steps in the first rank's events."""
        if event["kind"] == "progress":
            self.last_step = (event["epoch"] - 1) * event["steps"] + event["step"]
        elif event["kind"] == "resume":
            self.first_step = self.last_step = event["step"]


def _class_named(name: str) -> type[TrainingError]:
    found = getattr(errors, name, TrainingError)
    return found if isinstance(found, type) and issubclass(found, TrainingError) else TrainingError
