"""The options of fits and predictions that are neither the net's nor the training's."""

from __future__ import annotations

import dataclasses

from sentispark.options import anything, at_least, between, option

__all__ = ["FitOptions", "PredictOptions"]


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


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """How a model judges rows."""

    prediction_batch_size: int = option(
        512, at_least(1), "rows judged at once, of about one length; what is predicted does not depend on it"
    )
