"""The shape of the network as options, declared once; this module does not need torch."""

from __future__ import annotations

from dataclasses import dataclass

from sentispark.options import at_least, between, boolean, check, list_of, one_of, option

__all__ = ["NetOptions", "reference_net"]


@dataclass(frozen=True)
class NetOptions:
    """The shape of the network.

    Raises
    ------
    OptionError
        A value breaks its rule.
    """

    embedding_size: int = option(100, at_least(1), "size of the word vectors")
    cell: str = option("lstm", one_of("lstm", "gru"), "kind of the recurrent layers")
    hidden_size: int = option(64, at_least(1), "units in each direction of each layer; fastest on GPUs up to 128")
    num_layers: int = option(1, at_least(1), "recurrent layers, one on top of the other")
    bidirectional: bool = option(True, boolean(), "also read each review backwards")
    dropout: float = option(
        0.2,
        between(0, 1, open_high=True),
        "share of values dropped in training between recurrent layers and before the head",
    )
    embedding_dropout: float = option(
        0.2, between(0, 1, open_high=True), "share of the values of word vectors dropped in training"
    )
    word_dropout: float = option(
        0.0, between(0, 1, open_high=True), "share of a review's words replaced by the unknown word in training"
    )
    pooling: str = option(
        "max_mean",
        one_of("last", "max", "mean", "max_mean", "padded_last"),
        "how the time steps become one vector; padded_last counts padding as steps and so rules out trimming batches",
    )
    head_layers: tuple[int, ...] = option(
        (),
        list_of(at_least(1)),
        "sizes of the hidden linear + ReLU layers between pooling and the output (on the command line: 64,32)",
    )
    wide_size: int = option(
        2**20,
        at_least(0),
        "weights of the linear part, looked up by hash of a word or of two neighbors; 0 for none",
    )

    def __post_init__(self) -> None:
        check(self)
        object.__setattr__(self, "head_layers", tuple(self.head_layers))  # JSON brings a list


def reference_net() -> NetOptions:
    """The net of the 2019 system this library is measured against: 2 × LSTM(32) read at the last padded column."""
    return NetOptions(
        embedding_size=100,
        hidden_size=32,
        num_layers=2,
        bidirectional=False,
        dropout=0.5,
        embedding_dropout=0.0,
        pooling="padded_last",
        head_layers=(32,),
        wide_size=0,
    )
