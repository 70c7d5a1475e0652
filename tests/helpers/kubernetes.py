"""A Kubernetes manifest → what Kubernetes' own description of its API has against it.

The package lightkube-models has that description, as dataclasses. They are made for a client, of which only three names
are used here: with those given, the client need not be installed.
"""

from __future__ import annotations

import dataclasses
import importlib
import sys
import types
import typing
from collections.abc import Iterator
from typing import Any

import pytest


def problems(manifest: dict[str, Any]) -> list[str]:
    """Unknown fields, missing ones and values of a wrong type; an unknown kind is an error of Python's import."""
    client = types.SimpleNamespace(DictMixin=object, dataclass=dataclasses.dataclass, field=dataclasses.field)
    group, _, version = manifest["apiVersion"].rpartition("/")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "lightkube.core.schema", client)
        models = importlib.import_module(f"lightkube.models.{group.split('.')[0] or 'core'}_{version}")
    return list(_problems(manifest, getattr(models, manifest["kind"]), manifest["kind"]))


def _problems(value: Any, kind: Any, path: str) -> Iterator[str]:
    choices = [one for one in typing.get_args(kind) if one is not type(None)]
    if typing.get_origin(kind) is typing.Union:
        if len(choices) == 1:
            yield from _problems(value, choices[0], path)
        elif not isinstance(value, tuple(choices)):
            yield f"{path} is {value!r}"
    elif dataclasses.is_dataclass(kind):
        yield from _of_object(value, kind, path)
    elif typing.get_origin(kind) is list and isinstance(value, list):
        for number, one in enumerate(value):
            yield from _problems(one, choices[0], f"{path}[{number}]")
    elif not isinstance(value, typing.get_origin(kind) or kind):
        yield f"{path} is {value!r}"


def _of_object(value: Any, kind: Any, path: str) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"{path} is {value!r}"
        return
    hints, fields = typing.get_type_hints(kind), {field.name: field for field in dataclasses.fields(kind)}
    for name in sorted(value.keys() - fields.keys()):
        yield f"{path} has no field {name}"
    for name, field in fields.items():
        if name in value:
            yield from _problems(value[name], hints[name], f"{path}.{name}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            yield f"{path} lacks {name}"
