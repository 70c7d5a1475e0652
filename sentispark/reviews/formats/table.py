"""The supported formats by name. A new format is a module that declares it, and a line here."""

from __future__ import annotations

import re

from sentispark.errors import InputError
from sentispark.reviews.formats.avro_file import AVRO
from sentispark.reviews.formats.csv_file import CSV, TSV
from sentispark.reviews.formats.format import Format
from sentispark.reviews.formats.json_file import JSON
from sentispark.reviews.formats.orc_file import ORC
from sentispark.reviews.formats.parquet_file import PARQUET
from sentispark.reviews.pieces import COMPRESSIONS

__all__ = ["FORMATS", "format_of"]

FORMATS: dict[str, Format] = {
    "json": JSON,
    "csv": CSV,
    "tsv": TSV,
    "parquet": PARQUET,
    "orc": ORC,
    "avro": AVRO,
}


def format_of(path: str) -> str:
    """The format of a file according to its name. Raises `InputError` if the ending is unknown.

    Examples
    --------
    >>> format_of("reviews/part-0.JSONL.gz")
    'json'
    """
    for name, format in FORMATS.items():
        if re.search(rf"\.(?:{'|'.join(format.endings)})(?:\.(?:{'|'.join(COMPRESSIONS)}))?$", path, re.IGNORECASE):
            return name
    *names, last = FORMATS
    raise InputError(
        f"The format of '{path}' is not known from its name. Name the format: {', '.join(names)} or {last}."
    )
