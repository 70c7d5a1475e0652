"""Validated records in; the unusable ones are written to Parquet files, the usable ones returned."""

from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sentispark.files import Folder

__all__ = ["QuarantineWriter"]

# In memory, per file.
_FILE_BYTES = 32 << 20


class QuarantineWriter:
    """Writes one task's unusable records to files of bounded size. A task that is retried writes the same files.

    Attributes
    ----------
    reasons : Counter
        Number of unusable records by reason.
    rows_with_replaced, characters_replaced : int
        Number of records, usable or not, with replaced characters, and the number of these characters.
    """

    def __init__(self, folder: Folder, task: int) -> None:
        self._folder, self._task, self._files = folder, task, 0
        self._pending: list[pa.RecordBatch] = []
        self.reasons: Counter[str] = Counter()
        self.rows_with_replaced = self.characters_replaced = 0

    def remove_unusable(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """Write the records that have a reason. Returns `text` and `rating` of the others."""
        reviews, replaced = records.select(["text", "rating"]), records.column("replaced").to_numpy()
        self.rows_with_replaced += int(np.count_nonzero(replaced))
        self.characters_replaced += int(replaced.sum())
        usable = pc.is_null(records.column("reason"))
        if pc.all(usable).as_py():
            return reviews
        bad = records.filter(pc.invert(usable)).select(["reason", "file", "record"])
        self.reasons.update(bad.column("reason").to_pylist())
        self._pending.append(bad)
        if sum(batch.nbytes for batch in self._pending) >= _FILE_BYTES:
            self.close()
        return reviews.filter(usable)

    def close(self) -> None:
        """Write the records that are still in memory."""
        if self._pending:
            stream = io.BytesIO()
            pq.write_table(pa.Table.from_batches(self._pending), stream, compression="zstd")
            self._folder.write(f"part-{self._task:06d}-{self._files:06d}.parquet", stream.getvalue())
        self._files, self._pending = self._files + 1, []
