"""A trained net and its dataset's encoding as one Spark ML pipeline, from raw text to prediction; saved and loaded."""

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
    """The encoder that a dataset was prepared with. Raises `DatasetError` if it was made of sequences alone."""
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
        If the folder holds neither.
    """
    folder = path if isinstance(path, Folder) else Folder(path)
    if folder.exists(NET_FILE):
        trained = TrainedNet.load(folder)
        words = WordList.from_json(folder.read(wordlist.FILE_NAME), source=folder.path(wordlist.FILE_NAME))
        encoder = _encoder(words, trained.run["text_options"])
        return PipelineModel([encoder, LSTMClassificationModel.from_trained(trained)])
    if not folder.exists("metadata"):
        raise DatasetError(f"'{folder.url}' must be a model that sentispark trained. There is none.")
    # Not by PipelineModel.load: Spark takes the stages' folders and classes from the metadata, wherever those lead.
    saved_encoder, saved_model = require_our_stages(folder, saved_stages(folder))
    model = LSTMClassificationModel.load(saved_model.folder.absolute)
    encoder = ReviewEncoderModel.load(saved_encoder.folder.absolute)
    encoder.setParams(markup=saved_markup(saved_encoder, model.trained))
    return PipelineModel([encoder, model])._resetUid(read_metadata(folder)["uid"])


def saved_markup(encoder: SavedStage, trained: TrainedNet) -> str:
    """What a saved pipeline does with HTML in texts.

    Parameters
    ----------
    encoder : SavedStage
        The stage of it that takes the texts.
    trained : TrainedNet
    """
    # Encoders that were saved before there was a choice cleaned nothing, but prepared datasets always were clean.
    before = "clean" if trained.run["text_options"] else ReviewEncoderModel.before["markup"]
    markup: str = encoder.params.get("markup", before)
    return markup


def from_text(pipeline: PipelineModel) -> PipelineModel:
    """The same pipeline from a column `text` to `probability` and `prediction`, whatever columns it was fitted with.

    What it adds between them has names that nobody else gives.

    Raises
    ------
    DatasetError
        If its classifier does not read what its encoder makes.
    """
    encoder, model = _stages_of(pipeline)
    if encoder.getOutputCol() != model.getFeaturesCol():
        raise DatasetError(
            f"The classifier must read what the encoder makes, '{encoder.getOutputCol()}'. It reads "
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


# What stands for an encoder in a pipeline: one stage, or three.
ENCODER = ((ReviewEncoderModel,),)
ENCODERS = (*ENCODER, (ReviewTokenizer, VocabularyModel, SequencePadder))


class SavedStage(NamedTuple):
    """A stage of a saved pipeline: its folder and what Spark ML has written about it."""

    folder: Folder
    metadata: dict[str, Any]

    @property
    def params(self) -> dict[str, Any]:
        """The values of its Params, by name."""
        return {**self.metadata["defaultParamMap"], **self.metadata["paramMap"]}

    def param(self, name: str) -> Any:
        """The value of one of them. Raises `DatasetError` if the metadata, which are damaged then, have none."""
        try:
            return self.params[name]
        except KeyError as error:
            raise DatasetError(
                f"'{self.folder.url}' must be a stage that sentispark saved. It is damaged: no value of {error}."
            ) from error


def saved_stages(folder: Folder) -> list[SavedStage]:
    """The stages of a saved pipeline, in their order, read without Spark. Raises `DatasetError` if it is none."""
    try:
        names = sorted(folder.child("stages").names(), key=lambda name: int(name.split("_")[0]))
    except ValueError as error:
        raise DatasetError(f"'{folder.url}' must be a saved pipeline. It is damaged: {error}.") from error
    stages = [folder.child(f"stages/{name}") for name in names]
    return [SavedStage(stage, read_metadata(stage)) for stage in stages]


def require_our_stages(
    folder: Folder, stages: Sequence[SavedStage], *, encoders: Sequence[Sequence[type]] = ENCODER
) -> Sequence[SavedStage]:
    """The stages, if they are an encoder and a classifier of ours. Raises `DatasetError` for others.

    Spark imports whatever class the metadata of a saved stage names.

    Parameters
    ----------
    folder : Folder
    stages : sequence of SavedStage
    encoders : sequence of sequence of type
        What stands for an encoder.
    """
    saved = [stage.metadata["class"] for stage in stages]
    ours = [[*encoder, LSTMClassificationModel] for encoder in encoders]
    if saved not in [[f"{stage.__module__}.{stage.__name__}" for stage in one] for one in ours]:
        raise DatasetError(
            f"'{folder.url}' must hold an encoder and a classifier. It holds {', '.join(saved) or 'neither'}."
        )
    return stages


def require_same_vocabulary(pipeline: PipelineModel, dataset: Dataset) -> None:
    """Raise `DatasetError` if the dataset was encoded in another way than the pipeline's encoder does it."""
    encoder, _ = _stages_of(pipeline)
    theirs, ours = saved_text_options(dataset.manifest.text_options), encoder.options
    same_words = encoder.word_list.fingerprint == dataset.manifest.vocabulary_fingerprint
    names = {"markup", *dataset.manifest.text_options}
    different = sorted(name for name in names if getattr(ours, name) != getattr(theirs, name))
    if not same_words or different:
        what = "another vocabulary" if not same_words else "another " + ", ".join(different)
        raise DatasetError(
            f"'{dataset.folder.url}' must be encoded as the model's training data was. It has {what}. "
            "Evaluate on a split of the dataset that the model was trained on."
        )
