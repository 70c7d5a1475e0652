"""The page of all options, `docs/options.md`, which `make options` writes from their declarations."""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from sentispark.cluster.options import RestartOptions
from sentispark.jobs.train import OF_DATAFRAMES
from sentispark.ml.options import FitOptions, PredictOptions
from sentispark.nn.options import NetOptions
from sentispark.options import NONE, camel_case, flag_name, options_of
from sentispark.reviews.options import ReviewOptions
from sentispark.text.options import TextOptions
from sentispark.train.options import CheckpointOptions, TrainOptions

__all__ = ["options_page"]

_HEAD = """# Options

Each option of the library is declared once in the code; this page, the command-line flags and the Params of the Spark
stages are derived from the declaration. `--help` lists the flags that belong to a single command (`--output`,
`--overwrite`, `--split`, …). This page is written by `make options`, and a test compares it with the code.

"""

# Class, title, the command that has its options as flags, the stages that have them as Params (None for neither).
_SECTIONS = (
    (ReviewOptions, "Reviews", "prepare", None),
    (TextOptions, "Text", "prepare", "ReviewEncoder and the three stages that it combines"),
    (NetOptions, "Net", "train", "LSTMClassifier"),
    (TrainOptions, "Training", "train", "LSTMClassifier"),
    (CheckpointOptions, "Checkpoints", "train", "LSTMClassifier"),
    (RestartOptions, "Restarts", "train", "LSTMClassifier"),
    (FitOptions, "Fit", "train", "LSTMClassifier"),
    (PredictOptions, "Prediction", None, "LSTMClassifier and its model"),
)


def options_page() -> str:
    """The text of the page, in Markdown."""
    return _HEAD + "\n".join(_section(*section) for section in _SECTIONS)


def _section(options_class: type, title: str, command: str | None, stages: str | None) -> str:
    names = [command and f"Flags of `sentispark {command}`", stages and f"Params of {stages}"]
    users = "; ".join(filter(None, names)) + "."
    lines = [
        f"## {title}",
        "",
        users,
        "",
        "| flag | Param | default | rule | meaning |",
        "| --- | --- | --- | --- | --- |",
    ]
    for field in options_of(options_class):
        param = f"`{camel_case(field.name)}`" if stages else ""
        flag = f"`{flag_name(field)}`" if command and field.name not in OF_DATAFRAMES else ""
        cells = [flag, param, _default(field), field.metadata["rule"].words, field.metadata["doc"]]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _default(field: dataclasses.Field[Any]) -> str:
    value = field.default
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or NONE
    return NONE if value is None else f"{value}"


if __name__ == "__main__":
    sys.stdout.write(options_page())
