"""Review files to an encoded dataset: read, clean, merge duplicates, count words, encode, write."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from sentispark.dataset.dataset import open_dataset
from sentispark.dataset.manifest import SPLITS, Manifest, id_type_of
from sentispark.dataset.write import ChunkPlan, pack_tokens, packed_rows, rows_per_chunk_of, write_dataset
from sentispark.drafts import scratch
from sentispark.errors import InputError
from sentispark.files import Folder
from sentispark.outputs import replaced_folder
from sentispark.overlap import require_apart
from sentispark.prepare.counts import count_records, require_trainable
from sentispark.prepare.passes import FirstPass, PassFiles, SpilledReviews, draft_key
from sentispark.prepare.reuse import finished_manifest, origin_of, required_vocabulary, text_options_of
from sentispark.reviews.deduplicate.distinct import merged_reviews
from sentispark.reviews.options import ReviewOptions
from sentispark.reviews.read import Reviews, read_reviews
from sentispark.reviews.replaced import warn_about_replaced
from sentispark.spark.causes import collected, spark_errors_explained
from sentispark.spark.exchange import PACKED
from sentispark.spark.folders import spark_folder
from sentispark.spark.writable import require_tasks_write
from sentispark.text.kernels import encode, truncate_lists
from sentispark.text.options import TextOptions
from sentispark.text.token_ids import FIRST_WORD
from sentispark.text.vocabulary import packed_counts, top_words
from sentispark.text.wordlist import WordList

__all__ = ["prepare_dataset"]

QUARANTINE = "quarantine"
SPILL = "spill"

_log = logging.getLogger(__name__)


def prepare_dataset(
    spark: SparkSession,
    paths: str | Sequence[str],
    output: str,
    reviews: ReviewOptions | None = None,
    text: TextOptions | None = None,
    *,
    vocabulary: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the dataset of the reviews in some files, and report what became of every record.

    Unless `overwrite` is set, a finished dataset of the same files and options is reused. If a run with the same
    files, options and output was killed, the passes over the reviews that it had finished are not run again.

    Parameters
    ----------
    spark : SparkSession
    paths : str or sequence of str
        Files, folders or globs.
    output : str
        Folder of the dataset. Its subfolder `quarantine` receives the unusable records.
    reviews : ReviewOptions, optional
        How review files are read, labeled and split.
    text : TextOptions, optional
        How texts become sequences.
    vocabulary : str, optional
        An earlier dataset whose vocabulary and text options are used, so that new reviews are encoded like old ones.
    overwrite : bool
        Whether to replace an existing output. It is replaced only when the new one is complete.

    Returns
    -------
    dict
        `rows_read, rows_quarantined, quarantine_reasons, duplicates_merged, rows_left_out, rows_with_replaced,
        characters_replaced, rows_written, positive_share, vocabulary_size, sequence_length, seconds, stage_seconds,
        reused, output`. `rows_read` is the sum of quarantined, merged, left out (neither positive nor negative) and
        written; `stage_seconds` has the stages that were run.

    Raises
    ------
    InputError
        If the paths match no file, the output contains an input, more records are unusable than `max_quarantined`
        allows, the shares leave no rows for training, a tenth of the ratings is off the scale, or all rows are of one
        class (with `vocabulary` that is a warning).
    DatasetError
        If the output exists and is of other files or options (unless `overwrite` is set), or sentispark did not write
        it.
    SetupError
        If the output cannot be written.
    OptionError
        If a limit is off the rating scale, or a text option is neither the default nor that of the dataset whose
        vocabulary is used. Messages name options by their flags.
    """
    started = time.perf_counter()
    reviews, text = reviews or ReviewOptions(), text or TextOptions()
    if reviews.validation_share + reviews.test_share >= 1:
        raise InputError(
            "'--validation-share' and '--test-share' must sum to less than 1, to leave rows for training. "
            f"Got {reviews.validation_share} and {reviews.test_share}."
        )
    word_list, earlier, folder = None, None, spark_folder(output)
    if vocabulary is not None:
        earlier = open_dataset(spark_folder(vocabulary))
        word_list, text = required_vocabulary(earlier), text_options_of(earlier, text)
    scale = reviews.polarity.scale
    layout = reviews.layout._asdict()
    found = read_reviews(
        spark, paths, *reviews.columns, reviews.format, rating_scale=scale.name, markup=text.markup, **layout
    )
    require_apart(folder, files=[file.path for file in found.files], folders=[earlier.folder] if earlier else [])
    origin = origin_of(found.files, reviews, text, word_list)
    seconds: dict[str, float] = {}
    manifest = None if overwrite else finished_manifest(folder, origin)
    reused = manifest is not None
    if manifest is not None:
        _log.info("%s already holds the dataset of these files and options", output)
    else:
        key = draft_key(origin)
        with replaced_folder(folder, overwrite=overwrite, key=key) as draft, spark_errors_explained():
            require_tasks_write(spark, draft, output=output)
            manifest, seconds = _prepare(found, draft, reviews, text, word_list, origin)
    rows = sum(manifest.counts["rows_written"].values())
    return {
        **manifest.counts,
        "positive_share": round(sum(manifest.label_counts(split)[1] for split in SPLITS) / rows, 4),
        "vocabulary_size": manifest.vocabulary_size - FIRST_WORD,
        "sequence_length": manifest.sequence_length,
        "seconds": round(time.perf_counter() - started, 2),
        "stage_seconds": {name: round(one, 2) for name, one in seconds.items()},
        "reused": reused,
        "output": output,
    }


