"""Whether a dataset already exists, and what is reused of an earlier one."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence

from sentispark.dataset.dataset import Dataset, open_dataset
from sentispark.dataset.manifest import FORMAT_VERSION, Manifest
from sentispark.errors import DatasetError, OptionError
from sentispark.files import Folder
from sentispark.options import flag_name, options_of
from sentispark.reviews.options import ReviewOptions
from sentispark.reviews.pieces import File
from sentispark.text.options import TextOptions, saved_text_options
from sentispark.text.wordlist import WordList

__all__ = ["finished_manifest", "origin_of", "required_vocabulary", "text_options_of"]


def origin_of(files: Sequence[File], reviews: ReviewOptions, text: TextOptions, words: WordList | None) -> str:
    """A hash of everything a dataset depends on: datasets of equal origin have equal bytes.

    Files are compared by path, size and modification time (or the object store's tag).
    """
    content = {
        "format_version": FORMAT_VERSION,
        "files": sorted(files),
        "reviews": dataclasses.asdict(reviews),
        "text": dataclasses.asdict(text),
        "words": words and words.fingerprint,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:32]


def finished_manifest(folder: Folder, origin: str) -> Manifest | None:
    """The manifest of the dataset in a folder, if the dataset is complete and of that origin; else None."""
    try:
        manifest = open_dataset(folder).manifest
    except DatasetError:
        return None
    return manifest if manifest.origin == origin else None


def required_vocabulary(dataset: Dataset) -> WordList:
    """The vocabulary of a dataset. Raises `DatasetError` if the dataset was made from sequences and has none."""
    if dataset.word_list is None:
        raise DatasetError(f"'{dataset.folder.url}' must have a vocabulary. It was made from sequences and has none.")
    return dataset.word_list


def text_options_of(dataset: Dataset, asked: TextOptions) -> TextOptions:
    """The options with which a dataset's texts were encoded.

    Raises
    ------
    OptionError
        If the user asked for an option value that is neither the dataset's nor the default.
    """
    saved = saved_text_options(dataset.manifest.text_options)
    for field in options_of(TextOptions):
        given, expected = getattr(asked, field.name), getattr(saved, field.name)
        if given not in (expected, field.default):
            raise OptionError(
                f"'{flag_name(field)}' must be {expected}, as in the dataset whose vocabulary is used. Got {given}. "
                "Leave it out, or prepare without that vocabulary."
            )
    return saved
