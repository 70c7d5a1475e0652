"""Preparations in separate Spark sessions, in turns: one core against all cores, and cost and memory by rows."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sentispark.bench import prepare_worker
from sentispark.bench.processes import ChildProcess, start_module
from sentispark.bench.reviews import generated_reviews
from sentispark.bench.turns import in_turns, median_ratio

__all__ = ["compare_cores", "measure_sizes"]

_log = logging.getLogger(__name__)

# Each session prepares its rows repeatedly, up to this number, before it is timed, so that its JVM has compiled Spark's
# planner.
WARM_UP_ROWS = 10_000_000


@dataclasses.dataclass(frozen=True)
class _Session:
    """The input and the resources of a session; `memory` is the driver's, in Spark's notation (`2g`)."""

    paths: Sequence[str]
    rows: int
    cores: int
    memory: str


def compare_cores(paths: Sequence[str], folder: Path, *, rows: int, cores: int, times: int) -> dict[str, float]:
    """The speed with all cores over that with one, as `cores_N_vs_1`."""
    sessions = {str(number): _Session(paths, rows, cores=number, memory="2g") for number in (1, cores)}
    seconds, _ = _in_turns(sessions, folder, times=times)
    return {f"cores_{cores}_vs_1": median_ratio(seconds, "1", str(cores))}


def measure_sizes(folder: Path, sizes: Sequence[int], *, cores: int, memory: str, times: int) -> list[dict[str, Any]]:
    """Cost and memory at each number of rows, with `memory` for the driver.

    Returns
    -------
    list of dict
        `rows`, `seconds`, `peak_mib` by kind of process, `microseconds_per_row`, and `relative_cost`, the cost of a row
        over that at the largest number of rows in the same turn.
    """
    data = folder / "data"
    sessions = {
        str(rows): _Session(generated_reviews(data, rows, processes=cores), rows, cores=cores, memory=memory)
        for rows in sizes
    }
    seconds, peaks = _in_turns(sessions, folder, times=times)
    return [
        {
            "rows": rows,
            "seconds": statistics.median(seconds[str(rows)]),
            "peak_mib": peaks[str(rows)],
            "microseconds_per_row": statistics.median(seconds[str(rows)]) / rows * 1e6,
            "relative_cost": median_ratio(seconds, str(rows), str(max(sizes))) * max(sizes) / rows,
        }
        for rows in sizes
    ]


def _in_turns(
    sessions: Mapping[str, _Session], folder: Path, *, times: int
) -> tuple[dict[str, list[float]], dict[str, dict[str, float]]]:
    """Seconds by turn and peak memory of each session. All sessions are warm; one works while the others are idle."""
    with contextlib.ExitStack() as stack:
        children = {
            name: stack.enter_context(_warm_session(session, folder / "data" / f"alone-{name}"))
            for name, session in sessions.items()
        }
        seconds = in_turns({name: _seconds_of(child) for name, child in children.items()}, times=times)
        return seconds, {name: child.peak_mib for name, child in children.items()}


@contextlib.contextmanager
def _warm_session(session: _Session, output: Path) -> Iterator[ChildProcess]:
    _log.info("preparing %d rows on %d cores with a driver of %s", session.rows, session.cores, session.memory)
    arguments = [str(session.cores), session.memory, str(output), *session.paths]
    with start_module(prepare_worker.__name__, arguments, cores=session.cores) as child:
        for _ in range(WARM_UP_ROWS // session.rows):
            child.ask()
        yield child


def _seconds_of(child: ChildProcess) -> Callable[[], float]:
    return lambda: float(child.ask()["seconds"])
