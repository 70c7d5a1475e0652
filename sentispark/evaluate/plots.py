"""The history of a training run in, a PNG file out. pyplot and its global state are not used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sentispark.errors import InputError

__all__ = ["balance_report", "training_report"]

BLUE, ORANGE, INK, GREY, PALE = "#2563eb", "#ea580c", "#1f2937", "#6b7280", "#e5e7eb"
PANEL_INCHES = 4.4
DOTS_PER_INCH = 150
CLASSES = ("negative", "positive")


def training_report(
    history: Sequence[Mapping[str, Any]], confusion: Sequence[Sequence[int]] | None, path: str | PathLike[str]
) -> None:
    """Draw loss, accuracy and confusion matrix side by side and write them to `path` as a PNG.

    Parameters
    ----------
    history : sequence of dict
        One entry for each epoch, of which `epoch`, `train_loss` and `validation` are read. `validation` is None or what
        `sentispark.evaluate.metrics.measures` returns; its `majority_accuracy` becomes a dashed line. If no epoch was
        validated, the accuracy panel is left out.
    confusion : 2 × 2 integers, optional
        `[[true negatives, false positives], [false negatives, true positives]]`; with None its panel is left out.
    path : path-like
        The file to write; its folder must exist.

    Raises
    ------
    InputError
        If the history is empty.
    """
    if not history:
        raise InputError("'history' must hold at least one epoch. It is empty.")
    validated = [epoch for epoch in history if epoch["validation"]]
    panels: list[Callable[[Axes], None]] = [lambda axes: _draw_loss(axes, history, validated)]
    if validated:
        panels.append(lambda axes: _draw_accuracy(axes, validated))
    if confusion is not None:
        panels.append(lambda axes: _draw_confusion(axes, np.asarray(confusion)))

    figure = Figure(
        figsize=(PANEL_INCHES * len(panels), PANEL_INCHES * 0.9),
        layout=ConstrainedLayoutEngine(w_pad=0.15, h_pad=0.1),
        facecolor="white",
    )
    for axes, draw in zip(np.atleast_1d(figure.subplots(1, len(panels))), panels, strict=True):
        draw(axes)
    figure.savefig(path, format="png", dpi=DOTS_PER_INCH)


def _draw_loss(axes: Axes, history: Sequence[Mapping[str, Any]], validated: Sequence[Mapping[str, Any]]) -> None:
    _style(axes, "Loss")
    axes.set_ylabel("mean loss")
    _curve(axes, history, [epoch["train_loss"] for epoch in history], BLUE, "train")
    if validated:
        _curve(axes, validated, [epoch["validation"]["log_loss"] for epoch in validated], ORANGE, "validation")
    _legend(axes)


def _draw_accuracy(axes: Axes, validated: Sequence[Mapping[str, Any]]) -> None:
    _style(axes, "Accuracy")
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    _curve(axes, validated, [epoch["validation"]["accuracy"] for epoch in validated], ORANGE, "validation")
    majority = validated[-1]["validation"].get("majority_accuracy")
    if majority is not None:
        axes.axhline(majority, color=GREY, linestyle=(0, (5, 4)), linewidth=1.5, label="majority class")
    _legend(axes)


def _draw_confusion(axes: Axes, confusion: np.ndarray) -> None:
    _style(axes, "Confusion matrix")
    rows = confusion.sum(axis=1, keepdims=True)
    share = confusion / np.maximum(rows, 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(confusion):
        color = "white" if share[row, column] > 0.5 else INK
        text: dict[str, Any] = {"ha": "center", "color": color}
        axes.text(column, row - 0.03, f"{count:,}", va="bottom", fontsize=14, fontweight="bold", **text)
        axes.text(column, row + 0.06, f"{share[row, column]:.1%} of row", va="top", fontsize=9.5, **text)
    axes.set_xticks((0, 1), CLASSES)
    axes.set_yticks((0, 1), CLASSES, rotation=90, va="center")
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _curve(
    axes: Axes, epochs: Sequence[Mapping[str, Any]], values: Sequence[float | None], color: str, label: str
) -> None:
    numbers = [epoch["epoch"] for epoch in epochs]
    heights = [np.nan if value is None else value for value in values]  # a gap where a measure is undefined
    axes.plot(numbers, heights, color=color, linewidth=2, marker="o", markersize=5, label=label)


def _style(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=13, fontweight="bold", color=INK, pad=10)
    axes.set_xlabel("epoch")
    axes.xaxis.label.set_color(GREY)
    axes.yaxis.label.set_color(GREY)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.tick_params(colors=GREY, length=0)
    axes.grid(color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)


def _legend(axes: Axes) -> None:
    axes.margins(y=0.15)
    axes.legend(frameon=False, labelcolor=INK, fontsize=10)


def balance_report(history: Sequence[Mapping[str, Any]], path: str | PathLike[str]) -> None:
    """Draw each rank's batch size and step time over the steps of a training, and write them to `path` as a PNG.

    Parameters
    ----------
    history : sequence of dict
        One entry for each epoch, of which `balance` is read: the decisions on batch sizes, each with its `step`, and
        the `rows` and `seconds` of each rank's steps before it.
    path : path-like
        The file to write; its folder must exist.

    Raises
    ------
    InputError
        If there was no decision: with a single rank, with `balance` off, or with too few steps to measure.
    """
    decisions = [decision for epoch in history for decision in epoch["balance"]]
    if not decisions:
        raise InputError(
            "'history' must hold a decision on batch sizes. It holds none. Train several ranks with balance on."
        )
    figure = Figure(figsize=(PANEL_INCHES * 2, PANEL_INCHES * 0.9), layout="constrained", facecolor="white")
    steps = [decision["step"] for decision in decisions]
    panels = {"rows": "rows per step", "seconds": "seconds per step, without waiting"}
    for axes, (name, label) in zip(figure.subplots(1, 2), panels.items(), strict=True):
        for rank, values in enumerate(zip(*(decision[name] for decision in decisions), strict=True)):
            axes.plot(steps, values, marker=".", label=f"rank {rank}")
        axes.set(xlabel="step", ylabel=label, ylim=(0, None))
        axes.legend(frameon=False)
    figure.savefig(path, format="png", dpi=DOTS_PER_INCH)
