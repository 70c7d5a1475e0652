"""Rows of a DataFrame to chunks of Parquet in a random order that depends only on the rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash
from pyspark.sql import DataFrame, Row

from sentispark.dataset import manifest as manifest_file
from sentispark.dataset.manifest import SPLITS, Chunk, Manifest
from sentispark.dataset.parquet import parquet_bytes
from sentispark.errors import DatasetError
from sentispark.files import Folder
from sentispark.spark.arrow import map_batches
from sentispark.spark.causes import collected
from sentispark.spark.exchange import Groups, by_group, exchanged, groups_of, packed
from sentispark.text import wordlist
from sentispark.text.kernels import list_offsets, pad
from sentispark.text.wordlist import WordList

__all__ = ["ROWS_PER_CHUNK", "ChunkPlan", "pack_tokens", "packed_rows", "rows_per_chunk_of", "write_dataset"]

# What a task reports about a chunk that it has written.
_LINE = (
    "split string, file string, rows long, label_counts array<long>, weight double, size long, "
    "label_weights array<double>, checksum string"
)

# A chunk is read whole: small enough to hold several in memory, large enough for a columnar format to pay.
ROWS_PER_CHUNK = 32_768
IDS_PER_CHUNK = 1 << 26


def rows_per_chunk_of(sequence_length: int) -> int:
    """The rows of a chunk, on average: fewer where sequences are long, so that its size is bounded."""
    return max(1, min(ROWS_PER_CHUNK, IDS_PER_CHUNK // sequence_length))


def pack_tokens(ids: pa.ListArray, kind: str) -> pa.BinaryArray:
    """Lists of token ids as binary values of two or four bytes per id, without padding: the form that is shuffled.

    Parameters
    ----------
    ids : list array of length n
    kind : {"int16", "int32"}
    """
    width = np.dtype(kind).newbyteorder("<")
    counts = ids.value_lengths().fill_null(0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(ids) + 1, np.int64)
    np.cumsum(counts.astype(np.int64) * width.itemsize, out=offsets[1:])
    offsets = list_offsets(offsets).to_numpy()
    values = ids.flatten().to_numpy(zero_copy_only=False).astype(width, copy=False)
    return pa.BinaryArray.from_buffers(pa.binary(), len(ids), [None, pa.py_buffer(offsets), pa.py_buffer(values)])


@dataclasses.dataclass(frozen=True)
class ChunkPlan:
    """Which of a dataset's chunks a row belongs to.

    Attributes
    ----------
    split_rows : mapping of str to int
        The number of rows of each split; it decides how many chunks there are.
    rows_per_chunk : int
        Rows of a chunk, on average.
    token_type : {"int16", "int32"}
        The width of the tokens in packed rows.
    """

    split_rows: Mapping[str, int]
    rows_per_chunk: int = ROWS_PER_CHUNK
    token_type: str = "int32"

    @property
    def files(self) -> list[str]:
        """The path of each chunk below the dataset's folder, split after split."""
        return [f"{split}/chunk-{number:06d}.parquet" for split in SPLITS for number in range(self._chunks(split))]

    @property
    def groups(self) -> Groups:
        """The chunks as groups of rows."""
        return groups_of(len(self.files))

    def chunk_of(self, split: np.ndarray, order: np.ndarray) -> np.ndarray:
        """The chunk of each row, int64 of shape (n,): its `order`, scaled from 64-bit numbers to its split's chunks.

        A row of a split for which the plan has no rows gets -1.

        Parameters
        ----------
        split : ndarray of shape (n,)
            Indices in `SPLITS`.
        order : ndarray of shape (n,), dtype=int64
        """
        chunks = np.array([self._chunks(name) for name in SPLITS])
        first = np.cumsum(chunks) - chunks
        position = order / 2.0**64 + 0.5
        own = np.minimum(np.floor(position * chunks[split]).astype(np.int64), chunks[split] - 1)
        return np.where(chunks[split] > 0, first[split] + own, -1)

    def _chunks(self, split: str) -> int:
        return math.ceil(self.split_rows.get(split, 0) / self.rows_per_chunk)


