"""The identity of a scenario."""

from __future__ import annotations

import hashlib
import json

from gflow.scenario.schema import Scenario


def sha256(scenario: Scenario) -> str:
    """The SHA-256 (hex) of the scenario as canonical JSON: defaults filled in, keys sorted, None left out.

    Comments, the order of keys and the spelling of numbers do not matter.  The contents of data and
    initialisation files are not part of it: a run keeps the data it used in its trajectory.
    """
    content = scenario.model_dump(mode="json", exclude_none=True)
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()
