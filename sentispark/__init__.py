"""Sentiment analysis of reviews on Spark.

The public names load on first use: importing the package loads neither Spark nor torch.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_MODULE_OF = {
    "LSTMClassificationModel": "sentispark.ml.model",
    "LSTMClassifier": "sentispark.ml.classifier",
    "ReviewEncoder": "sentispark.text.encoder",
    "ReviewEncoderModel": "sentispark.text.encoder",
    "ReviewOptions": "sentispark.reviews.options",
    "ReviewTokenizer": "sentispark.text.tokenizer",
    "SequencePadder": "sentispark.text.padding",
    "TextOptions": "sentispark.text.options",
    "TextPredictor": "sentispark.ml.local",
    "VocabularyBuilder": "sentispark.text.vocabulary",
    "VocabularyModel": "sentispark.text.vocabulary",
    "clean_cache": "sentispark.ml.cache",
    "get_spark": "sentispark.spark.session",
    "prepare_dataset": "sentispark.prepare.prepare",
    "read_reviews": "sentispark.reviews.read",
}

__all__ = ["__version__", *_MODULE_OF]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'sentispark' has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
