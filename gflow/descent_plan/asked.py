"""What a caller asks of descent, laid over what the scenario says; judged by the rules of the scenario."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gflow.errors import GflowError, ScenarioError
from gflow.scenario import Scenario, scenario_of
from gflow.scenario.schema import Descent

Content = dict[str, Any]  # Any: values of a scenario
SCHEDULE = re.compile(r"([a-z_]+):((?:[a-z_]+=[^,=]+)(?:,[a-z_]+=[^,=]+)*)")


def asked_descent(caller: str, scenario: Scenario, given: Mapping[str, Any], until: Mapping[str, Any]) -> Descent:
    """The scenario's `descent` with the given keys (those that are not None), and their end if there is one, in it.

    caller: named in messages.  Raises ScenarioError for what no scenario could ask for.
    """
    content: Content = {} if scenario.descent is None else scenario.descent.model_dump(mode="json", exclude_none=True)
    new = {key: value for key, value in given.items() if value is not None}
    for key, other in (("eta", "schedule"), ("schedule", "eta")):
        if key in new:
            content.pop(other, None)
    end = {key: value for key, value in until.items() if value is not None}
    content |= new | ({"until": end} if end else {})
    if "eta" not in content and "schedule" not in content:
        raise GflowError(
            f"{caller}: no step size is given, and the scenario has no `descent.eta`; add for example --eta 0.1"
        )
    whole = scenario.model_dump(mode="json", exclude_none=True)
    descent = scenario_of(whole | {"descent": content}, caller).descent
    assert descent is not None
    return descent


def schedule_of(text: str) -> Content:
    """`log_squared:first=0.1,factor=0.02` as a scenario says it.  Raises ScenarioError for another form."""
    found = SCHEDULE.fullmatch(text)
    if found is None:
        raise ScenarioError(f"--schedule {text!r}: must be of the form log_squared:first=0.1,factor=0.02")
    pairs = (pair.split("=") for pair in found[2].split(","))
    return {"kind": found[1]} | {key: _number(value) for key, value in pairs}


def seeds_of(text: str) -> str | list[Any]:
    """`0..9`, which a scenario knows, or the numbers of `3,5,8`."""
    return text if ".." in text else [_number(part) for part in text.split(",")]


def at_kink_of(text: str) -> Any:  # Any: a number, or a word, which a scenario judges
    """A number where the text is one."""
    return _number(text)


def _number(text: str) -> Any:  # Any: an int, a float, or the text where it is neither
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
