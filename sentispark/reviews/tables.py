"""Folders that are lakehouse tables, where the files in the folder are not necessarily the table's rows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from sentispark.errors import InputError
from sentispark.reviews.delta import LOG

__all__ = ["delta_tables_above", "delta_tables_below"]

_HUDI = ".hoodie"
_ICEBERG = re.compile(r"(.*)/metadata/[^/]*\.metadata\.json(?:\.gz)?")


def delta_tables_below(paths: Iterable[str]) -> set[str]:
    """The Delta tables that files belong to, judging only by the files' paths.

    Raises `InputError` if a file belongs to an Iceberg or Hudi table.
    """
    delta: set[str] = set()
    others: dict[str, str] = {}
    for path in paths:
        if f"/{LOG}/" in path:
            delta.add(path.split(f"/{LOG}/")[0])
        elif f"/{_HUDI}/" in path:
            others[path.split(f"/{_HUDI}/")[0]] = "a Hudi"
        elif metadata := _ICEBERG.fullmatch(path):
            others[metadata[1]] = "an Iceberg"
    for table, kind in others.items():
        if table not in delta:  # a Delta table may come with Iceberg's metadata
            raise _unsupported(table, kind)
    return delta


def delta_tables_above(fs: Any, paths: Iterable[str]) -> set[str]:
    """The Delta tables whose folders contain one of the paths, at any depth.

    Raises `InputError` if a path is inside an Iceberg or Hudi table.
    """
    if {"http", "https"} & set([fs.protocol] if isinstance(fs.protocol, str) else fs.protocol):
        return set()  # HTTP has no folders
    delta: set[str] = set()
    seen: set[str] = set()
    for folder in paths:
        while folder := folder.rpartition("/")[0]:
            if folder in seen:
                break
            seen.add(folder)
            if fs.isdir(f"{folder}/{LOG}"):
                delta.add(folder)
                break
            if fs.isdir(f"{folder}/{_HUDI}"):
                raise _unsupported(folder, "a Hudi")
            if fs.isdir(f"{folder}/metadata") and any(map(_ICEBERG.fullmatch, fs.find(f"{folder}/metadata"))):
                raise _unsupported(folder, "an Iceberg")
    return delta


def _unsupported(table: str, kind: str) -> InputError:
    return InputError(
        f"'{table}' is {kind} table, which is not supported: only its log says which rows of its files are live. "
        "Read it with Spark and write it as Parquet first."
    )
