"""Errors about data and initialisation files, completed with the key of the scenario that names the file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gflow.errors import ScenarioError
from gflow.scenario import Scenario


@contextmanager
def named_by(scenario: Scenario, key: str, path: str) -> Iterator[None]:
    """ScenarioErrors raised inside get the key behind them: `... (data.path in scenario.yaml:6)`."""
    try:
        yield
    except ScenarioError as error:
        place = _place(scenario, key, path)
        raise ScenarioError(f"{error} ({key}{place and f' in {place}'})") from None


def _place(scenario: Scenario, key: str, path: str) -> str:
    """The override or the file where the key stands, with its line where that is unique; empty without a file."""
    origin = scenario.origin
    section, name = key.split(".")
    if any(override.split("=")[0].strip() in (section, key) for override in origin.overrides):
        return "--set"
    if origin.path is None:
        return ""
    lines = [number for number, line in enumerate(origin.text.splitlines(), 1) if name in line and path in line]
    return f"{origin.path}:{lines[0]}" if len(lines) == 1 else str(origin.path)
