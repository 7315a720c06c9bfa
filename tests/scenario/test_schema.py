"""The specification is frozen, described, and published as a JSON Schema."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from gflow.scenario import Scenario, json_schema, parse_scenario
from gflow.scenario.schema.base import Spec
from gflow.scenario.schema_locations import member_models

from .test_load import EXAMPLE, SHORT


def all_parts(model: type[Spec]) -> set[type[Spec]]:
    below = [part for field in model.model_fields.values() for part in member_models(field.annotation)]
    return {model}.union(*(all_parts(part) for part in below))


def test_the_schema_is_json_and_names_every_key() -> None:
    schema = json_schema()
    text = json.dumps(schema, allow_nan=False)
    assert schema["$schema"].endswith("2020-12/schema")
    for part in all_parts(Scenario):
        for key in part.model_fields:
            assert f'"{key}": {{' in text


@pytest.mark.parametrize("part", sorted(all_parts(Scenario), key=repr))
def test_every_key_is_described(part: type[Spec]) -> None:
    assert part.__doc__
    for key, field in part.model_fields.items():
        assert key == "kind" or field.description, f"{part.__name__}.{key}"


def test_a_scenario_is_frozen_and_hashable() -> None:
    scenario = parse_scenario(SHORT)
    with pytest.raises(ValidationError):
        scenario.seed = 3  # type: ignore[misc]
    with pytest.raises(ValidationError):
        scenario.flow.rtol = 1e-3  # type: ignore[misc]
    assert hash(scenario) == hash(parse_scenario(SHORT))
    assert scenario != parse_scenario(EXAMPLE)


def test_the_schema_has_the_bounds() -> None:
    definitions: dict[str, Any] = json_schema()["$defs"]  # Any: a JSON document
    rtol = definitions["Flow"]["properties"]["rtol"]
    assert (rtol["minimum"], rtol["maximum"], rtol["default"]) == (1e-13, 1e-2, 1e-8)
    assert definitions["Flow"]["additionalProperties"] is False
    assert definitions["TwoLayerModel"]["properties"]["width"]["minimum"] == 1
