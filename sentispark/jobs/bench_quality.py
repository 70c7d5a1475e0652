"""`sentispark bench quality`: how well reviews are judged, beside linear models on the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pyspark.sql import SparkSession

from sentispark.dataset.dataset import open_dataset
from sentispark.dataset.manifest import SPLITS
from sentispark.dataset.readers import ArrowReader
from sentispark.dataset.store import RowStore
from sentispark.errors import InputError
from sentispark.files import Folder
from sentispark.nn.options import NetOptions, reference_net
from sentispark.prepare.prepare import prepare_dataset
from sentispark.reviews.options import ReviewOptions
from sentispark.spark.session import task_cores
from sentispark.study.prepare import generated_reviews
from sentispark.study.quality import judge_linear, judge_majority, judged, labelled_texts
from sentispark.study.training import train_alone
from sentispark.text.options import TextOptions
from sentispark.train.config import TrainConfig, TrainOptions
from sentispark.train.result import TrainedNet
from sentispark.train.trainer import evaluate
from sentispark.train.world import World

__all__ = ["measure"]

ROWS = 60_000
RANKS = 2

# The 2019 system's: its words, length, net and settings (a global batch of 128 on one GPU).
_REFERENCE = (
    TextOptions(stop_words="reference", vocab_size=10_000, sequence_length=100),
    TrainOptions(
        max_epochs=10,
        batch_size=128,
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=0.0,
        schedule="constant",
        warmup_share=0.0,
        gradient_clip="none",
        positive_weight=0.2,
        keep="last",
    ),
    reference_net(),
)
_DEFAULT = (TextOptions(), TrainOptions(), NetOptions())


def measure(spark: SparkSession, folder: Path, *, rows: int | None, paths: Sequence[str]) -> dict[str, Any]:
    """The table, as `results`."""
    cores, options = task_cores(spark), ReviewOptions()
    paths = list(paths) or generated_reviews(folder / "data", rows or ROWS, processes=cores)
    texts = labelled_texts(spark, paths, options)
    datasets = {name: str(folder / "data" / name) for name in ("reference", "default")}
    # A split goes by words, and the reference's cleaning finds others: its net is judged by other rows of the same.
    prepare_dataset(spark, paths, datasets["reference"], options, _REFERENCE[0])
    prepare_dataset(spark, paths, datasets["default"], options, _DEFAULT[0])
    written = {split: open_dataset(datasets["default"]).manifest.rows(split) for split in SPLITS}
    if written != {split: len(texts[split].texts) for split in SPLITS}:
        raise InputError(f"All systems must have the same rows. '{datasets['default']}' has {written}.")
    spark.stop()
    results = [
        judge_majority(texts),
        judge_linear(texts, words=10_000, longest=1),
        judge_linear(texts, words=200_000, longest=2),
        _judge_net("2019 system's net and settings", datasets["reference"], _REFERENCE, folder, cores),
        _judge_net("sentispark's default", datasets["default"], _DEFAULT, folder, cores),
    ]
    return {"rows": {split: len(texts[split].texts) for split in SPLITS}, "results": results}


def _judge_net(
    system: str, path: str, options: tuple[TextOptions, TrainOptions, NetOptions], folder: Path, cores: int
) -> dict[str, Any]:
    _, train, net = options
    done = train_alone(TrainConfig(path, train, net), folder, ranks=RANKS, cores=cores)
    seconds = sum(epoch["seconds"] for epoch in done["epochs"])
    module = TrainedNet.load(Folder(str(folder / "net"))).module()
    with RowStore(open_dataset(path), "test", ArrowReader()) as store:
        return judged(system, evaluate(module, store, World()), seconds)
