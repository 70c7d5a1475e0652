"""Token ids in, one logit per review out: embedding → LSTM or GRU → pooling over the review's own steps → linear head;
and, optionally, a linear model of words and pairs of words, whose output is added.

No packed sequences: they disable cuDNN's persistent kernels (pytorch#149194: 15 times slower at length 100).
Reviews are padded on the right, so the forward direction never sees padding before a valid step; the backward
direction is a second layer on the reversed valid steps. Inside, the time axis comes first, as both cuDNN and oneDNN
store it; every float array here is of shape (T, n, …).
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sentispark.nn.options import NetOptions
from sentispark.nn.wide import WideLinear
from sentispark.text.token_ids import PAD, UNKNOWN

__all__ = ["BidirectionalLayers", "RecurrentNet"]

_LAYERS: dict[str, type[nn.LSTM] | type[nn.GRU]] = {"lstm": nn.LSTM, "gru": nn.GRU}
EMBEDDING_STD = 0.1
BELOW_ANY_OUTPUT = -4.0  # outputs lie in [-1, 1], so padding shifted down by this never wins a maximum


class RecurrentNet(nn.Module):
    """A binary classifier of reviews; a logit above 0 means positive.

    A logit depends only on its own review's valid steps: not on trailing padding, not on the other rows. The pooling
    `padded_last` is the exception: it reads every column, padding included.

    Weights are initialized with torch's defaults, those of the embedding with N(0, 0.1²) and a zero vector for padding;
    set `torch.manual_seed` before building to repeat them.

    Parameters
    ----------
    vocabulary_size : int
        Number of token ids, padding (0) and unknown (1) included; at least 2.
    options : NetOptions
    """

    def __init__(self, vocabulary_size: int, options: NetOptions):
        super().__init__()
        self.options = options
        self.embedding = nn.Embedding(vocabulary_size, options.embedding_size, padding_idx=PAD)
        nn.init.normal_(self.embedding.weight, std=EMBEDDING_STD)
        with torch.no_grad():
            self.embedding.weight[PAD].zero_()
        self.dropout = nn.Dropout(options.dropout)
        self.embedding_dropout = nn.Dropout(options.embedding_dropout)
        between_layers = options.dropout if options.num_layers > 1 else 0.0
        shape = options.embedding_size, options.hidden_size, options.num_layers
        layer = _LAYERS[options.cell]
        self.rnn = (
            BidirectionalLayers(layer, *shape, dropout=between_layers)
            if options.bidirectional
            else layer(*shape, dropout=between_layers)
        )
        self.poolings = _POOLINGS[options.pooling]
        pooled_size = options.hidden_size * (1 + options.bidirectional) * len(self.poolings)
        self.head = _head(pooled_size, options.head_layers)
        self.wide = WideLinear(options.wide_size) if options.wide_size else None

    @property
    def trims(self) -> bool:
        """Whether trailing columns that are padding in every row may be cut off without changing a logit."""
        return self.options.pooling != "padded_last"

    @property
    def word_vectors(self) -> nn.Parameter:
        """The embedding's table, of shape (vocabulary_size, embedding_size)."""
        return cast(nn.Parameter, self.embedding.weight)

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """The linear model's parameters as "wide", all others as "deep"."""
        wide = list(self.wide.parameters()) if self.wide else []
        of_wide = set(map(id, wide))
        deep = [parameter for parameter in self.parameters() if id(parameter) not in of_wide]
        return {"deep": deep, "wide": wide} if wide else {"deep": deep}

    def rows_used(self, sequence: Tensor) -> dict[str, Tensor]:
        """The rows of the embedding and of the linear model's weights that a batch uses, by the parameters' names.

        Parameters
        ----------
        sequence : Tensor of shape (n, T), dtype=int16, int32 or int64

        Returns
        -------
        dict of Tensor, dtype=int64
        """
        words = sequence.flatten().long()
        # The unknown word may replace any other one.
        used = {"embedding.weight": torch.cat([words, words.new_tensor([UNKNOWN])])}
        return used | ({"wide.weights.weight": self.wide.rows_used(sequence.t())} if self.wide else {})

    @property
    def parameter_count(self) -> int:
        """Number of trainable values, the embedding's included."""
        return sum(parameter.numel() for parameter in self.parameters())

    def forward(self, sequence: Tensor, length: Tensor) -> Tensor:
        """The logits of a batch.

        Parameters
        ----------
        sequence : Tensor of shape (n, T), dtype=int16, int32 or int64
            Token ids in [0, vocabulary_size), padded on the right with 0. T is at least the longest length; n and T
            may be 0.
        length : Tensor of shape (n,), dtype=int32 or int64
            Valid steps of each row, in [0, T]. A row of length 0 is pooled to zeros.

        Returns
        -------
        Tensor of shape (n,), dtype=float32
        """
        rows = sequence.shape[0]
        if sequence.numel() == 0:  # no LSTM kernel takes an empty axis
            missing_row = int(rows == 0)
            sequence = functional.pad(sequence, (0, int(sequence.shape[1] == 0), 0, missing_row))
            length = functional.pad(length, (0, missing_row))
        if not self.trims:
            length = torch.full_like(length, sequence.shape[1])
        length = length.long()
        steps = sequence.t().int()
        words = self.embedding_dropout(self.embedding(self._with_unknowns(steps)))
        if torch.is_autocast_enabled(words.device.type):
            # Autocast would run an LSTM on a GPU in float16 whatever its dtype, and cuDNN has no bfloat16 LSTM.
            with torch.autocast(words.device.type, enabled=False):
                runs = self._runs(words.float(), length)
        else:
            runs = self._runs(words, length)
        pooled = torch.cat([pool(run, length) for pool in self.poolings for run in runs], dim=1)
        pooled = pooled * (length > 0).unsqueeze(1)
        logit: Tensor = self.head(self.dropout(pooled)).squeeze(1)
        if self.wide:
            logit = logit + self.wide(steps, length)
        return logit[:rows]

    def _runs(self, words: Tensor, length: Tensor) -> tuple[Tensor, ...]:
        return self.rnn(words, length) if self.options.bidirectional else (self.rnn(words)[0],)

    def _with_unknowns(self, sequence: Tensor) -> Tensor:
        """The ids; in training, some words are replaced by the unknown word ("word dropout", Iyyer et al. 2015)."""
        if not (self.training and self.options.word_dropout):
            return sequence
        dropped = torch.rand(sequence.shape, device=sequence.device) < self.options.word_dropout
        return sequence.masked_fill(dropped & (sequence != PAD), UNKNOWN)


