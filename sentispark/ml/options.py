"""The options of a fit that are neither the net's nor the training's."""

from __future__ import annotations

import dataclasses

from sentispark.options import anything, at_least, between, option

__all__ = ["FitOptions"]


@dataclasses.dataclass(frozen=True)
class FitOptions:
    """Where and on what a fit runs."""

    num_workers: int = option(1, at_least(1), "ranks that train together, each in a task of its own", flag="--workers")
    cache_dir: str = option(
        "",
        anything(),
        "folder, readable from every executor, that keeps encoded rows for later fits; a temporary one in local mode",
    )
    validation_fraction: float = option(
        0.0, between(0, 1, open_high=True), "share of the rows kept for validation where no column marks them"
    )
