"""`torchrun -m sentispark.train --config job.json`: the ranks that a Spark job would run, without Spark."""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from sentispark.dataset.dataset import open_dataset
from sentispark.errors import PreemptedError, SentisparkError, sentence_of
from sentispark.files import Folder
from sentispark.outputs import replaced_folder
from sentispark.overlap import require_apart
from sentispark.signals import Signals
from sentispark.text import wordlist
from sentispark.train.checkpoint import remove_checkpoints
from sentispark.train.config import TrainConfig, check_trainable, one_class_sentence
from sentispark.train.events import Event, line_of
from sentispark.train.run import run_rank
from sentispark.train.world import world_from_environment

# Ranks that take steps vote about every one to five seconds, and ask about a notice each time.
_SECONDS_WITHOUT_STEPS = 15.0

_log = logging.getLogger(__name__)


def main(arguments: list[str] | None = None) -> int:
    """Train as the rank that torchrun's environment describes; the first rank saves the net."""
    parser = argparse.ArgumentParser(prog="torchrun -m sentispark.train", description=__doc__)
    parser.add_argument("--config", required=True, help='JSON file: {"dataset": …, "train": {…}, "net": {…}}')
    parser.add_argument("--output", required=True, help="folder for the trained net")
    parser.add_argument("--overwrite", action="store_true", help="replace the output if sentispark wrote it")
    flags = parser.parse_args(arguments)
    with Signals() as signals:
        try:
            return _run(flags)
        except (SentisparkError, OSError) as error:
            print(f"error: {sentence_of(error)}", file=sys.stderr)  # noqa: T201 - a command's last word
            return 128 + signal.SIGTERM if isinstance(error, PreemptedError) else 1
        except KeyboardInterrupt:
            signals.clean_up()
            return 128 + (signals.number or signal.SIGINT)


def _run(flags: argparse.Namespace) -> int:
    config = TrainConfig.from_json(Path(flags.config).read_text())
    world = world_from_environment(config.train.device, os.environ)
    logging.basicConfig(level=logging.INFO, format=f"[rank {world.rank}/{world.size}] %(message)s")
    notice = _Notice() if config.checkpoints.checkpoint_dir else lambda: False
    if not world.is_first:
        run_rank(config, world, preempted=notice)
        return 0
    output, vectors = Folder(flags.output), config.train.embedding_path
    require_apart(output, folders=[Folder(config.dataset)], files=[flags.config, *([vectors] if vectors else [])])
    dataset = open_dataset(config.dataset)
    if config.checkpoints.checkpoint_dir:
        require_apart(Folder(config.checkpoints.checkpoint_dir), folders=[Folder(config.dataset), output])
    with replaced_folder(output, overwrite=flags.overwrite) as draft:
        # torchrun starts the ranks again after a failure: then the checkpoints are those of this run.
        if config.checkpoints.checkpoint_dir and config.checkpoints.fresh and world.is_first_start:
            check_trainable(dataset, config, world.size)
            remove_checkpoints(Folder(config.checkpoints.checkpoint_dir), keep=0)
        if sentence := one_class_sentence(dataset):
            _log.warning(sentence)
        words = dataset.word_list
        trained = run_rank(config, world, _log_event, preempted=notice)
        trained.save(draft)
        if words is not None:
            draft.write(wordlist.FILE_NAME, words.to_json())
    summary = {"workers": world.size, "reader": trained.run["reader"], "epochs": trained.history}
    print(json.dumps({**summary, "output": flags.output}))  # noqa: T201 - the command's result
    return 0


class _Notice:
    """Whether SIGTERM has announced the end of this process, which then saves and stops.

    A second one ends it, and so does the first one while nobody asks, as the ranks take no steps.
    """

    def __init__(self) -> None:
        self._received, self._last_asked = False, -math.inf
        self._end = signal.signal(signal.SIGTERM, self._receive)

    def __call__(self) -> bool:
        self._last_asked = time.monotonic()
        return self._received

    def _receive(self, number: int, frame: FrameType | None) -> None:
        is_asked = time.monotonic() - self._last_asked < _SECONDS_WITHOUT_STEPS
        if (self._received or not is_asked) and callable(self._end):
            self._end(number, frame)
        self._received = True


def _log_event(event: Event) -> None:
    if line := line_of(event):
        _log.info(line)


if __name__ == "__main__":
    sys.exit(main())
