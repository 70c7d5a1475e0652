"""The token ids that are not words; a vocabulary's own ids begin behind them."""

from __future__ import annotations

__all__ = ["FIRST_WORD", "PAD", "UNKNOWN"]

PAD = 0
UNKNOWN = 1
FIRST_WORD = 2
