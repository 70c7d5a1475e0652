"""Judged records in, files of those that cannot be used out; what is left are the reviews."""

from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from sentispark.files import Folder

__all__ = ["QuarantineWriter"]

# In memory, of one file.
_FILE_BYTES = 32 << 20


class QuarantineWriter:
    """Writes one task's records to files of bounded size; a task that is run again writes the same ones again.

    Attributes
    ----------
    reasons : Counter
        How many records were written for each reason.
    rows_with_replaced, characters_replaced : int
        In how many records, these and the others, how many characters were replaced.
    """

    def __init__(self, folder: Folder, task: int) -> None:
        self._folder, self._task, self._files = folder, task, 0
        self._held: list[pa.RecordBatch] = []
        self.reasons: Counter[str] = Counter()
        self.rows_with_replaced = self.characters_replaced = 0

    def take_out(self, records: pa.RecordBatch) -> pa.RecordBatch:
        """Write the records that have a reason; gives `text` and `rating` of the others."""
        reviews, replaced = records.select(["text", "rating"]), records.column("replaced").to_numpy()
        self.rows_with_replaced += int(np.count_nonzero(replaced))
        self.characters_replaced += int(replaced.sum())
        usable = pc.is_null(records.column("reason"))
        if pc.all(usable).as_py():
            return reviews
        bad = records.filter(pc.invert(usable)).select(["reason", "file", "record"])
        self.reasons.update(bad.column("reason").to_pylist())
        self._held.append(bad)
        if sum(batch.nbytes for batch in self._held) >= _FILE_BYTES:
            self.close()
        return reviews.filter(usable)

    def close(self) -> None:
        """Write what is left."""
        if self._held:
            stream = io.BytesIO()
            pq.write_table(pa.Table.from_batches(self._held), stream, compression="zstd")
            self._folder.write(f"part-{self._task:06d}-{self._files:06d}.parquet", stream.getvalue())
        self._files, self._held = self._files + 1, []
