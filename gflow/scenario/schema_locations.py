"""Locations in pydantic's terms translated to keys of the scenario file, with the keys that are valid there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import Tag
from pydantic.fields import FieldInfo

from gflow.scenario.schema.base import Spec
from gflow.scenario.tree import Keys


@dataclass(frozen=True, slots=True)
class SchemaLocation:
    """A place in the schema: its path in the file, the description of its key, the keys valid beside it."""

    keys: Keys
    description: str
    known: tuple[str, ...]
    """the keys of the mapping that owns the last key"""
    kinds: tuple[str, ...]
    """the values that `kind` may have there, when the last key holds a mapping with a kind"""
    numeric: bool = False
    """whether a number may stand there beside the names"""


def locate(root: type[Spec], location: Iterable[str | int]) -> SchemaLocation:
    """The spot of one of pydantic's locations, which name the member of a union between two keys."""
    models, keys, description, numeric = [root], list[str | int](), "", False
    rest = list(location)
    below = models
    while rest:
        keys.append(rest.pop(0))
        models = below
        field = _field(models, keys[-1])
        if field is None:
            keys += rest
            break
        description = " ".join((field.description or "").split())
        numeric = "number" in _tags(field)
        below = member_models(field.annotation)
        if field.discriminator is not None and rest and rest[0] in _tags(field):
            chosen = [model for model in below if kind_of(model) == rest[0]]
            below = chosen or below
            del rest[0]
    known = dict.fromkeys(key for model in models for key in model.model_fields)
    kinds = tuple(kind for kind in map(kind_of, below) if kind is not None)
    return SchemaLocation(tuple(keys), description, tuple(known), kinds if len(below) > 1 else (), numeric)


def fields_of_kind(root: type[Spec], keys: tuple[str, ...], kind: object) -> set[str]:
    """The keys that a mapping at this path may have when its `kind` is `kind`; empty for an unknown kind."""
    models = [root]
    for key in keys:
        field = _field(models, key)
        models = [] if field is None else member_models(field.annotation)
    return {name for model in models if kind_of(model) == kind for name in model.model_fields}


def member_models(annotation: Any) -> list[type[Spec]]:  # Any: an annotation, which may be no class
    """The parts of the scenario that an annotation, usually a union, names."""
    if isinstance(annotation, type) and issubclass(annotation, Spec):
        return [annotation]
    return [model for part in get_args(annotation) for model in member_models(part)]


def kind_of(model: type[Spec]) -> str | None:
    """The value of `kind` that chooses this model, or None when it has no kind."""
    field = model.model_fields.get("kind")
    return None if field is None else str(get_args(field.annotation)[0])


def _field(models: list[type[Spec]], key: str | int) -> FieldInfo | None:
    return next((model.model_fields[str(key)] for model in models if key in model.model_fields), None)


def _tags(field: FieldInfo) -> set[str]:
    """The names by which pydantic calls the members of a union."""
    tags = {kind for kind in map(kind_of, member_models(field.annotation)) if kind is not None}
    for member in get_args(field.annotation):
        tags |= {part.tag for part in get_args(member) if isinstance(part, Tag)}
    return tags