def packed_rows(batches: Iterable[pa.RecordBatch], plan: ChunkPlan) -> Iterator[pa.RecordBatch]:
    """Rows in packets for the tasks that write their chunks; for `map_batches`, with the schema `PACKED`.

    Parameters
    ----------
    batches : iterable of RecordBatch
        `split` int32 (its index in `SPLITS`), `order` int64 (evenly spread over all 64 bits), `tokens` binary (see
        `pack_tokens`), `label` int32, and, where rows have weights, `weight` double.
    plan : ChunkPlan
    """

    def chunked(batch: pa.RecordBatch) -> tuple[np.ndarray, pa.RecordBatch]:
        chunk = plan.chunk_of(*(batch.column(name).to_numpy() for name in ("split", "order")))
        schema = _row_schema(weighted="weight" in batch.schema.names)
        columns = [batch.column(name) for name in schema.names if name != "chunk"]
        # A row that the plan does not have, whose chunk is -1, goes with those of the first chunk.
        return np.maximum(chunk, 0), pa.RecordBatch.from_arrays([*columns, pa.array(chunk)], schema=schema)

    return packed(map(chunked, batches), plan.groups)


def write_dataset(
    packets: DataFrame,
    folder: Folder,
    plan: ChunkPlan,
    *,
    sequence_length: int,
    vocabulary_size: int,
    weighted: bool = False,
    word_list: WordList | None = None,
    text_options: Mapping[str, Any] | None = None,
    counts: Mapping[str, Any] | None = None,
    origin: str | None = None,
) -> Manifest:
    """Write a dataset into a folder that does not exist yet; the manifest is written last and makes it a dataset.

    The rows of a split are sorted by `order`, so two runs write the same bytes however the rows were partitioned, and
    any chunk is a fair sample if `order` is a hash.

    Parameters
    ----------
    packets : DataFrame
        What `packed_rows` makes of the rows.
    folder : Folder
    plan : ChunkPlan
        The plan with which the rows were packed.
    sequence_length : int
        L; longer lists of tokens lose their end.
    vocabulary_size : int
        Exclusive upper bound of the token ids.
    weighted : bool
        Whether the rows have weights.
    word_list, text_options, counts, origin
        Kept in the dataset; see `Manifest`.

    Raises
    ------
    DatasetError
        If the number of rows is not that of the plan. Then no manifest is written.
    """
    manifest = Manifest(
        sequence_length=sequence_length,
        vocabulary_size=vocabulary_size,
        vocabulary_fingerprint=word_list.fingerprint if word_list else None,
        weighted=weighted,
        chunks=(),
        text_options=dict(text_options or {}),
        counts=dict(counts or {}),
        origin=origin,
    )
    manifest = dataclasses.replace(manifest, chunks=_write_chunks(packets, folder, plan, manifest))
    counted = {split: rows for split, rows in plan.split_rows.items() if rows}
    found = {split: manifest.rows(split) for split in sorted({chunk.split for chunk in manifest.chunks})}
    if found != counted:
        raise DatasetError(f"The number of rows must be the one that was counted, {counted}. It is {found}.")
    if word_list:
        folder.write(wordlist.FILE_NAME, word_list.to_json())
    folder.write(manifest_file.FILE_NAME, manifest.to_json())
    return manifest


