"""The options of the 2019 system that sentispark is compared with; its net is `sentispark.nn.options.reference_net`."""

from __future__ import annotations

from sentispark.bench.peers.streaming import LENGTH, WORDS
from sentispark.text.options import TextOptions
from sentispark.train.options import TrainOptions

__all__ = ["REFERENCE_TEXT", "REFERENCE_TRAINING"]

# Its list of stop words implies its cleaning of texts.
REFERENCE_TEXT = TextOptions(stop_words="reference", vocab_size=WORDS, sequence_length=LENGTH)

# A global batch of 128 on one GPU.
REFERENCE_TRAINING = TrainOptions(
    max_epochs=10,
    batch_size=128,
    optimizer="sgd",
    learning_rate=0.1,
    momentum=0.9,
    weight_decay=0.0,
    schedule="constant",
    warmup_share=0.0,
    gradient_clip=None,
    positive_weight=0.2,
    keep="last",
)
