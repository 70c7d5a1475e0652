"""A trained net as the start of a training: read from its folder, and checked against dataset and options."""

from __future__ import annotations

import dataclasses

from sentispark.dataset.dataset import Dataset
from sentispark.errors import DatasetError, OptionError
from sentispark.files import Folder
from sentispark.nn.options import NetOptions
from sentispark.options import camel_case
from sentispark.train.result import NET_FILE, TrainedNet

__all__ = ["check_initial", "initial_net"]

# What a training may do otherwise than the one that the net is from.
_FREE = {"dropout", "embedding_dropout", "word_dropout"}


def initial_net(path: str) -> TrainedNet:
    """The net of a folder that `sentispark train`, a model's `save` or `torchrun -m sentispark.train` wrote.

    Raises
    ------
    DatasetError
        If the folder holds none, or more than one.
    """
    folder = Folder(path)
    stages = folder.child("stages")
    found = [one for one in (folder, *map(stages.child, stages.names())) if one.exists(NET_FILE)]
    if len(found) != 1:
        raise DatasetError(f"'initialModel' must be the folder of a trained model. '{path}' holds {len(found)} nets.")
    return TrainedNet.load(found[0])


def check_initial(trained: TrainedNet, dataset: Dataset, options: NetOptions) -> None:
    """Raise `OptionError` unless a training on the dataset may start from the net.

    Rows of a DataFrame come without a vocabulary; then only their token ids are checked.
    """
    before, now = dataclasses.asdict(trained.options), dataclasses.asdict(options)
    other = [
        f"'{camel_case(name)}' is {now[name]}, but the model has {before[name]}"
        for name in now
        if name not in _FREE and now[name] != before[name]
    ]
    if other:
        raise OptionError(
            f"The net's options must match those of 'initialModel': {'; '.join(other)}. Use the model's values."
        )
    manifest, own = dataset.manifest, trained.run.get("vocabulary_fingerprint")
    if manifest.vocabulary_fingerprint is not None and manifest.vocabulary_fingerprint != own:
        raise OptionError(
            "The dataset must have the vocabulary of 'initialModel'. It has another one. Prepare it with --vocabulary "
            "and the dataset of that model."
        )
    if manifest.vocabulary_size > trained.vocabulary_size:
        raise OptionError(
            f"Token ids must be below the {trained.vocabulary_size} of 'initialModel'. The largest is "
            f"{manifest.vocabulary_size - 1}. Encode the texts with that model's encoder."
        )