def _prepare(
    found: Reviews, draft: Folder, reviews: ReviewOptions, text: TextOptions, word_list: WordList | None, origin: str
) -> tuple[Manifest, dict[str, float]]:
    """Write the dataset into a draft folder. Returns its manifest and the seconds of the stages that were run."""
    seconds: dict[str, float] = {}
    spill, quarantine = scratch(draft, SPILL), draft.child(QUARANTINE)
    passes = PassFiles(draft, spill, draft_key(origin))
    first = passes.first()
    if first is None:
        with _stage("read, clean and merge", seconds):
            merged = merged_reviews(found, spill=spill, quarantine=quarantine, options=reviews, text=text)
            first = FirstPass(max(1, len(found.tasks)), *count_records(collected(merged)))
            passes.save_first(first)
    else:
        _log.info("the reviews were read, cleaned and merged by a run that was killed; this one continues it")
    warn_about_replaced(found, rows=first.counts["rows_with_replaced"], characters=first.counts["characters_replaced"])
    require_trainable(reviews, first.counts, first.ratings, quarantine, allow_one_class=word_list is not None)
    spilled = SpilledReviews(found.spark, spill, first.tasks)
    word_list = word_list or passes.words()
    if word_list is None:
        with _stage("count words", seconds):
            word_list = _vocabulary(spilled, text)
            passes.save_words(word_list)
    with _stage("encode and write", seconds):
        plan = ChunkPlan(
            first.counts["rows_written"],
            rows_per_chunk=rows_per_chunk_of(text.sequence_length),
            token_type=id_type_of(word_list.size),
        )
        manifest = write_dataset(
            _encoded(spilled, word_list, plan, reviews, text),
            draft,
            plan,
            sequence_length=text.sequence_length,
            vocabulary_size=word_list.size,
            word_list=word_list,
            text_options=dataclasses.asdict(text),
            counts=first.counts,
            origin=origin,
        )
    return manifest, seconds


@contextlib.contextmanager
def _stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Log the stage's name and record its duration in `seconds`."""
    _log.info("%s", name)
    started = time.perf_counter()
    yield
    seconds[name] = time.perf_counter() - started


def _vocabulary(reviews: SpilledReviews, text: TextOptions) -> WordList:
    """The most frequent words of the training split."""

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        return packed_counts(batch.column("words") for batch in batches)

    counts = reviews.map(run, PACKED, split="train")
    return top_words(counts, vocab_size=text.vocab_size, min_count=text.min_count, source="The reviews")


def _encoded(
    reviews: SpilledReviews, word_list: WordList, plan: ChunkPlan, options: ReviewOptions, text: TextOptions
) -> DataFrame:
    """The rows of all chunks, for `write_dataset`."""
    polarity = options.polarity

    def encoded(batch: pa.RecordBatch) -> pa.RecordBatch:
        words, order, rating, split = batch.columns
        ids = encode(truncate_lists(words, text.sequence_length, truncate=text.truncate), word_list.array)
        label = pa.array(polarity.labels(rating.to_numpy()))
        columns = {"split": split, "order": order, "tokens": pack_tokens(ids, plan.token_type), "label": label}
        return pa.RecordBatch.from_pydict(columns)

    return reviews.map(lambda batches: packed_rows(map(encoded, batches), plan), PACKED)
