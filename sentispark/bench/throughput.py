"""`sentispark bench throughput`: rows per second by net and batch size, compared with a bare DDP loop.

Each GPU gets a rank; without a GPU, one rank trains on the CPU.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from sentispark.bench.train import compare_with_bare_loop
from sentispark.dataset.dataset import open_dataset
from sentispark.nn.options import NetOptions, reference_net
from sentispark.train.config import TrainConfig
from sentispark.train.options import TrainOptions

__all__ = ["measure"]

_log = logging.getLogger(__name__)

NETS = {"reference": reference_net(), "default": NetOptions()}


def measure(
    folder: Path,
    *,
    dataset: str,
    batches: Sequence[int],
    ranks: int | None,
    cores: int,
    precision: str,
    times: int,
) -> dict[str, Any]:
    """Measure each net with each batch size.

    Parameters
    ----------
    folder : Path
        For the ranks' files.
    dataset : str
        Local folder that `prepare` wrote.
    batches : sequence of int
        Global batch sizes.
    ranks : int or None
        None means one for each GPU, or one without GPUs.
    cores : int
        Cores of this machine for all ranks together.
    precision : str
        sentispark's precision on a GPU, a value of `TrainOptions`; the bare loop always uses TF32.
    times : int
        Timed epochs, after a warm-up epoch.

    Returns
    -------
    dict
        `results`, a list of `net`, `batch`, `ranks`, `precision`, `rows_per_second` of both, and `ratio`, the speed of
        sentispark over that of the bare loop.

    Raises
    ------
    DatasetError
        If the dataset cannot be used.
    """
    open_dataset(dataset)
    ranks = ranks or max(1, torch.cuda.device_count())
    results = []
    for name, net in NETS.items():
        for batch in batches:
            options = TrainOptions(batch_size=batch, precision=precision, reader="arrow")
            found = compare_with_bare_loop(
                TrainConfig(dataset, options, net), folder, ranks=ranks, cores=cores, times=times
            )
            speeds = {contender: found["rows"] / min(seconds) for contender, seconds in found["seconds"].items()}
            setting = {"net": name, "batch": batch, "ranks": ranks, "precision": precision}
            results.append({**setting, "rows_per_second": speeds, "ratio": found["ratio"]})
            _log.info("%s", results[-1])
    return {"results": results}
