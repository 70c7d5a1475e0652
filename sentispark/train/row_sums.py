"""Sums over the ranks of gradients that are nonzero in only a few rows: each word has a row, and most do not occur.

The ranks exchange row indices while they compute; the values are sent once the backward pass is over.
"""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, distributed

from sentispark.nn.net import Net
from sentispark.train.clock import StepClock

__all__ = ["RowSums", "row_tables"]

# If more than this share of a table's rows have gradients, the whole table is sent, since picking rows takes time.
_SHARE_TO_PICK = 0.8


def row_tables(net: Net) -> list[str]:
    """The names of the parameters of which a step uses only some rows."""
    device = next(iter(net.parameters())).device
    return [*net.rows_used(torch.zeros((1, 1), dtype=torch.int32, device=device))]


class RowSums:
    """The sums of some parameters' gradients, taken over the rows that any rank has a gradient for.

    Other rows' gradients are 0 on every rank, so these are the sums of the whole gradients.

    Parameters
    ----------
    net : Net
        The same weights on every rank.
    tables : list of str
        From `row_tables`.
    clock : StepClock
        Records when this rank's own gradients are done.
    dtype : torch.dtype, optional
        What values are rounded to before they are sent.
    """

    def __init__(self, net: Net, tables: list[str], clock: StepClock, dtype: torch.dtype | None = None) -> None:
        parameters = dict(net.named_parameters())
        self._net, self._dtype, self._tables = net, dtype, [parameters[name] for name in tables]
        # One numbering for the rows of all tables; table i has those from _first[i] on.
        self._first = np.cumsum([0, *map(len, self._tables)]).tolist()
        self._used = torch.zeros(self._first[-1], dtype=torch.uint8, device=self._tables[0].device)
        for table in self._tables:
            # These gradients are the last ones; the backward pass ends later, as it waits for the other ranks.
            table.register_post_accumulate_grad_hook(lambda _: clock.computed())  # type: ignore[no-untyped-call]

    def begin(self, sequence: Tensor) -> None:
        """A step with these token ids begins, int of shape (n, T): the exchange of row indices is started."""
        self._used.zero_()
        for first, rows in zip(self._first, self._net.rows_used(sequence).values(), strict=False):
            self._used[rows.flatten() + first] = 1
        self._union = _Union(self._used)

    def finish(self) -> None:
        """The backward pass is over: each table's gradient becomes the sum over all ranks."""
        rows = self._union.rows()
        bounds = torch.searchsorted(rows, torch.tensor(self._first, device=rows.device)).tolist()
        picked = [
            _Picked(cast(Tensor, table.grad), rows[begin:end] - first)
            for table, first, begin, end in zip(self._tables, self._first, bounds, bounds[1:], strict=False)
        ]
        values = torch.cat([one.values.flatten() for one in picked])
        sent = values if self._dtype is None else values.to(self._dtype)
        distributed.all_reduce(sent)
        for one, summed in zip(picked, torch.split(sent, [one.values.numel() for one in picked]), strict=True):
            one.put(summed)


class _Picked:
    """Some rows of a gradient, or all of them if that is most of them."""

    def __init__(self, gradient: Tensor, rows: Tensor) -> None:
        self._gradient = gradient
        self._rows = rows if len(rows) <= _SHARE_TO_PICK * len(gradient) else None
        self.values = gradient if self._rows is None else gradient.index_select(0, self._rows)

    def put(self, summed: Tensor) -> None:
        """Replace the values in the gradient."""
        summed = summed.to(self._gradient.dtype).view(self.values.shape)
        if self._rows is None:
            self._gradient.copy_(summed)
        else:
            self._gradient.index_copy_(0, self._rows, summed)


class _Union:
    """The rows that any rank uses, exchanged in the background.

    Parameters
    ----------
    used : Tensor of shape (rows,), dtype=uint8
        1 for each row that this rank uses. It is overwritten.
    """

    def __init__(self, used: Tensor) -> None:
        self._used = used
        if used.device.type == "cpu":  # NCCL has no bitwise "or"
            self._sent = torch.from_numpy(np.packbits(used.numpy()))
            self._work = distributed.all_reduce(self._sent, distributed.ReduceOp.BOR, async_op=True)
        else:
            self._work = distributed.all_reduce(used, distributed.ReduceOp.MAX, async_op=True)

    def rows(self) -> Tensor:
        """The rows in ascending order, dtype=int64; waits until they are known."""
        self._work.wait()
        if self._used.device.type == "cpu":
            return torch.from_numpy(np.flatnonzero(np.unpackbits(self._sent.numpy(), count=len(self._used))))
        return self._used.nonzero().squeeze(1)
