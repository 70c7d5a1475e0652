"""A trained pipeline in a single process, for web services: texts in, probabilities out, without a Spark session."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.ml import PipelineModel

from sentispark.errors import InputError
from sentispark.files import Folder
from sentispark.ml.explain import Explanation, explained
from sentispark.ml.inference import logits_of
from sentispark.ml.model import LSTMClassificationModel
from sentispark.ml.pipeline import ENCODERS, require_our_stages, saved_markup, saved_stages
from sentispark.ml.thresholds import binary_threshold
from sentispark.options import camel_case, options_of
from sentispark.spark.params import ColumnStage
from sentispark.text import wordlist
from sentispark.text.encoder import ReviewEncoderModel
from sentispark.text.kernels import truncate_lists
from sentispark.text.options import TextOptions, saved_text_options
from sentispark.text.padding import SequencePadder
from sentispark.text.token_ids import FIRST_WORD, UNKNOWN
from sentispark.text.tokenizer import ReviewTokenizer
from sentispark.text.vocabulary import VocabularyModel
from sentispark.text.wordlist import WordList
from sentispark.text.words import words_of
from sentispark.train.result import NET_FILE, TrainedNet

__all__ = ["TextPredictor"]

# Types of pandas' missing values other than NaN; by name, so that pandas is not imported.
_MISSING = ("NAType", "NaTType")


class TextPredictor:
    """Scores texts in the calling process, with the same results as the pipeline's `transform`.

    Parameters
    ----------
    word_list : WordList
    text_options : TextOptions
        How texts become sequences.
    trained : TrainedNet
    threshold : float
        Probability above which a text is positive, in [0, 1].

    Examples
    --------
    >>> TextPredictor.load("model").predict(["Works great!", "Broke after a day."])  # doctest: +SKIP
    array([1., 0.])
    """

    def __init__(
        self, word_list: WordList, text_options: TextOptions, trained: TrainedNet, *, threshold: float = 0.5
    ) -> None:
        self._options, self.threshold = text_options, threshold
        self._ids = {word: token_id for token_id, word in enumerate(word_list.words, start=FIRST_WORD)}
        self._trained, self._net = trained, trained.module()

    @classmethod
    def load(cls, path: str | os.PathLike[str] | Folder) -> TextPredictor:
        """The predictor of a folder that `sentispark train`, a pipeline's `save` or a training with torchrun wrote.

        Raises
        ------
        DatasetError
            If the folder does not hold an encoder (or the three stages equal to it) and a classifier, or is damaged.
        InputError
            If a stage does not read the output of the one before it.
        """
        folder = path if isinstance(path, Folder) else Folder(os.fspath(path))
        if folder.exists(NET_FILE):
            trained = TrainedNet.load(folder)
            return cls(_words(folder), saved_text_options(trained.run["text_options"]), trained)
        *encoding, classifier = require_our_stages(folder, saved_stages(folder), encoders=ENCODERS)
        _require_chained(
            [*((one.param("inputCol"), one.param("outputCol")) for one in encoding)], classifier.param("featuresCol")
        )
        trained = TrainedNet.load(classifier.folder)
        options = {name: value for stage in encoding for name, value in stage.params.items()}
        options["markup"] = saved_markup(encoding[0], trained)
        names = {camel_case(field.name): field.name for field in options_of(TextOptions)}
        words, params = encoding[1] if len(encoding) > 1 else encoding[0], classifier.params
        return cls(
            _words(words.folder),
            saved_text_options({names[name]: value for name, value in options.items() if name in names}),
            trained,
            threshold=binary_threshold(params["thresholds"])
            if "thresholds" in params
            else classifier.param("threshold"),
        )

    @classmethod
    def of(cls, pipeline: PipelineModel) -> TextPredictor:
        """The predictor of a fitted pipeline that ends with an encoder, or the stages equal to it, and a classifier.

        It takes the texts that reach these stages; earlier stages are ignored.

        Raises
        ------
        InputError
            If the pipeline has other stages at its end, or a stage does not read the output of the one before it.
        """
        stages = getattr(pipeline, "stages", [pipeline])
        match stages:
            case [*_, ReviewEncoderModel() as encoder, LSTMClassificationModel() as model]:
                _require_chained(_columns_of(encoder), model.getFeaturesCol())
                return cls(encoder.word_list, encoder.options, model.trained, threshold=model.getThreshold())
            case [*_, ReviewTokenizer() as words, VocabularyModel() as ids, SequencePadder() as padder, model] if (
                isinstance(model, LSTMClassificationModel)
            ):
                _require_chained(_columns_of(words, ids, padder), model.getFeaturesCol())
                options = _options_of(words, ids, padder)
                return cls(ids.word_list, options, model.trained, threshold=model.getThreshold())
        found = ", ".join(type(stage).__name__ for stage in stages)
        raise InputError(
            "'pipeline' must end with an encoder (ReviewEncoderModel; or ReviewTokenizer, VocabularyModel and "
            f"SequencePadder) and an LSTMClassificationModel. It is {found or 'empty'}."
        )

    def probability(self, texts: Sequence[str | None]) -> np.ndarray:
        """The probability that each text is positive.

        Parameters
        ----------
        texts : sequence of str or None, of length n
            Or a pandas Series, a NumPy or Arrow array, or a generator. Missing values are read as empty texts.

        Returns
        -------
        ndarray of shape (n,), dtype=float64

        Raises
        ------
        InputError
            If `texts` is a single text, or holds anything other than texts and missing values.
        """
        ids = [self._ids_of(words) for words in self._read(texts)]
        logits = logits_of(self._net, self._trained, pa.array(ids, pa.list_(pa.int32())))
        probability: np.ndarray = np.exp(-np.logaddexp(0, -logits))
        return probability

    def predict(self, texts: Sequence[str | None]) -> np.ndarray:
        """1.0 for each text that is positive and 0.0 for the others, shape (n,), dtype=float64; see `probability`."""
        return (self.probability(texts) > self.threshold).astype(np.float64)

    def explain(self, texts: Sequence[str | None]) -> list[Explanation]:
        """What each word of each text contributes; see `probability` for the parameter and errors."""
        return [explained(self._net, self._trained, words, self._ids_of(words)) for words in self._read(texts)]

    def _read(self, texts: Sequence[str | None]) -> list[list[str]]:
        """The words of each text, cut to the sequence length."""
        options = self._options
        words = words_of(pa.array(_as_texts(texts), pa.string()), options)
        read: list[list[str]] = truncate_lists(words, options.sequence_length, truncate=options.truncate).to_pylist()
        return read

    def _ids_of(self, words: list[str]) -> list[int]:
        # For one text a dict takes a few microseconds; Arrow's kernel hashes the whole vocabulary in each call: 3 ms.
        return [self._ids.get(word, UNKNOWN) for word in words]


def _words(folder: Folder) -> WordList:
    return WordList.from_json(folder.read(wordlist.FILE_NAME), source=folder.path(wordlist.FILE_NAME))


def _columns_of(*stages: ColumnStage) -> list[tuple[str, str]]:
    """The input and output columns of stages."""
    return [(stage.getInputCol(), stage.getOutputCol()) for stage in stages]


def _require_chained(encoding: Sequence[tuple[str, str]], features: str) -> None:
    """Raise unless each stage reads the output of the one before it; `encoding` has their columns."""
    for (_, output), read in zip(encoding, [*(read for read, _ in encoding[1:]), features], strict=True):
        if output != read:
            raise InputError(
                f"Each stage must read the output of the one before it, '{output}'. The next one reads '{read}'. "
                "Set the next stage's inputCol or featuresCol."
            )


def _options_of(tokenizer: ReviewTokenizer, words: VocabularyModel, padder: SequencePadder) -> TextOptions:
    """The options that the three stages have together."""
    values: dict[str, Any] = {}
    for stage in (tokenizer, words, padder):
        names = [field.name for field in options_of(TextOptions) if stage.hasParam(camel_case(field.name))]
        values |= {name: stage.getOrDefault(camel_case(name)) for name in names}
    return saved_text_options(values)


def _as_texts(texts: Iterable[object]) -> list[str | None]:
    """The texts, with None for missing ones; lone surrogates are replaced as Spark replaces them."""
    if isinstance(texts, (str, bytes)):
        raise InputError("'texts' must be a list of texts. Got one text. Put it in a list.")
    if isinstance(texts, (pa.Array, pa.ChunkedArray)):
        texts = texts.to_pylist()
    if isinstance(texts, Mapping) or not isinstance(texts, Iterable) or getattr(texts, "ndim", 1) != 1:
        raise InputError(f"'texts' must be a list of texts. Got a {type(texts).__name__}.")
    return [_as_text(index, text) for index, text in enumerate(texts)]


def _as_text(index: int, text: object) -> str | None:
    if isinstance(text, str):
        return text if text.isascii() else text.encode("utf-8", "replace").decode()
    if text is None or type(text).__name__ in _MISSING or (isinstance(text, float) and math.isnan(text)):
        return None
    raise InputError(f"'texts' must hold texts. Item {index} is a {type(text).__name__}: {str(text)[:40]!r}.")