class BidirectionalLayers(nn.Module):
    """Computes what `nn.LSTM(bidirectional=True)` does on packed input, without packing; also for GRU layers.

    Parameters
    ----------
    layer : type
        `nn.LSTM` or `nn.GRU`.
    input_size, hidden_size, num_layers : int
    dropout : float
        Share of each layer's output that is dropped before the next layer.
    """

    def __init__(
        self, layer: type[nn.LSTM] | type[nn.GRU], input_size: int, hidden_size: int, num_layers: int, *, dropout: float
    ) -> None:
        super().__init__()
        sizes = [input_size] + [2 * hidden_size] * (num_layers - 1)
        self.ahead = nn.ModuleList(layer(size, hidden_size) for size in sizes)
        self.back = nn.ModuleList(layer(size, hidden_size) for size in sizes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, steps: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        """The last layer's outputs, each direction in the order in which it reads.

        Step 0 of the second is the review's last word, so `length - 1` is the last valid step of both; values at steps
        from `length` on have no meaning.

        Parameters
        ----------
        steps : Tensor of shape (T, n, input_size)
        length : Tensor of shape (n,), dtype=int64
            Valid steps of each row, in [0, T].

        Returns
        -------
        ahead, back : Tensor of shape (T, n, hidden_size)
        """
        order = _reversal(length, steps.shape[0])
        ahead, back = steps, _reorder(steps, order)
        for depth, (layer_ahead, layer_back) in enumerate(zip(self.ahead, self.back, strict=True)):
            if depth > 0:
                ahead, back = self.dropout(ahead), self.dropout(back)
                ahead, back = (
                    torch.cat([ahead, _reorder(back, order)], dim=2),
                    torch.cat([_reorder(ahead, order), back], dim=2),
                )
            ahead, back = layer_ahead(ahead)[0], layer_back(back)[0]
        return ahead, back


def _reversal(length: Tensor, steps: int) -> Tensor:
    """For each index of a flattened (steps · n) array, the index to take from to reverse the order of valid steps.

    Padding stays where it is, so doing it twice changes nothing.
    """
    step = torch.arange(steps, device=length.device).unsqueeze(1)
    row = torch.arange(length.shape[0], device=length.device)
    source = torch.where(step < length, length - 1 - step, step)
    return (source * length.shape[0] + row).flatten()


def _reorder(run: Tensor, order: Tensor) -> Tensor:
    # Indexes whole rows of a flat array: forward and backward take 2.7 ms, `gather` 4.2 (T=75, n=128, 100 values).
    return run.flatten(0, 1).index_select(0, order).view_as(run)


def _head(input_size: int, hidden_layers: tuple[int, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for size in hidden_layers:
        layers += [nn.Linear(input_size, size), nn.ReLU()]
        input_size = size
    return nn.Sequential(*layers, nn.Linear(input_size, 1))


def _valid(run: Tensor, length: Tensor) -> Tensor:
    """1 at valid steps, 0 at padding: Tensor of shape (T, n, 1) of the run's dtype."""
    step = torch.arange(run.shape[0], device=run.device).unsqueeze(1)
    return (step < length).unsqueeze(2).to(run.dtype)


def _last(run: Tensor, length: Tensor) -> Tensor:
    row = torch.arange(length.shape[0], device=run.device)
    return run[(length - 1).clamp(min=0), row]


def _max(run: Tensor, length: Tensor) -> Tensor:
    # A shift rather than masked_fill: its gradient is the identity, so there is no second pass over (T, n, H).
    return (run + BELOW_ANY_OUTPUT * (1 - _valid(run, length))).amax(dim=0)


def _mean(run: Tensor, length: Tensor) -> Tensor:
    return (run * _valid(run, length)).sum(dim=0) / length.clamp(min=1).unsqueeze(1)


_POOLINGS = {
    "last": (_last,),
    "max": (_max,),
    "mean": (_mean,),
    "max_mean": (_max, _mean),
    "padded_last": (_last,),
}
