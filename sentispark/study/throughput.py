"""`python -m sentispark.study.throughput DATASET`: rows per second by net and batch size, beside a bare loop; no Spark.

Where there are GPUs each is a rank; elsewhere one rank trains on the CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from sentispark.nn.options import NetOptions, reference_net
from sentispark.study.training import compare_with_bare_loop
from sentispark.train.config import TrainConfig, TrainOptions

__all__ = ["main"]

_NETS = {"reference": reference_net(), "default": NetOptions()}


def main(arguments: list[str] | None = None) -> int:
    """Print a line of JSON a net and batch size: rows per second of both, and how many times as fast sentispark is."""
    parser = argparse.ArgumentParser(prog="python -m sentispark.study.throughput", description=__doc__)
    parser.add_argument("dataset", help="folder that 'prepare' wrote")
    parser.add_argument("--batches", default="128,512,2048,8192,16384", help="rows of a step (default: %(default)s)")
    parser.add_argument("--ranks", type=int, default=max(1, torch.cuda.device_count()), help="default: %(default)s")
    parser.add_argument("--times", type=int, default=3, help="epochs that count, after one that does not (default: 3)")
    parser.add_argument("--precision", default="tf32", help="sentispark's on a GPU (default: tf32, the bare loop's)")
    flags = parser.parse_args(arguments)
    for name, net in _NETS.items():
        for batch in map(int, flags.batches.split(",")):
            with TemporaryDirectory() as folder:
                found = compare_with_bare_loop(
                    TrainConfig(
                        flags.dataset, TrainOptions(batch_size=batch, precision=flags.precision, reader="arrow"), net
                    ),
                    Path(folder),
                    ranks=flags.ranks,
                    cores=len(os.sched_getaffinity(0)),
                    times=flags.times,
                )
            speeds = {way: round(found["rows"] / min(seconds)) for way, seconds in found["seconds"].items()}
            line = {
                "net": name,
                "batch": batch,
                "ranks": flags.ranks,
                "precision": flags.precision,
                "rows_per_second": speeds,
            }
            print(json.dumps({**line, "ratio": round(found["ratio"], 3)}), flush=True)  # noqa: T201 - the table
    return 0


if __name__ == "__main__":
    sys.exit(main())
