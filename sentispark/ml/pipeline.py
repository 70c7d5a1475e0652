"""A trained net and its dataset's encoding as one Spark ML pipeline from raw text to prediction; saving, loading."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pyspark.ml import PipelineModel

from sentispark.dataset.dataset import Dataset
from sentispark.errors import DatasetError, InputError
from sentispark.files import Folder
from sentispark.ml.model import LSTMClassificationModel
from sentispark.options import camel_case
from sentispark.spark.persistence import read_metadata
from sentispark.text import wordlist
from sentispark.text.encoder import ReviewEncoderModel
from sentispark.text.options import saved_text_options
from sentispark.text.padding import SequencePadder
from sentispark.text.tokenizer import ReviewTokenizer
from sentispark.text.vocabulary import VocabularyModel
from sentispark.text.wordlist import WordList
from sentispark.train.result import NET_FILE, TrainedNet

__all__ = [
    "ENCODERS",
    "SavedStage",
    "encoder_of",
    "from_text",
    "load_pipeline",
    "require_our_stages",
    "require_same_vocabulary",
    "saved_markup",
    "saved_stages",
]


def encoder_of(dataset: Dataset) -> ReviewEncoderModel:
    """The encoder that a dataset was prepared with. Raises `DatasetError` if the dataset has no vocabulary."""
    if dataset.word_list is None:
        raise DatasetError(f"'{dataset.folder.url}' must hold a vocabulary for a pipeline from text. It has none.")
    return _encoder(dataset.word_list, dataset.manifest.text_options)


def _encoder(word_list: WordList, text_options: Mapping[str, Any]) -> ReviewEncoderModel:
    values = dataclasses.asdict(saved_text_options(text_options))
    params = {camel_case(name): value for name, value in values.items()}
    return ReviewEncoderModel.from_words(word_list, inputCol="text", outputCol="sequence", **params)


def load_pipeline(path: str | Folder) -> PipelineModel:
    """The pipeline of a folder that `sentispark train` or `torchrun -m sentispark.train` wrote.

    Raises
    ------
    DatasetError
        If the folder holds no such pipeline, or a damaged one.
    """
    folder = path if isinstance(path, Folder) else Folder(path)
    if folder.exists(NET_FILE):
        trained = TrainedNet.load(folder)
        words = WordList.from_json(folder.read(wordlist.FILE_NAME), source=folder.path(wordlist.FILE_NAME))
        encoder = _encoder(words, trained.run["text_options"])
        return PipelineModel([encoder, LSTMClassificationModel.from_trained(trained)])
    if not folder.exists("metadata"):
        raise DatasetError(f"'{folder.url}' must be a model that sentispark trained. There is none there.")
    # Not by PipelineModel.load: Spark would follow the metadata to any folder and import any class that it names.
    saved_encoder, saved_model = require_our_stages(folder, saved_stages(folder))
    model = LSTMClassificationModel.load(saved_model.folder.absolute)
    encoder = ReviewEncoderModel.load(saved_encoder.folder.absolute)
    encoder.setParams(markup=saved_markup(saved_encoder, model.trained))
    return PipelineModel([encoder, model])._resetUid(read_metadata(folder)["uid"])


def saved_markup(encoder: SavedStage, trained: TrainedNet) -> str:
    """How a saved pipeline treats HTML in texts.

    Parameters
    ----------
    encoder : SavedStage
        The stage that reads the texts.
    trained : TrainedNet
    """
    # Encoders saved before the option existed cleaned nothing, but prepared datasets were always clean.
    before = "clean" if trained.run["text_options"] else ReviewEncoderModel.before["markup"]
    markup: str = encoder.params.get("markup", before)
    return markup


def from_text(pipeline: PipelineModel) -> PipelineModel:
    """The same pipeline from a column `text` to `probability` and `prediction`, whatever columns it was fitted with.

    The columns between them get names that do not clash with others.

    Raises
    ------
    DatasetError
        If its classifier does not read the output of its encoder.
    """
    encoder, model = _stages_of(pipeline)
    if encoder.getOutputCol() != model.getFeaturesCol():
        raise DatasetError(
            f"The classifier must read the output of the encoder, '{encoder.getOutputCol()}'. It reads "
            f"'{model.getFeaturesCol()}'. Set its featuresCol and save the pipeline again."
        )
    between = {encoder.outputCol: "_sentispark_sequence", encoder.lengthCol: "_sentispark_length"}
    outputs = {model.rawPredictionCol: "", model.probabilityCol: "probability", model.predictionCol: "prediction"}
    return PipelineModel(
        [
            encoder.copy({encoder.inputCol: "text", **between}),
            model.copy({model.featuresCol: "_sentispark_sequence", **outputs}),
        ]
    )


def _stages_of(pipeline: PipelineModel) -> tuple[ReviewEncoderModel, LSTMClassificationModel]:
    match pipeline.stages:
        case [ReviewEncoderModel() as encoder, LSTMClassificationModel() as model]:
            return encoder, model
    found = ", ".join(type(stage).__name__ for stage in pipeline.stages)
    raise InputError(
        "'pipeline' must hold a ReviewEncoderModel and an LSTMClassificationModel, nothing else. "
        f"It holds {found or 'no stage'}."
    )


# The stages that encode texts in a pipeline: one, or three equal to it.
ENCODER = ((ReviewEncoderModel,),)
ENCODERS = (*ENCODER, (ReviewTokenizer, VocabularyModel, SequencePadder))


class SavedStage(NamedTuple):
    """A stage of a saved pipeline: its folder and Spark ML's metadata."""

    folder: Folder
    metadata: dict[str, Any]

    @property
    def params(self) -> dict[str, Any]:
        """The values of its Params, by name."""
        return {**self.metadata["defaultParamMap"], **self.metadata["paramMap"]}

    def param(self, name: str) -> Any:
        """The value of a Param. Raises `DatasetError` if the metadata lack it, and so are damaged."""
        try:
            return self.params[name]
        except KeyError as error:
            raise DatasetError(
                f"'{self.folder.url}' must be a stage that sentispark saved. It is damaged: it lacks {error}."
            ) from error


