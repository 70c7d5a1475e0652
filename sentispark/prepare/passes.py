"""What finished passes over the reviews leave in the draft of a dataset, for a run that continues a killed one."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

import sentispark
from sentispark.dataset.manifest import SPLITS
from sentispark.drafts import continuable, continued
from sentispark.errors import DatasetError
from sentispark.files import Folder
from sentispark.prepare.counts import Ratings
from sentispark.reviews.deduplicate.spill import read_spilled
from sentispark.spark.arrow import map_batches
from sentispark.spark.spread import spread, spread_values
from sentispark.text import wordlist
from sentispark.text.wordlist import WordList

__all__ = ["FirstPass", "PassFiles", "SpilledReviews", "draft_key"]


def draft_key(origin: str) -> str:
    """What drafts of equal content have in common: the dataset's origin, and the version that wrote them."""
    return hashlib.sha256(f"{origin} {sentispark.__version__}".encode()).hexdigest()[:32]


class FirstPass(NamedTuple):
    """What is known once all reviews have been read and spilled.

    Attributes
    ----------
    tasks : int
        The number of tasks that spilled.
    counts : dict
    ratings : Ratings
        Both from `count_records`.
    """

    tasks: int
    counts: dict[str, Any]
    ratings: Ratings


@dataclasses.dataclass(frozen=True)
class PassFiles:
    """The results of passes, in the draft of a dataset.

    Attributes
    ----------
    draft : Folder
    spill : Folder
        The folder in it with the spilled reviews.
    key : str
        From `draft_key`.
    """

    draft: Folder
    spill: Folder
    key: str

    def first(self) -> FirstPass | None:
        """The result of the first pass, if this run continues one that had finished it."""
        found = continued(self.draft)
        if found is None:
            return None
        saved = json.loads(found)
        ratings = saved["ratings"]
        rows = {split: tuple(counts) for split, counts in ratings["rows"].items()}
        return FirstPass(saved["tasks"], saved["counts"], Ratings(Counter(ratings["seen"]), ratings["inside"], rows))

    def save_first(self, result: FirstPass) -> None:
        """Note that all reviews have been read. From now on another run can continue the draft."""
        content = json.dumps({**result._asdict(), "ratings": result.ratings._asdict()})
        continuable(self.draft, self.key, content)

    def words(self) -> WordList | None:
        """The vocabulary if its pass has finished; None if its file is missing or damaged."""
        with contextlib.suppress(DatasetError, FileNotFoundError):
            return WordList.from_json(self.spill.read(wordlist.FILE_NAME), source=self.spill.path(wordlist.FILE_NAME))
        return None

    def save_words(self, words: WordList) -> None:
        """Keep the vocabulary."""
        self.spill.write(wordlist.FILE_NAME, words.to_json())


@dataclasses.dataclass(frozen=True)
class SpilledReviews:
    """The reviews that the first pass spilled, without duplicates.

    Attributes
    ----------
    spark : SparkSession
    folder : Folder
        The folder of the spilled reviews.
    tasks : int
        The number of tasks that spilled them; the rows of each are read by one task.
    """

    spark: SparkSession
    folder: Folder
    tasks: int

    def map(
        self,
        function: Callable[[Iterator[pa.RecordBatch]], Iterable[pa.RecordBatch]],
        schema: str,
        *,
        split: str | None = None,
    ) -> DataFrame:
        """Apply a function to the reviews of each task, of one split or all, in batches of `spill.SPILL_SCHEMA`."""
        folder, wanted = self.folder, None if split is None else SPLITS.index(split)

        def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            for task, _ in spread_values(batches):
                yield from function(read_spilled(folder, task, split=wanted))

        return map_batches(spread(self.spark, [b""] * self.tasks), run, schema)
