"""A training whose driver is a process of its own, so that it can be killed: `python -m sentispark.bench.driver`."""

from __future__ import annotations

import contextlib
import random
import subprocess
import sys
import time
from pathlib import Path

import psutil

from sentispark.bench.ledger import RowLedger
from sentispark.cluster.options import RestartOptions
from sentispark.cluster.restart import train_with_restarts
from sentispark.errors import JobError
from sentispark.files import Folder
from sentispark.spark.session import get_spark
from sentispark.train.config import TrainConfig
from sentispark.train.result import TrainedNet

__all__ = ["train_with_killed_driver"]

_SECONDS_TO_FIRST_CHECKPOINT = 180.0


def train_with_killed_driver(
    config: TrainConfig, ranks: int, ledger: RowLedger, *, rng: random.Random
) -> tuple[TrainedNet, list[float]]:
    """Train in local mode, kill the driver a moment after its first checkpoint, and start it again.

    Returns
    -------
    TrainedNet
    list of float
        When each driver was started, in seconds since the epoch.

    Raises
    ------
    JobError
        If a driver fails, or the first one ends or takes too long before it has written a checkpoint.
    """
    assert config.checkpoints.checkpoint_dir
    checkpoints = Path(config.checkpoints.checkpoint_dir)
    output = checkpoints.parent / "net"
    command = [
        sys.executable,
        "-m",
        "sentispark.bench.driver",
        config.to_json(),
        str(ranks),
        ledger.folder,
        str(output),
    ]
    with (checkpoints.parent / "drivers.log").open("wb") as log:
        began = [time.time()]
        first = subprocess.Popen(command, stdout=log, stderr=log)
        ends = time.monotonic() + _SECONDS_TO_FIRST_CHECKPOINT
        while not any(checkpoints.glob("step-*")):
            if first.poll() is not None or time.monotonic() > ends:
                _kill_all(first)
                raise JobError(
                    f"The driver ended, or ran for {_SECONDS_TO_FIRST_CHECKPOINT:.0f} seconds, without writing a "
                    f"checkpoint. See its log, '{log.name}'."
                )
            time.sleep(0.05)
        time.sleep(rng.uniform(0.0, 2.0))
        _kill_all(first)
        began.append(time.time())
        if subprocess.run(command, stdout=log, stderr=log, check=False).returncode:
            raise JobError(f"The restarted driver failed. See its log, '{log.name}'.")
    return TrainedNet.load(Folder(str(output))), began


def _kill_all(process: subprocess.Popen[bytes]) -> None:
    """Kill a process with all that it started, such as ranks, which would take a few more steps after it."""
    with contextlib.suppress(psutil.NoSuchProcess):
        started = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for one in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(started, timeout=10)
    process.wait()


def main(arguments: list[str]) -> None:
    """Train, with the ranks as tasks of a local session, and save the net."""
    config, ranks, ledger, output = arguments
    spark = get_spark(master=f"local[{ranks}]")
    hook = RowLedger(ledger)
    trained = train_with_restarts(
        spark, TrainConfig.from_json(config), int(ranks), lambda event: None, RestartOptions(), before_step=hook
    )
    trained.save(Folder(output))
    spark.stop()


if __name__ == "__main__":
    main(sys.argv[1:])
