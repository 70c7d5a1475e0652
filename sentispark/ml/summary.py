"""How a model was trained, and the table that a notebook shows of it."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from sentispark.train.events import EpochEntry
    from sentispark.train.result import RunRecord

__all__ = ["TrainingSummary"]

_COLUMNS: Mapping[str, Callable[[EpochEntry], str]] = {
    "epoch": lambda epoch: str(epoch["epoch"]),
    "loss": lambda epoch: f"{epoch['train_loss']:.4f}",
    "validation loss": lambda epoch: _measure(epoch, "log_loss"),
    "accuracy": lambda epoch: _measure(epoch, "accuracy"),
    "AUC": lambda epoch: _measure(epoch, "roc_auc"),
    "rows/s": lambda epoch: f"{epoch['rows_per_second']:,.0f}",
    "seconds": lambda epoch: f"{epoch['seconds']:.1f}",
}


@dataclasses.dataclass(frozen=True)
class TrainingSummary:
    """How a model was trained; a notebook shows a table of its epochs, the kept one in bold.

    Attributes
    ----------
    history : list of EpochEntry
        An entry for each epoch: `epoch, train_loss, validation, seconds, rows_per_second, data_wait_share,
        rank_wait_share, batch_sizes, balance`. The shares are of the time, averaged over the ranks; `balance` holds the
        decisions on batch sizes.
    run : RunRecord
        `workers`, `reader`, `backend`, `device`, `kept_epoch` and the training's `options`.
    """

    history: list[EpochEntry]
    run: RunRecord

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
        rows = "".join(_row(epoch, kept=epoch["epoch"] == self.run.get("kept_epoch")) for epoch in self.history)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"


def _row(epoch: EpochEntry, *, kept: bool) -> str:
    style = ' style="font-weight: bold"' if kept else ""
    return f"<tr{style}>" + "".join(f"<td>{html.escape(show(epoch))}</td>" for show in _COLUMNS.values()) + "</tr>"


def _measure(epoch: EpochEntry, name: Literal["log_loss", "accuracy", "roc_auc"]) -> str:
    validation = epoch["validation"]
    value = None if validation is None else validation[name]
    return "" if value is None else f"{value:.4f}"