def saved_stages(folder: Folder) -> list[SavedStage]:
    """The stages of a saved pipeline, in order, read without Spark. Raises `DatasetError` if there is none."""
    try:
        names = sorted(folder.child("stages").names(), key=lambda name: int(name.split("_")[0]))
    except ValueError as error:
        raise DatasetError(f"'{folder.url}' must be a saved pipeline. It is damaged: {error}.") from error
    stages = [folder.child(f"stages/{name}") for name in names]
    return [SavedStage(stage, read_metadata(stage)) for stage in stages]


def require_our_stages(
    folder: Folder, stages: Sequence[SavedStage], *, encoders: Sequence[Sequence[type]] = ENCODER
) -> Sequence[SavedStage]:
    """The stages, if they are an encoder and a classifier of sentispark. Raises `DatasetError` otherwise.

    This check comes before Spark loads a stage, because Spark imports any class that the metadata name.

    Parameters
    ----------
    folder : Folder
    stages : sequence of SavedStage
    encoders : sequence of sequence of type
        The sequences of stages that are accepted as an encoder.
    """
    saved = [stage.metadata["class"] for stage in stages]
    ours = [[*encoder, LSTMClassificationModel] for encoder in encoders]
    if saved not in [[f"{stage.__module__}.{stage.__name__}" for stage in one] for one in ours]:
        raise DatasetError(
            f"'{folder.url}' must hold an encoder and a classifier. It holds {', '.join(saved) or 'neither'}."
        )
    return stages


def require_same_vocabulary(pipeline: PipelineModel, dataset: Dataset) -> None:
    """Raise `DatasetError` if the dataset was not encoded as the pipeline's encoder encodes."""
    encoder, _ = _stages_of(pipeline)
    prepared, encoding = saved_text_options(dataset.manifest.text_options), encoder.options
    same_words = encoder.word_list.fingerprint == dataset.manifest.vocabulary_fingerprint
    names = {"markup", *dataset.manifest.text_options}
    different = sorted(name for name in names if getattr(encoding, name) != getattr(prepared, name))
    if not same_words or different:
        what = "another vocabulary" if not same_words else "another " + ", ".join(different)
        raise DatasetError(
            f"'{dataset.folder.url}' must be encoded as the model's training data was. It has {what}. "
            "Evaluate on a split of the dataset that the model was trained on."
        )
