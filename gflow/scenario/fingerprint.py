"""Fingerprints of scenarios, which identify runs, and the keys in which two scenarios differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

from gflow.scenario.schema import Scenario


def sha256(scenario: Scenario) -> str:
    """The SHA-256 (hex) of the scenario as canonical JSON: defaults filled in, keys sorted, None left out.

    Comments, the order of keys and the spelling of numbers do not matter.  The contents of data and
    initialisation files are not part of it: a run keeps the data it used in its trajectory.
    """
    content = scenario.model_dump(mode="json", exclude_none=True)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def differences(one: Scenario, other: Scenario) -> list[str]:
    """The keys whose values differ, for example `flow.until.time`, in the order of the file; lists count as one
    value.
    """
    first, second = (dict(_leaves(scenario.model_dump(mode="json"))) for scenario in (one, other))
    return [key for key in first | second if key not in first or key not in second or first[key] != second[key]]


def _leaves(content: dict[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:  # Any: JSON values
    for key, value in content.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield above + key, value
