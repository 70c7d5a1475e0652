"""Measurements drawn as PNG files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

__all__ = ["draw_memory", "draw_ratios", "draw_stages"]


def draw_ratios(ratios: Mapping[str, float], path: Path) -> None:
    """Draw a bar for each ratio, and a line at 1, where both are equally fast."""
    figure = Figure(figsize=(8, 0.5 * len(ratios) + 1), layout="constrained")
    axes = figure.subplots()
    bars = axes.barh(list(ratios), list(ratios.values()))
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.axvline(1, color="black", linewidth=1)
    axes.invert_yaxis()
    axes.set_xlabel("speed-up")
    axes.margins(x=0.1)
    figure.savefig(path, dpi=150)


def draw_stages(ours: Mapping[str, float], streaming: Mapping[str, float], path: Path) -> None:
    """Draw the seconds by stage of sentispark and of the streaming jobs, a bar for each of the two."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots()
    for name, stages in {"sentispark": ours, "streaming": streaming}.items():
        left = 0.0
        for stage, seconds in stages.items():
            axes.barh(name, seconds, left=left, label=f"{name}: {stage}", edgecolor="white")
            left += seconds
    axes.set_xlabel("seconds")
    axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=150)


def draw_memory(scale: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw peak resident sizes and the cost of a row over the number of rows."""
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    memory, cost = figure.subplots(1, 2)
    rows = [entry["rows"] for entry in scale]
    for kind in ("driver", "jvm", "worker"):
        memory.plot(rows, [entry["peak_mib"][kind] for entry in scale], marker="o", label=kind)
    memory.set(xscale="log", xlabel="rows", ylabel="peak resident size, MiB", ylim=(0, None))
    memory.legend()
    cost.plot(rows, [entry["microseconds_per_row"] for entry in scale], marker="o")
    cost.set(xscale="log", xlabel="rows", ylabel="microseconds per row", ylim=(0, None))
    figure.savefig(path, dpi=150)