def _write_chunks(packets: DataFrame, folder: Folder, plan: ChunkPlan, manifest: Manifest) -> tuple[Chunk, ...]:
    """Write all chunks: one per task or, if there are very many, several per task, one after the other."""
    files, row = plan.files, _row_schema(weighted=manifest.weighted)

    def run(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for table in by_group(batches, row):
            for chunk in pc.unique(table["chunk"]).to_pylist():
                own = pc.equal(table["chunk"], chunk)
                rows = table if pc.all(own).as_py() else table.filter(own)
                if chunk < 0:
                    yield _unannounced(rows)
                else:
                    rows = _ordered(rows)
                    sequence, length = _padded(rows["tokens"], manifest.sequence_length, plan.token_type)
                    yield _write_chunk(rows, sequence, length, folder, manifest, files[chunk])

    written = collected(map_batches(exchanged(packets, plan.groups), run, _LINE))
    return tuple(sorted(map(_chunk_of, written), key=lambda chunk: (chunk.split, chunk.file)))


def _chunk_of(line: Row) -> Chunk:
    fields = line.asDict()
    return Chunk(
        **{**fields, "label_counts": tuple(fields["label_counts"]), "label_weights": tuple(fields["label_weights"])}
    )


def _row_schema(*, weighted: bool) -> pa.Schema:
    """The rows in the packets: their chunk, but not their split."""
    types = {"order": pa.int64(), "tokens": pa.binary(), "label": pa.int32()}
    return pa.schema(types | ({"weight": pa.float64()} if weighted else {}) | {"chunk": pa.int64()})


def _ordered(rows: pa.Table) -> pa.Table:
    """The rows sorted by `order`; those of equal `order`, which are rare, by all their values."""
    rows = rows.combine_chunks()
    order = rows["order"].to_numpy()
    indices = np.argsort(order)
    if (np.diff(order[indices]) == 0).any():
        indices = pc.sort_indices(rows, [(name, "ascending") for name in rows.column_names])
    return rows.take(pa.array(indices)).combine_chunks()


def _write_chunk(
    table: pa.Table, sequence: np.ndarray, length: np.ndarray, folder: Folder, manifest: Manifest, file: str
) -> pa.RecordBatch:
    """Write one chunk's file and return its entry for the manifest."""
    list_offsets(np.array([sequence.size]))  # what readers count in 32 bits
    label = table["label"].combine_chunks().cast(pa.int32()).to_numpy()
    counts = np.bincount(label, minlength=len(manifest.label_names))
    columns = {"length": length, "label": label}
    weight, weights = float(table.num_rows), counts.astype(float)
    if manifest.weighted:
        columns["weight"] = each = table["weight"].combine_chunks().to_numpy()
        weight, weights = float(np.sum(each)), np.bincount(label, each, minlength=len(manifest.label_names))
    content = parquet_bytes(sequence.astype(manifest.id_type, copy=False), columns)
    folder.write(file, content)
    line = {"split": file.split("/")[0], "file": file, "rows": table.num_rows, "label_counts": counts.tolist()}
    return pa.RecordBatch.from_pylist(
        [
            line
            | {
                "weight": weight,
                "size": len(content),
                "label_weights": weights.tolist(),
                "checksum": xxhash.xxh3_128_hexdigest(content),
            }
        ]
    )


def _unannounced(table: pa.Table) -> pa.RecordBatch:
    """An entry for rows of a split for which the plan has none; it makes the counts differ."""
    line = {"split": "others", "file": "", "rows": table.num_rows, "label_counts": [0]}
    return pa.RecordBatch.from_pylist([line | {"weight": 0.0, "size": 0, "label_weights": [0.0], "checksum": ""}])


def _padded(tokens: pa.ChunkedArray, sequence_length: int, token_type: str) -> tuple[np.ndarray, np.ndarray]:
    """Sequences of shape (n, L), of the type of the packed tokens, and lengths of shape (n,), int32."""
    kind = np.dtype(token_type).newbyteorder("<")
    packed = pa.concat_arrays(tokens.chunks)
    offsets = np.frombuffer(packed.buffers()[1], np.int32)[packed.offset : packed.offset + len(packed) + 1]
    first, last = int(offsets[0]), int(offsets[-1])
    data = packed.buffers()[2]
    values = np.frombuffer(data, np.uint8)[first:last].view(kind) if data else np.zeros(0, kind)
    ids = pa.ListArray.from_arrays(pa.array((offsets - first) // kind.itemsize), pa.array(values))
    return pad(ids, sequence_length, dtype=kind.type)
