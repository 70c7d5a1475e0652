"""Texts with the HTML of reviews, well-formed and broken, for property tests."""

from __future__ import annotations

import random

from hypothesis import strategies as st

__all__ = ["marked_up", "random_texts"]

_PIECES = [
    *("good", "bad", "Not", "don", "t", "br", "b", "amp", "lt", "gt", "#39", "x27", "nbsp", "A&T", "3"),
    *("<", ">", "</", "/>", "&", ";", "#", "&#", "&#x", "'", '"', "=", ".", ","),
    *("<br />", "<BR>", "<br", "<b<br>r>", "</p>", '<a href="/dp/B0?a&amp;b">', "<sigh>", "<b\u00a0/>", "<i\x0b>"),
    *(
        "&#39;",
        "&amp;",
        "&amp;#39;",
        "&amp;amp;lt;br&amp;gt;",
        "&lt;b&gt;",
        "&nbsp;",
        "&nGt;",
        "&notit;",
        "&#x27",
        "&ampx",
    ),
    *("&#xD83D;", "&#xDE00;", "&#0;", "&#1;", "&#128512;", "&#99999999;", "&Eacute;", "&B;"),
    *(" ", "  ", "\t", "\n", "\r\n", "\x0b", "\x1c", "\0", "\x85", "\u00a0", "\u2003", "\u3000", "\u200b", "\ufeff"),
    *("é", "Größe", "日本", "👍🏽", "x\u0301", "’", "\ufffd"),
]


def marked_up() -> st.SearchStrategy[str]:
    """Texts of pieces of markup and of any characters."""
    piece = st.sampled_from(_PIECES) | st.text(max_size=4)
    return st.lists(piece, max_size=14).map("".join)


def random_texts(number: int, *, seed: int) -> list[str]:
    """Random texts of pieces of markup."""
    rng = random.Random(seed)
    return ["".join(rng.choices(_PIECES, k=rng.randrange(15))) for _ in range(number)]
