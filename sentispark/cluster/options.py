"""Options of a training's restarts."""

from __future__ import annotations

import dataclasses
import math

from sentispark.options import at_least, between, check, option

__all__ = ["RestartOptions"]


@dataclasses.dataclass(frozen=True)
class RestartOptions:
    """How often, and with how many workers, a training that lost some of them is restarted."""

    max_restarts: int = option(3, at_least(0), "restarts after a failure, such as a lost executor")
    max_preemptions: int = option(10, at_least(0), "restarts because a machine was taken away with notice")
    min_workers: int = option(1, at_least(1), "fewest workers to restart with if executors are gone")
    slot_patience: float = option(
        60.0,
        between(0, math.inf),
        "seconds to wait for lost executors before a restart with fewer workers",
    )

    def __post_init__(self) -> None:
        check(self)
