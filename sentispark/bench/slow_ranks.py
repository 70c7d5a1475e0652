"""`torchrun -m sentispark.bench.slow_ranks`: train with ranks that are slowed down on purpose."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from sentispark.bench.slowdown import Slowdown
from sentispark.train.config import TrainConfig
from sentispark.train.run import run_rank
from sentispark.train.world import world_from_environment

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Print the history and the recorded batch sizes, as JSON."""
    parser = argparse.ArgumentParser(prog="torchrun -m sentispark.bench.slow_ranks", description=__doc__)
    parser.add_argument("--config", required=True, help="JSON file, as for sentispark.train")
    parser.add_argument(
        "--slowdowns", required=True, help="JSON list with an object of Slowdown's fields for each rank"
    )
    flags = parser.parse_args(arguments)
    config = TrainConfig.from_json(Path(flags.config).read_text())
    world = world_from_environment(config.train.device, os.environ)
    trained = run_rank(config, world, before_step=Slowdown(**json.loads(flags.slowdowns)[world.rank]).wait)
    if world.is_first:
        # The answer to the process that started the ranks.
        print(json.dumps({"history": trained.history, "batch_sizes": trained.run["batch_sizes"]}))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
