"""The formats that are read, by their names. A new format is a file that declares it, and a line here."""

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
    """The name of the format that a file's name tells. Raises `InputError` if it tells none."""
    for name, format in FORMATS.items():
        if re.search(rf"\.(?:{'|'.join(format.endings)})(?:\.(?:{'|'.join(COMPRESSIONS)}))?$", path, re.IGNORECASE):
            return name
    *names, last = FORMATS
    raise InputError(
        f"The format of '{path}' cannot be told from its name. Name the format: {', '.join(names)} or {last}."
    )
