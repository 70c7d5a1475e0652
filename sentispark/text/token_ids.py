"""The special token ids, and the first id of the vocabulary's words."""

from __future__ import annotations

__all__ = ["FIRST_WORD", "PAD", "UNKNOWN"]

PAD = 0
UNKNOWN = 1
FIRST_WORD = 2
