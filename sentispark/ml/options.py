"""Options of fits and predictions other than those of the net and of training."""

from __future__ import annotations

import dataclasses

from sentispark.options import at_least, between, option, optional, text

__all__ = ["LONGEST_SEQUENCE", "FitOptions", "PredictOptions"]

# All rows are padded to the longest one, so a longer row than this needs an explicit `maxSequenceLength`.
LONGEST_SEQUENCE = 10_000


@dataclasses.dataclass(frozen=True)
class FitOptions:
    """How a fit runs, and the rows it uses."""

    num_workers: int = option(1, at_least(1), "ranks that train together, each in its own Spark task", flag="--workers")
    cache_dir: str | None = option(
        None,
        optional(text()),
        "folder, readable by all executors, for encoded rows that later fits reuse; none: a temporary one, if local",
    )
    max_sequence_length: int | None = option(
        None,
        optional(at_least(1)),
        "most token ids of a row: longer rows are cut at the end, in training and prediction; "
        f"with none, a row of more than {LONGEST_SEQUENCE} is an error",
    )
    validation_fraction: float = option(
        0.0, between(0, 1, open_high=True), "share of the rows used for validation if no column marks them"
    )


@dataclasses.dataclass(frozen=True)
class PredictOptions:
    """How a model scores rows."""

    prediction_batch_size: int = option(
        512, at_least(1), "rows of similar length that are scored at once; predictions do not depend on it"
    )
