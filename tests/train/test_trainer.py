"""The trainer knows nets and samplings by their protocols alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from sentispark.dataset.batches import make_batch
from sentispark.dataset.dataset import open_dataset
from sentispark.dataset.readers import ArrowReader
from sentispark.dataset.store import RowStore
from sentispark.train.batch_sizes import BatchSizeController
from sentispark.train.evaluation import shares
from sentispark.train.options import TrainOptions
from sentispark.train.step import Stepper
from sentispark.train.trainer import Trainer
from sentispark.train.world import World
from tests.helpers.toy import VOCABULARY, toy_rows, write_toy

ROWS = 90


class Bag(nn.Module):
    """A net of the least possible: a weight for each word, summed. It has no word vectors, and padding counts."""

    trims = False
    word_vectors = None

    def __init__(self):
        super().__init__()
        self.weights = nn.Embedding(VOCABULARY, 1)
        nn.init.zeros_(self.weights.weight)

    def parameter_groups(self):
        return {"deep": list(self.parameters())}

    def forward(self, sequence, length):
        return self.weights(sequence.long()).sum(dim=(1, 2))


class Drawn:
    """A sampling with replacement: each step draws its own rows, of which some come twice and some never."""

    steps = 6

    def __init__(self, store, epoch):
        self.store, self.epoch = store, epoch

    def rows_in_step(self, step):
        return 10 + step

    def batch(self, step, batch_sizes, rank):
        drawn = np.sort(np.random.default_rng((self.epoch, step)).integers(0, ROWS, self.rows_in_step(step)))
        first, last = shares(len(drawn), np.asarray(batch_sizes))[rank : rank + 2].tolist()
        return make_batch(self.store.take(drawn[first:last]), trim=False)


@pytest.fixture
def stores(tmp_path):
    dataset = open_dataset(write_toy(tmp_path, {"train": toy_rows(ROWS), "validation": toy_rows(30, seed=2)}))
    with RowStore(dataset, "train", ArrowReader()) as train, RowStore(dataset, "validation", ArrowReader()) as rest:
        yield train, rest


def test_any_net_and_any_sampling_are_trained_as_a_plain_loop_trains_them(stores):
    train, validation = stores
    world, options = World(), TrainOptions(optimizer="sgd", momentum=0.0, weight_decay=0.0, schedule="constant")
    net, peer = Bag(), Bag()
    stepper = Stepper(net, options, world, steps=12)
    controller = BatchSizeController(options, world, stepper.clock)
    trainer = Trainer(
        net, stepper, controller, lambda epoch: Drawn(train, epoch), validation, options=options, world=world
    )
    first, second = trainer.epoch(), trainer.epoch()

    optimizer, sums = torch.optim.SGD(peer.parameters(), lr=options.learning_rate), []
    warmup = round(12 * options.warmup_share)
    for epoch in (1, 2):
        for step in range(Drawn.steps):
            sequence, length, label, _ = map(torch.from_numpy, Drawn(train, epoch).batch(step, [1], 0))
            loss = nn.functional.binary_cross_entropy_with_logits(peer(sequence, length), label)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(peer.parameters(), options.gradient_clip)
            taken = (epoch - 1) * Drawn.steps + step
            optimizer.param_groups[0]["lr"] = options.learning_rate * min(1.0, (taken + 1) / max(1, warmup))
            optimizer.step()
            sums.append(loss.item() * len(label))
    torch.testing.assert_close(net.weights.weight, peer.weights.weight)
    rows = sum(10 + step for step in range(Drawn.steps))
    assert first["train_loss"] == pytest.approx(sum(sums[: Drawn.steps]) / rows)
    assert second["train_loss"] == pytest.approx(sum(sums[Drawn.steps :]) / rows)
    assert first["validation"]["rows"] == 30
