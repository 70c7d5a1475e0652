"""A trained net and its dataset's encoding as one Spark ML pipeline, from raw text to prediction; saved and loaded."""

from __future__ import annotations

from pyspark.ml import PipelineModel

from sentispark.dataset.dataset import Dataset
from sentispark.errors import DatasetError
from sentispark.files import Folder
from sentispark.ml.model import LSTMClassificationModel
from sentispark.options import camel_case
from sentispark.text import wordlist
from sentispark.text.encoder import ReviewEncoderModel
from sentispark.text.wordlist import WordList
from sentispark.train.result import NET_FILE, TrainedNet

__all__ = ["encoder_of", "load_pipeline", "pipeline_of", "require_same_vocabulary"]


def encoder_of(word_list: WordList, text_options: dict, *, text_col: str = "text") -> ReviewEncoderModel:
    """The encoder that a dataset was prepared with."""
    params = {camel_case(name): value for name, value in text_options.items()}
    return ReviewEncoderModel.from_words(word_list, inputCol=text_col, outputCol="sequence", **params)


def pipeline_of(dataset: Dataset, model: LSTMClassificationModel) -> PipelineModel:
    """Encoder and model in a row. Raises `DatasetError` if the dataset was made of sequences alone."""
    if dataset.word_list is None:
        raise DatasetError(f"'{dataset.folder.url}' must hold a vocabulary for a pipeline from text. It has none.")
    return PipelineModel([encoder_of(dataset.word_list, dict(dataset.manifest.text_options)), model])


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
        encoder = encoder_of(words, trained.run["text_options"])
        return PipelineModel([encoder, LSTMClassificationModel.from_trained(trained)])
    if not folder.exists("metadata"):
        raise DatasetError(f"'{folder.url}' must be a model that sentispark trained. There is none.")
    pipeline = PipelineModel.load(folder.url)
    stages = [type(stage).__name__ for stage in pipeline.stages]
    if stages != [ReviewEncoderModel.__name__, LSTMClassificationModel.__name__]:
        raise DatasetError(f"'{folder.url}' must hold an encoder and a classifier. It holds {', '.join(stages)}.")
    return pipeline


def require_same_vocabulary(pipeline: PipelineModel, dataset: Dataset) -> None:
    """Raise `DatasetError` if the dataset was encoded in another way than the pipeline's encoder does it."""
    encoder = pipeline.stages[0]
    theirs = dict(dataset.manifest.text_options)
    ours = {name: getattr(encoder.options, name) for name in theirs}
    same_words = encoder.word_list.fingerprint == dataset.manifest.vocabulary_fingerprint
    # A list of stop words is a tuple here and a list in the manifest.
    different = [name for name in theirs if _listed(ours[name]) != _listed(theirs[name])]
    if not same_words or different:
        what = "another vocabulary" if not same_words else "another " + ", ".join(different)
        raise DatasetError(
            f"'{dataset.folder.url}' must be encoded as the model's training data was. It has {what}. "
            "Evaluate on a split of the dataset that the model was trained on."
        )


def _listed(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
