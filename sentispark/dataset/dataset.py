"""A finished dataset, opened: its manifest and vocabulary, checked against the files in its folder."""

from __future__ import annotations

import dataclasses
import os
from functools import cached_property

from sentispark.dataset import manifest as manifest_file
from sentispark.dataset.manifest import SPLITS, Chunk, Manifest
from sentispark.errors import DatasetError, OptionError
from sentispark.files import Folder
from sentispark.text import wordlist
from sentispark.text.wordlist import WordList

__all__ = ["Dataset", "open_dataset"]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A dataset that was written completely."""

    folder: Folder
    manifest: Manifest

    @cached_property
    def word_list(self) -> WordList | None:
        """The vocabulary; None if the dataset was made from sequences. Raises `DatasetError`."""
        if self.manifest.vocabulary_fingerprint is None:
            return None
        source = self.folder.path(wordlist.FILE_NAME)
        try:
            words = WordList.from_json(self.folder.read(wordlist.FILE_NAME), source=source)
        except FileNotFoundError as error:
            raise DatasetError(f"'{source}' is missing. Prepare the dataset again.") from error
        if words.fingerprint != self.manifest.vocabulary_fingerprint:
            raise DatasetError(f"'{source}' is not the vocabulary of the dataset. Prepare the dataset again.")
        return words

    def require_split(self, split: str) -> None:
        """Raise `OptionError` if the dataset has no rows in that split."""
        if split not in SPLITS or not self.manifest.rows(split):
            rows = ", ".join(f"{name} {self.manifest.rows(name)}" for name in SPLITS)
            raise OptionError(f"'split' must name a split with rows ({rows}). Got '{split}'.")

    def require_size(self, chunk: Chunk, size: int | None) -> None:
        """Raise `DatasetError` if a chunk's file does not have its original size, or is missing (`size` is None)."""
        if size != chunk.size:
            state = "missing" if size is None else f"{size} bytes long instead of {chunk.size}"
            raise DatasetError(
                f"'{self.folder.path(chunk.file)}' must be as it was written. It is {state}. Prepare the dataset again."
            )


def open_dataset(path: str | os.PathLike[str] | Folder) -> Dataset:
    """Open a dataset; a local one is known by its absolute path from here on, as ranks run in folders of their own.

    Raises
    ------
    DatasetError
        If there is none, it is incomplete or of another version, or a chunk is missing or truncated.
    """
    folder = (path if isinstance(path, Folder) else Folder(os.fspath(path))).absolute_folder()
    if not folder.exists(manifest_file.FILE_NAME):
        if folder.exists():
            raise DatasetError(
                f"'{folder.url}' must be a finished dataset. It has no {manifest_file.FILE_NAME}: "
                "it is half-written or something else. Prepare it again."
            )
        raise DatasetError(f"'{folder.url}' must be a dataset. Nothing is there. Run 'sentispark prepare' first.")
    source = folder.path(manifest_file.FILE_NAME)
    manifest = Manifest.from_json(folder.read(manifest_file.FILE_NAME), source=source)
    dataset = Dataset(folder, manifest)
    for split in SPLITS:
        chunks = manifest.chunks_of(split)
        sizes = folder.child(split).sizes() if chunks else {}
        for chunk in chunks:
            dataset.require_size(chunk, sizes.get(chunk.file.rsplit("/", 1)[1]))
    return dataset
