"""The JSON Schema of `analysis.json`, made from the types of what the analyzers return: it cannot fall behind them."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

from gflow.analysis.failure import Failed
from gflow.claims.claim import Claim, Verdict
from gflow.pipeline.findings import ANALYZERS

Json = dict[str, Any]  # Any: JSON values

PLAIN: dict[Any, str] = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
ARRAY: Json = {"type": "array", "items": {"anyOf": [{"type": "number"}, {"$ref": "#/$defs/Array"}]}}
ABOUT: Json = {
    "type": "object",
    "description": "the run and the bytes of the file that the results are about",
    "properties": {
        "scenario_sha256": {"type": "string"},
        "trajectory_sha256": {"type": "string"},
        "n_rows": {"type": "integer"},
        "log1p_time": {"type": "number"},
        "outcome": {"type": ["string", "null"]},
    },
}


class Kinds(Json):
    """The schemas of dataclasses by name, and which class has a name."""

    def __init__(self, **known: Json) -> None:
        super().__init__(known)
        self.classes: dict[str, type] = {}


def json_schema() -> Json:
    """The JSON Schema (draft 2020-12): one property an analyzer, each absent where it was not run."""
    kinds = Kinds(Array=ARRAY)
    found = {name: get_type_hints(analyzer)["return"] for name, analyzer in ANALYZERS.items()}
    results = {name: _schema(result | Failed, kinds) for name, result in found.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "analysis.json of gflow",
        "type": "object",
        "properties": {"gflow": {"type": "string"}, "trajectory": ABOUT, **results},
        "required": ["gflow", "trajectory"],
        "$defs": dict(kinds),
    }


def _schema(kind: Any, kinds: Kinds) -> Json:  # Any: a type as `get_type_hints` gives it
    """The schema of one type; those of dataclasses go to `kinds`, and are referred to."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    if is_dataclass(kind) and isinstance(kind, type):
        return _reference(kind, kinds)
    if origin is Literal:
        return {"enum": list(inner)}
    if origin in (Union, types.UnionType):
        return {"anyOf": [_schema(each, kinds) for each in inner]}
    if origin is np.ndarray or origin is NDArray:  # an alias of its own since numpy 2.5
        return {"$ref": "#/$defs/Array"}
    if origin is tuple and inner[-1] is Ellipsis:
        return {"type": "array", "items": _schema(inner[0], kinds)}
    if origin is tuple:
        places = [_schema(each, kinds) for each in inner]
        return {"type": "array", "prefixItems": places, "minItems": len(places), "maxItems": len(places)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _schema(inner[1], kinds)}
    raise TypeError(f"no JSON Schema is known for {kind}")


def _reference(kind: type, kinds: Kinds) -> Json:
    """A dataclass: all its fields are there, and nothing else; a claim has its verdict, too.

    Raises TypeError where another class has its name already.
    """
    named = kinds.classes.setdefault(kind.__name__, kind)
    if named is not kind:
        raise TypeError(f"two results are called {kind.__name__}, {named} and {kind}: rename one")
    if kind.__name__ not in kinds:
        kinds[kind.__name__] = {}  # known from now on, should it hold itself
        hints = get_type_hints(kind)
        of_field = {each.name: hints[each.name] for each in fields(kind)}
        if kind is Claim:
            of_field["verdict"] = Verdict
        kinds[kind.__name__] = {
            "type": "object",
            "properties": {name: _schema(each, kinds) for name, each in of_field.items()},
            "required": list(of_field),
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{kind.__name__}"}
