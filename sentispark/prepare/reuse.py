"""Whether a dataset is there already, and what of an earlier one is taken over."""

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

__all__ = ["finished_manifest", "origin_of", "required_words", "text_options_of"]


def origin_of(files: Sequence[File], reviews: ReviewOptions, text: TextOptions, words: WordList | None) -> str:
    """A hash of all that a dataset depends on: two datasets of one origin hold the same bytes.

    A file counts as the same while its path, size and time of change (or what an object store has instead) are.
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
    """The manifest of the dataset in a folder if it is whole and of that origin, and None if not."""
    try:
        manifest = open_dataset(folder).manifest
    except DatasetError:
        return None
    return manifest if manifest.origin == origin else None


def required_words(dataset: Dataset) -> WordList:
    """The vocabulary of a dataset. Raises `DatasetError` if it was made of sequences and has none."""
    if dataset.word_list is None:
        raise DatasetError(f"'{dataset.folder.url}' must have a vocabulary. It has none: it was made of sequences.")
    return dataset.word_list


def text_options_of(dataset: Dataset, asked: TextOptions) -> TextOptions:
    """The options that a dataset's texts were encoded with.

    Raises
    ------
    OptionError
        If an option was asked for that is neither the dataset's nor the default.
    """
    saved = saved_text_options(dataset.manifest.text_options)
    for field in options_of(TextOptions):
        given, there = getattr(asked, field.name), getattr(saved, field.name)
        if given not in (there, field.default):
            raise OptionError(
                f"'{flag_name(field)}' must be {there}, as in the dataset whose vocabulary is taken. Got {given}. "
                "Leave it out, or prepare without that vocabulary."
            )
    return saved
