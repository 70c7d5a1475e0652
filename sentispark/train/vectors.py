"""Pretrained word vectors from a text file: one word per line, followed by its numbers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from sentispark.dataset.dataset import Dataset
from sentispark.errors import OptionError
from sentispark.files import Folder
from sentispark.text.token_ids import FIRST_WORD

__all__ = ["check_vectors", "read_vectors"]


def check_vectors(path: str, dataset: Dataset, size: int) -> None:
    """Raise `OptionError` if the dataset has no words, or the file cannot be read or has no vectors of size `size`."""
    if dataset.word_list is None:
        raise OptionError(
            "'embeddingPath' needs the words of the dataset. It was made from token ids. Leave embeddingPath out."
        )
    if next(_vectors(path, size), None) is None:
        raise OptionError(
            f"'embeddingPath' must name a file of word vectors of embeddingSize ({size}) numbers. '{path}' has none."
        )


def read_vectors(path: str, dataset: Dataset, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of those words of the dataset that the file has.

    Parameters
    ----------
    path : str
        Path or URL of a text file as GloVe, word2vec and fastText write it, with or without a header line of two
        numbers; compressed if its name ends in .gz, .bz2, .xz or .zip.
    dataset : Dataset
        With a vocabulary.
    size : int
        Numbers of each vector.

    Returns
    -------
    token_ids : ndarray of shape (k,), dtype=int64
        In the order of the file; k is at most the number of words of the dataset.
    vectors : ndarray of shape (k, size), dtype=float32

    Raises
    ------
    OptionError
        If the file is missing, is not such a text, or has vectors of another size.
    """
    words = dataset.word_list.words if dataset.word_list else ()
    ids = {word.encode(): token_id for token_id, word in enumerate(words, start=FIRST_WORD)}
    found: dict[int, np.ndarray] = {}
    for word, numbers in _vectors(path, size):
        if word in ids and ids[word] not in found:
            found[ids[word]] = _parsed(numbers, word, path)
    vectors = np.stack(list(found.values())) if found else np.zeros((0, size), np.float32)
    return np.array(list(found), np.int64), vectors


def _vectors(path: str, size: int) -> Iterator[tuple[bytes, list[bytes]]]:
    """Each word and its numbers. Words with a space in them, of which GloVe has a few, are in no vocabulary."""
    fs, file_path = Folder(path).location
    try:
        with fs.open(file_path, "rb", compression="infer") as file:
            for number, line in enumerate(file, start=1):
                word, *numbers = line.rstrip().split(b" ")
                if len(numbers) == size:
                    yield word, numbers
                elif len(numbers) < size and not (number == 1 and len(numbers) == 1):
                    raise OptionError(
                        f"'embeddingPath' must have vectors of embeddingSize ({size}) numbers. Line {number} of "
                        f"'{path}' has {len(numbers)}. Set embeddingSize to the size of the vectors."
                    )
    except FileNotFoundError as error:
        raise OptionError(f"'embeddingPath' must name an existing file. '{path}' does not exist.") from error


def _parsed(numbers: list[bytes], word: bytes, path: str) -> np.ndarray:
    try:
        return np.array(numbers, np.float32)
    except ValueError as error:
        raise OptionError(
            f"'embeddingPath' must name a text file of word vectors. In '{path}', after '{word.decode()}': {error}. "
            "Correct that line."
        ) from error
