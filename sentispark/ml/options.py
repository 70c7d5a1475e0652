"""The options of fits and predictions that are neither the net's nor the training's."""

from __future__ import annotations

import dataclasses

from sentispark.options import at_least, between, option, optional, text

__all__ = ["LONGEST_SEQUENCE", "FitOptions", "PredictOptions"]

# One row that is much longer than others makes all as long as itself: beyond this it has to be said that it may.
LONGEST_SEQUENCE = 10_000


@dataclasses.dataclass(frozen=True)
class FitOptions:
    """Where and on what a fit runs."""

    num_workers: int = option(1, at_least(1), "ranks that train together, each in its own Spark task", flag="--workers")
    cache_dir: str | None = option(
        None,
        optional(text()),
        "folder, readable by all executors, that keeps encoded rows for later fits; none: a temporary one, if local",
    )
    max_sequence_length: int | None = option(
        None,
        optional(at_least(1)),
        "most token ids of a row that are used: longer rows are cut at the end, in training and in prediction; "
        f"with none a row of more than {LONGEST_SEQUENCE} is refused",
    )
    validation_fraction: float = option(
        0.0, between(0, 1, open_high=True), "share of the rows set aside for validation if no column marks them"
    )


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """How a model judges rows."""

    prediction_batch_size: int = option(
        512, at_least(1), "rows of about one length that are scored at once; predictions do not depend on it"
    )
